"""One shared camera per physical camera, from what is known, what EXIF says and what the prior guesses."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from ..arrays import Float
from ..geometry import Camera
from ..types import Frame
from .config import CameraConfig

__all__ = ["plausible_focal", "shared_cameras", "view_focals_px", "view_intrinsics"]


logger = logging.getLogger(__name__)


def plausible_focal(focal_px: float, width: int, height: int, config: CameraConfig) -> bool:
    """Whether the field of view along the longest side is one that is believed."""
    if not (np.isfinite(focal_px) and focal_px > 0):
        return False
    fov_deg = float(np.degrees(2 * np.arctan(max(width, height) / (2 * focal_px))))
    return config.least_fov_deg <= fov_deg <= config.most_fov_deg


def view_focals_px(intrinsics: Float) -> Float:
    """(N,) geometric mean of fx and fy of (N, 3, 3) matrices; NaN where either is not positive."""
    fx, fy = intrinsics[:, 0, 0], intrinsics[:, 1, 1]
    product = np.where((fx > 0) & (fy > 0), fx * fy, np.nan)
    return np.asarray(np.sqrt(product))


def shared_cameras(
    frames: Sequence[Frame], intrinsics: Float, weights: Float, config: CameraConfig
) -> dict[str, Camera]:
    """The camera of each camera_id, in original pixels; frames with one id have one size.

    A known camera wins; else EXIF's focal length (median over the frames); else the weighted median of the
    predicted ones, `intrinsics` (N, 3, 3) in original pixels; else `fallback_focal` x the longest side. Implausible
    focal lengths are passed over at each step. All but known cameras are
    SIMPLE_PINHOLE with a centred principal point.
    """
    focals_px = view_focals_px(intrinsics)
    groups: dict[str, list[int]] = {}
    for index, frame in enumerate(frames):
        groups.setdefault(frame.camera_id, []).append(index)
    return {
        camera_id: _camera([frames[i] for i in members], focals_px[members], weights[members], config)
        for camera_id, members in groups.items()
    }


def view_intrinsics(
    frames: Sequence[Frame], intrinsics: Float, cameras: dict[str, Camera], config: CameraConfig
) -> Float:
    """(N, 3, 3) each view's matrix in original pixels: the known camera's, else the predicted or the shared one."""
    own = np.empty((len(frames), 3, 3))
    for index, (frame, predicted) in enumerate(zip(frames, intrinsics, strict=True)):
        focal_px = float(view_focals_px(predicted[None])[0])
        trusted = frame.known_camera is None and plausible_focal(focal_px, frame.width, frame.height, config)
        own[index] = predicted if trusted else (frame.known_camera or cameras[frame.camera_id]).K
    return own


def _camera(frames: list[Frame], focals_px: Float, weights: Float, config: CameraConfig) -> Camera:
    for frame in frames:
        if frame.known_camera is not None:
            return frame.known_camera
    width, height = frames[0].width, frames[0].height
    predicted = _weighted_median(
        [
            (focal, weight)
            for focal, weight in zip(focals_px, weights, strict=True)
            if plausible_focal(focal, width, height, config)
        ]
    )
    noted = [
        frame.exif_focal_px
        for frame in frames
        if frame.exif_focal_px is not None and plausible_focal(frame.exif_focal_px, width, height, config)
    ]
    if noted:
        exif_px = float(np.median(noted))
        if predicted is not None and not 1 / config.disagreement <= predicted / exif_px <= config.disagreement:
            logger.warning(
                "%s: EXIF says a focal length of %.0f px, the prior %.0f px; EXIF is used",
                frames[0].name, exif_px, predicted,
            )  # fmt: skip
        return Camera.pinhole(width, height, exif_px)
    if predicted is not None:
        return Camera.pinhole(width, height, predicted)
    return Camera.pinhole(width, height, config.fallback_focal * max(width, height))


def _weighted_median(candidates: list[tuple[float, float]]) -> float | None:
    """The median in log scale of (value, weight); the mean of the two middle ones where the weights split evenly."""
    if not candidates:
        return None
    values, weights = np.array(sorted(candidates)).T
    weights = np.where(weights > 0, weights, 0.0)
    if weights.sum() <= 0:
        weights = np.ones_like(weights)
    reached = np.cumsum(weights) / weights.sum()
    low = int(np.searchsorted(reached, 0.5 - 1e-12))
    high = int(np.searchsorted(reached, 0.5 + 1e-12))
    return float(np.sqrt(values[low] * values[min(high, len(values) - 1)]))
