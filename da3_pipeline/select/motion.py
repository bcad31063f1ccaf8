"""How far the picture has moved, frame by frame, and where a cut breaks it off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["MotionTracker", "Step", "find_cuts"]

_CORNERS = 150
_MIN_TRACKED = 30
_ROUND_TRIP_PX = 1.0
_THUMBNAIL = (32, 32)
_FLOW: dict[str, Any] = {
    "winSize": (15, 15),
    "maxLevel": 3,
    "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03),
}


@dataclass(frozen=True)
class Step:
    """From the frame before to this one.

    `travelled` is the distance so far in shares of the diagonal; `tracked` the share of corners found again;
    `likeness` the correlation of the two frames as thumbnails, in [-1, 1].
    """

    travelled: float
    tracked: float
    likeness: float


class MotionTracker:
    """Follows corners by pyramidal Lucas-Kanade flow with a round-trip check, from an anchor frame onwards.

    Distance is the median net displacement from the anchor, which is moved on once the picture has left it by
    `anchor_step` (a share of the diagonal): a hand's tremor around one place does not add up, a walk does.
    """

    def __init__(self, anchor_step: float) -> None:
        self._anchor_step = anchor_step
        self._previous: NDArray[np.uint8] | None = None
        self._thumbnail = np.zeros(0)
        self._origin = self._corners = np.zeros((0, 2), np.float32)
        self._anchored_at = 0.0
        self._travelled = 0.0

    def step(self, grey: NDArray[np.uint8]) -> Step:
        """Take in the next (H, W) frame, all of one size."""
        thumbnail = _standardised(cv2.resize(grey, _THUMBNAIL, interpolation=cv2.INTER_AREA))
        previous, before = self._previous, self._thumbnail
        self._previous, self._thumbnail = grey, thumbnail
        if previous is None:
            self._anchor(grey)
            return Step(0.0, 1.0, 1.0)
        tracked = self._follow(previous, grey)
        diagonal = float(np.hypot(*grey.shape))
        if len(self._corners) >= _MIN_TRACKED:
            net = float(np.median(np.linalg.norm(self._corners - self._origin, axis=1))) / diagonal
        else:
            net = self._travelled - self._anchored_at + _shift(previous, grey) / diagonal
        self._travelled = max(self._travelled, self._anchored_at + net)
        if net > self._anchor_step or len(self._corners) < _MIN_TRACKED or len(self._corners) < 0.5 * self._anchored:
            self._anchored_at = self._travelled
            self._anchor(grey)
        return Step(self._travelled, tracked, float(before @ thumbnail))

    def _anchor(self, grey: NDArray[np.uint8]) -> None:
        corners = cv2.goodFeaturesToTrack(grey, _CORNERS, qualityLevel=0.01, minDistance=max(grey.shape) / 40)
        self._corners = np.zeros((0, 2), np.float32) if corners is None else corners.reshape(-1, 2)
        self._origin = self._corners
        self._anchored = len(self._corners)

    def _follow(self, previous: NDArray[np.uint8], grey: NDArray[np.uint8]) -> float:
        """Move the corners into the new frame, lose those that cannot be found; the share that was found."""
        if len(self._corners) == 0:
            return 0.0
        there, found, _ = cv2.calcOpticalFlowPyrLK(previous, grey, self._corners, None, **_FLOW)
        back, returned, _ = cv2.calcOpticalFlowPyrLK(grey, previous, there, None, **_FLOW)
        error_px = np.linalg.norm(back - self._corners, axis=1)
        good = (found.ravel() == 1) & (returned.ravel() == 1) & (error_px < _ROUND_TRIP_PX)
        self._corners, self._origin = there[good], self._origin[good]
        return float(good.mean())


def find_cuts(tracked: NDArray[np.float64], likeness: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(F,) True at frames that begin a new shot: unlike the frame before and not to be tracked from it.

    A fast pan loses its corners as well, but stays more alike, and for more than one frame on end: at a cut the steps
    before and after are good ones.
    """
    broken = (tracked < 0.3) & (likeness < 0.6)
    calm = (tracked > 0.4) | (likeness > 0.85)
    cuts = np.zeros(len(broken), bool)
    for frame in np.flatnonzero(broken):
        cuts[frame] = frame > 0 and calm[frame - 1] and (frame + 1 == len(calm) or calm[frame + 1])
    return cuts


def _standardised(thumbnail: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Zero mean and unit length: the inner product of two is their correlation."""
    values = thumbnail.astype(np.float64).ravel()
    values -= values.mean()
    length = float(np.linalg.norm(values))
    return values / length if length > 1e-9 else np.zeros_like(values)


def _shift(previous: NDArray[np.uint8], grey: NDArray[np.uint8]) -> float:
    """Global translation in pixels by phase correlation, for frames without corners; 0 where it is not credible."""
    window = cv2.createHanningWindow(grey.shape[::-1], cv2.CV_32F)
    (dx, dy), response = cv2.phaseCorrelate(previous.astype(np.float32), grey.astype(np.float32), window)
    return float(np.hypot(dx, dy)) if response > 0.1 else 0.0
