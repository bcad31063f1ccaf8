"""Corners and where they are found again; smaller pictures."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from ...arrays import Bool, Bytes, Float, Float32
from ..config import MotionConfig

__all__ = ["corners_in", "followed", "reduced", "shift_between", "thumbnail"]


def corners_in(grey: Bytes, config: MotionConfig) -> Float32:
    """(n, 2) corners of an (H, W) picture, spread over it."""
    apart_px = max(grey.shape) * config.corner_spacing
    corners = cv2.goodFeaturesToTrack(grey, config.corners, qualityLevel=config.corner_quality, minDistance=apart_px)
    return np.zeros((0, 2), np.float32) if corners is None else corners.reshape(-1, 2)


def followed(
    before: Bytes, after: Bytes, corners: Float32, config: MotionConfig, shift: Float32 | None = None
) -> tuple[Float32, Bool]:
    """(n, 2) where corners are in the next picture, by pyramidal Lucas-Kanade flow; (n,) whether they lead back.

    They are looked for around where they were, moved by `shift` (2,) pixels.
    """
    if len(corners) == 0:
        return corners, np.zeros(0, bool)
    ends = cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT
    flow: dict[str, Any] = {
        "winSize": (config.window_px, config.window_px),
        "maxLevel": config.levels,
        "criteria": (ends, config.iterations, config.precision_px),
    }
    if shift is None:
        there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, None, **flow)
        back, returned, _ = cv2.calcOpticalFlowPyrLK(after, before, there, None, **flow)
    else:
        flow["flags"] = cv2.OPTFLOW_USE_INITIAL_FLOW
        there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, corners + shift, **flow)
        back, returned, _ = cv2.calcOpticalFlowPyrLK(after, before, there, there - shift, **flow)
    error_px = np.linalg.norm(back - corners, axis=1)
    good = (found.ravel() == 1) & (returned.ravel() == 1) & (error_px < config.round_trip_px)
    return np.asarray(there, np.float32), good


def reduced(grey: Bytes, max_side_px: int) -> Bytes:
    """An (H, W) picture made smaller by areas, so that its longer side is at most `max_side_px`."""
    scale = min(1.0, max_side_px / max(grey.shape))
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))


def shift_between(before: Bytes, after: Bytes) -> tuple[Float, float]:
    """(2,) by how many pixels all of a picture has moved, by phase correlation, and how clearly, in 0..1."""
    window = cv2.createHanningWindow(before.shape[::-1], cv2.CV_32F)
    shift, response = cv2.phaseCorrelate(before.astype(np.float32), after.astype(np.float32), window)
    return np.array(shift, np.float64), float(response)


def thumbnail(grey: Bytes, config: MotionConfig) -> Float:
    """A picture as few values of zero mean and unit length: the inner product of two is their correlation."""
    size = (config.thumbnail_px, config.thumbnail_px)
    values = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float64).ravel()
    values -= values.mean()
    length = float(np.linalg.norm(values))
    return values / length if length > 1e-9 else np.zeros_like(values)
