"""Corners and where they are found again; smaller pictures."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from ..arrays import Bool, Bytes, Float, Float32

__all__ = ["corners_in", "followed", "reduced", "thumbnail"]


_CORNERS = 150
_ROUND_TRIP_PX = 1.0
_THUMBNAIL = (32, 32)
_FLOW: dict[str, Any] = {
    "winSize": (15, 15),
    "maxLevel": 3,
    "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03),
}


def corners_in(grey: Bytes) -> Float32:
    """(n, 2) corners of an (H, W) picture, spread over it."""
    corners = cv2.goodFeaturesToTrack(grey, _CORNERS, qualityLevel=0.01, minDistance=max(grey.shape) / 40)
    return np.zeros((0, 2), np.float32) if corners is None else corners.reshape(-1, 2)


def followed(before: Bytes, after: Bytes, corners: Float32) -> tuple[Float32, Bool]:
    """(n, 2) where corners are in the next picture, by pyramidal Lucas-Kanade flow; (n,) whether they lead back."""
    if len(corners) == 0:
        return corners, np.zeros(0, bool)
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, None, **_FLOW)
    back, returned, _ = cv2.calcOpticalFlowPyrLK(after, before, there, None, **_FLOW)
    error_px = np.linalg.norm(back - corners, axis=1)
    good = (found.ravel() == 1) & (returned.ravel() == 1) & (error_px < _ROUND_TRIP_PX)
    return np.asarray(there, np.float32), good


def reduced(grey: Bytes, max_side_px: int) -> Bytes:
    """An (H, W) picture made smaller by areas, so that its longer side is at most `max_side_px`."""
    scale = min(1.0, max_side_px / max(grey.shape))
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))


def thumbnail(grey: Bytes) -> Float:
    """A picture as 32 x 32 values of zero mean and unit length: the inner product of two is their correlation."""
    values = cv2.resize(grey, _THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float64).ravel()
    values -= values.mean()
    length = float(np.linalg.norm(values))
    return values / length if length > 1e-9 else np.zeros_like(values)
