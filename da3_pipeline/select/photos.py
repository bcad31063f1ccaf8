"""Photographs: how sharp and bright each is, and which are too blurred to train on."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np

from ..arrays import Float
from ..imageio import UnreadableImageError, read_rgb
from ..progress import Progress
from ..types import Exposure, Frame
from .analysis import SHARPNESS_SIDE_PX
from .exposure import measured_exposure
from .flow import reduced
from .sharpness import SOFT, sharpness

__all__ = ["looked_at", "without_smeared"]

_WORKERS = 4
_READ_WHOLE_PX = 2 * SHARPNESS_SIDE_PX  # up to this, reading all of it and reducing the grey picture is faster
_SMEARED = 0.35  # of the others' sharpness; somebody chose to take the picture: only gross blur says that it went wrong
_LEAST_OTHERS = 4  # photographs with edges, beside which one can be told to be blurred


def looked_at(photos: Sequence[Frame], progress: Progress) -> list[Frame]:
    """The photographs with their sharpness and brightness; as they were where a file cannot be read any more."""
    with ThreadPoolExecutor(_WORKERS) as workers:
        frames = []
        for frame in workers.map(_looked_at, photos):
            frames.append(frame)
            progress.step(len(frames), len(photos), "photographs looked at")
    return frames


def without_smeared(photos: Sequence[Frame]) -> list[Frame]:
    """The photographs, those that are grossly blurred beside the others for the poses only.

    "The others" are those of the same camera where these are enough, else all. Half of them are trained on in any case,
    which comparing with the median sees to.
    """
    by_camera: dict[str, list[float]] = {}
    for photo in photos:
        if photo.sharpness:
            by_camera.setdefault(photo.camera_id, []).append(photo.sharpness)
    ranked = {camera_id: np.sort(values) for camera_id, values in by_camera.items()}
    everything = np.sort(np.concatenate(list(ranked.values()))) if ranked else np.zeros(0)
    return [_judged(photo, ranked.get(photo.camera_id, np.zeros(0)), everything) for photo in photos]


def _judged(photo: Frame, same: Float, everything: Float) -> Frame:
    """`same`, `everything`: the rising sharpness, where there are edges, of its camera's photographs and of all."""
    compared = same if len(same) > _LEAST_OTHERS else everything
    if not photo.sharpness or len(compared) <= _LEAST_OTHERS:
        return photo
    share = photo.sharpness / _median_of_others(compared, photo.sharpness)
    if share >= _SMEARED or photo.sharpness >= SOFT:
        return photo
    return replace(photo, training=False, remark=f"blurred: its edges have {share:.2f} of the others' sharpness")


def _median_of_others(ranked: Float, own: float) -> float:
    """The median of rising values without one that equals `own`."""
    left_out = int(np.searchsorted(ranked, own))
    middle = np.array([(len(ranked) - 2) // 2, (len(ranked) - 1) // 2])
    return float(ranked[middle + (middle >= left_out)].mean())


def _looked_at(photo: Frame) -> Frame:
    try:
        large = max(photo.width, photo.height) > _READ_WHOLE_PX
        rgb = read_rgb(photo.path, max_side_px=SHARPNESS_SIDE_PX if large else None)
    except UnreadableImageError:  # the stage that needs its pixels says so
        return photo
    grey = reduced(np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8), SHARPNESS_SIDE_PX)
    seen, told = measured_exposure(grey), photo.exposure or Exposure()
    exposure = replace(told, brightness=seen.brightness, dark_share=seen.dark_share, bright_share=seen.bright_share)
    return replace(photo, sharpness=sharpness(grey), exposure=exposure)
