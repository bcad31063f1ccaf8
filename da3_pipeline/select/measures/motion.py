"""How far the picture has moved, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ...arrays import Bytes, Float, Float32
from ..config import SelectConfig
from .exposure import linear_light
from .flow import corners_in, followed
from .moved import Moved, OnPicture

__all__ = ["MotionTracker", "Step"]


@dataclass(frozen=True)
class Step:
    """From the frame before to this one.

    `travelled` is the distance so far in shares of the diagonal; `tracked` the share of corners found again; `stops` by
    how much the same things have become brighter since the first frame, as a power of two of light; `reshaped` says
    that the picture has become another shape, so that nothing was followed.
    """

    travelled: float
    tracked: float
    stops: float
    reshaped: bool = False


class MotionTracker:
    """Follows corners by optical flow with a round-trip check, from an anchor frame onwards.

    Distance is the median net displacement from the anchor, which is moved on once the picture has left it by
    `config.anchor_step` (a share of the diagonal): a hand's tremor around one place does not add up, a walk does.
    """

    def __init__(self, config: SelectConfig, moved: Moved | None = None) -> None:
        """moved: how far corners have; that of flat pictures unless given."""
        self._config = config
        self._moved = moved or OnPicture(config.motion)
        self._previous: Bytes | None = None
        self._origin = self._corners = np.zeros((0, 2), np.float32)
        self._levels = np.zeros(0)
        self._anchored_at = 0.0
        self._travelled = 0.0
        self._anchor_stops = 0.0
        self._stops = 0.0

    def step(self, grey: Bytes) -> Step:
        """Take in the next (H, W) frame; one of another size than the last begins anew."""
        config = self._config.motion
        previous, self._previous = self._previous, grey
        if previous is None or previous.shape != grey.shape:
            self._anchored_at = self._travelled
            self._anchor(grey)
            return Step(self._travelled, 1.0, self._stops, reshaped=previous is not None)
        tracked = self._follow(previous, grey)
        if len(self._corners) >= config.least_corners:
            net = float(np.median(self._moved.distances(self._origin, self._corners, grey.shape)))
        else:
            net = self._travelled - self._anchored_at + self._moved.of_all(previous, grey)
        self._travelled = max(self._travelled, self._anchored_at + net)
        self._compare_light(grey)
        lost = len(self._corners) < max(config.least_corners, config.least_share * self._anchored)
        if net > self._config.anchor_step or lost:
            self._anchored_at = self._travelled
            self._anchor(grey)
        return Step(self._travelled, tracked, self._stops)

    def _anchor(self, grey: Bytes) -> None:
        self._origin = self._corners = corners_in(grey, self._config.motion)
        self._anchored = len(self._corners)
        self._levels = _levels(grey, self._corners, self._config.exposure.patch_px)
        self._anchor_stops = self._stops

    def _follow(self, previous: Bytes, grey: Bytes) -> float:
        """Move the corners into the new frame, lose those that cannot be found; the share that was found."""
        if len(self._corners) == 0:
            return 0.0
        there, good = followed(previous, grey, self._corners, self._config.motion)
        self._corners, self._origin, self._levels = there[good], self._origin[good], self._levels[good]
        return float(good.mean())

    def _compare_light(self, grey: Bytes) -> None:
        """The light around the corners now, over that around them at the anchor; kept as it was where few tell."""
        config = self._config.exposure
        now = _levels(grey, self._corners, config.patch_px)
        lit = (np.minimum(now, self._levels) > config.darkest) & (np.maximum(now, self._levels) < config.brightest)
        if lit.sum() >= config.least_patches:
            ratio = linear_light(now[lit]) / linear_light(self._levels[lit])
            self._stops = self._anchor_stops + float(np.median(np.log2(ratio)))


def _levels(grey: Bytes, corners: Float32, patch_px: int) -> Float:
    """(n,) mean grey levels around corners."""
    if len(corners) == 0:
        return np.zeros(0)
    column, row = np.clip(corners.round().astype(np.intp), 0, (grey.shape[1] - 1, grey.shape[0] - 1)).T
    return cv2.blur(grey, (patch_px, patch_px))[row, column].astype(np.float64)
