"""Stretches of video without a cut, and the places along them at equal steps of motion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import Float, Int
from .analysis import VideoAnalysis
from .config import SelectConfig

__all__ = ["Shot", "common_step", "shots_of"]

_BISECTIONS = 60  # to the last digit


@dataclass(frozen=True)
class Shot:
    """A stretch of one clip without a cut. (n,) each, of its frames that may be taken:

    frames: indices into the clip. travelled: image motion. covered: the same, but what was shown before counts less.
    sharpness, visits: as in `VideoAnalysis`. images: how many a frame becomes.
    """

    clip: int
    frames: Int
    travelled: Float
    covered: Float
    sharpness: Float
    visits: Int
    images: int = 1

    @property
    def motion(self) -> float:
        return float(self.covered[-1] - self.covered[0])

    def count(self, step: float) -> int:
        """How many frames the shot gives at this step."""
        return min(1 + int(self.motion / step + 0.5), len(self.frames))

    def pick(self, step: float, config: SelectConfig) -> list[int]:
        """Places in the shot: per equal stretch of what it covers the sharpest frame near the middle.

        Where all frames there are blurred, and not those farther off, the sharpest between its neighbours.
        """
        count, apart = self.count(step), config.spacing.apart
        stretch, window = self.motion / count, (1 - apart) / 2
        places: list[int] = []
        for number in range(count):
            aim = self.covered[0] + (number + 0.5) * stretch
            near = np.flatnonzero(np.abs(self.covered - aim) <= window * stretch)
            near = near[near > places[-1]] if places else near
            if len(near):
                places.append(int(near[np.argmax(self.sharpness[near])]))
            else:  # the picture jumps past the place within one frame
                nearest = int(np.argmin(np.abs(self.covered - aim)))
                if not places or nearest > places[-1]:
                    places.append(nearest)
        return self._out_of_blur(places, apart * stretch, config.sharpness.blurred_share)

    def _out_of_blur(self, places: Sequence[int], apart: float, blurred_share: float) -> list[int]:
        moved = list(places)
        order = np.arange(len(self.frames))
        for number, place in enumerate(places):
            free = np.ones(len(order), bool)
            if number > 0:
                free &= (order > moved[number - 1]) & (self.covered >= self.covered[moved[number - 1]] + apart)
            if number + 1 < len(places):
                free &= (order < places[number + 1]) & (self.covered <= self.covered[places[number + 1]] - apart)
            sharpest = int(np.argmax(np.where(free, self.sharpness, -1.0)))
            if free[sharpest] and self.sharpness[place] < blurred_share * self.sharpness[sharpest]:
                moved[number] = sharpest
        return moved


def shots_of(clip: int, analysis: VideoAnalysis, again: float) -> list[Shot]:
    """The shots of a clip. Motion through what was shown once before counts for `again` of what it is.

    Frames of what was shown more often than that are in no shot, and the way through it counts for nothing.
    """
    found = np.flatnonzero(analysis.decoded)
    weight = np.array([1.0, again, 0.0])[analysis.visits[found]]
    covered = np.cumsum(weight * np.diff(analysis.travelled[found], prepend=0.0))
    shots = []
    for number in np.unique(analysis.shot[found]):
        mine = (analysis.shot[found] == number) & (analysis.visits[found] < 2)
        if mine.any():
            frames = found[mine]
            visits, sharp = analysis.visits[frames], analysis.sharpness[frames]
            shots.append(Shot(clip, frames, analysis.travelled[frames], covered[mine], sharp, visits, analysis.images))
    return shots


def common_step(shots: Sequence[Shot], config: SelectConfig) -> float:
    """`min_motion`, or the least step above it that gives no more than `max_frames` images, or one below that gives a
    few frames."""
    min_motion, max_frames = config.min_motion, config.max_frames

    def total(step: float) -> int:
        return sum(shot.count(step) * shot.images for shot in shots)

    def frames(step: float) -> int:
        return sum(shot.count(step) for shot in shots)

    if total(min_motion) <= max_frames:
        closer = (float(step) for step in np.geomspace(min_motion, min_motion * config.spacing.closer, 9))
        fitting = [step for step in closer if total(step) <= max_frames]
        return next((step for step in fitting if frames(step) >= config.spacing.few), fitting[-1])
    low, high = min_motion, 2.1 * max(shot.motion for shot in shots)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if total(middle) <= max_frames else (middle, high)
    return high
