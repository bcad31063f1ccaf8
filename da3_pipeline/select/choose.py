"""Which frames of analysed videos to take: pure arithmetic on what `analyse` found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .analysis import VideoAnalysis

__all__ = ["Choice", "choose"]

_WINDOW = 0.35  # of a step to either side of the place aimed at: neighbours stay 0.3 of a step apart at least
_STILL = 0.25  # of the least step: less motion than this is standing still
_BLURRED = 0.6  # of the sharpness found on both sides within a step
_SMEARED_PICK = 0.45  # of the median sharpness of the picks around
_REACH = 4  # picks to either side
_FEW = 12  # frames below which a clip of little motion is looked at more closely
_CLOSER = 0.25  # of the least step, at most
_BISECTIONS = 60
_SMEARED = "blurred: sharper frames just before and after were taken"


@dataclass(frozen=True)
class Choice:
    """`taken` indices into a clip's frames, rising; `reasons` why each other frame is left out.

    pose_only: those of the taken that are too blurred to train on, and bridge what lies on either side."""

    taken: NDArray[np.int64]
    reasons: dict[int, str]
    pose_only: frozenset[int] = frozenset()


@dataclass(frozen=True)
class _Shot:
    """A stretch of one clip without a cut. frames, travelled, sharpness (n,): its decoded frames."""

    clip: int
    frames: NDArray[np.int64]
    travelled: NDArray[np.float64]
    sharpness: NDArray[np.float64]

    @property
    def motion(self) -> float:
        return float(self.travelled[-1] - self.travelled[0])

    def count(self, step: float) -> int:
        """How many frames the shot gives at this step."""
        return min(1 + int(self.motion / step + 0.5), len(self.frames))


def choose(
    analyses: Sequence[VideoAnalysis], times_s: Sequence[NDArray[np.float64]], min_motion: float, max_frames: int
) -> list[Choice]:
    """Equal steps of image motion, the sharpest frame near each; one `Choice` a clip.

    The step is `min_motion`; more, where that is needed to bring all clips together within `max_frames`; down to a
    quarter of it where the clips would give less than a dozen. Each shot gives at least one frame, and exactly one if
    the camera stands still; where there are more shots than `max_frames`, those with the most motion give theirs.
    `times_s` are told in the reasons.
    """
    shots = [shot for number, analysis in enumerate(analyses) for shot in _shots(number, analysis)]
    kept = sorted(shots, key=lambda shot: -shot.motion)[:max_frames]
    step = _step(kept, min_motion, max_frames)
    picked: dict[int, list[int]] = {number: [] for number in range(len(analyses))}
    blurred: set[tuple[int, int]] = set()
    bridging: set[tuple[int, int]] = set()
    for shot in kept:
        places = _pick(shot, step)
        rejected = _blurred_places(shot, places, step)
        bridges = _smeared_places(shot, places) - rejected
        bridging |= {(shot.clip, int(shot.frames[place])) for place in bridges}
        blurred |= {(shot.clip, int(shot.frames[place])) for place in rejected}
        picked[shot.clip] += [int(shot.frames[place]) for place in places if place not in rejected]
    full = f"over the budget of {max_frames} frames" if step > min_motion or len(kept) < len(shots) else ""
    choices = []
    for number, (analysis, times) in enumerate(zip(analyses, times_s, strict=True)):
        taken = np.array(sorted(picked[number]), np.int64)
        why = _Reasons(analysis, times, taken, min_motion * _STILL, full)
        left_out = sorted(set(range(len(times))) - set(taken.tolist()))
        smeared = {frame: _SMEARED for clip, frame in blurred if clip == number}
        pose_only = frozenset(frame for clip, frame in bridging if clip == number)
        choices.append(Choice(taken, {frame: smeared.get(frame) or why.of(frame) for frame in left_out}, pose_only))
    return choices


def _shots(clip: int, analysis: VideoAnalysis) -> list[_Shot]:
    found = np.flatnonzero(analysis.decoded)
    shots = []
    for number in np.unique(analysis.shot[found]):
        frames = found[analysis.shot[found] == number]
        shots.append(_Shot(clip, frames, analysis.travelled[frames], analysis.sharpness[frames]))
    return shots


def _step(shots: Sequence[_Shot], min_motion: float, max_frames: int) -> float:
    """`min_motion`, or the least step above it that gives no more than `max_frames`, or one below that gives a few."""

    def total(step: float) -> int:
        return sum(shot.count(step) for shot in shots)

    if total(min_motion) <= max_frames:
        closer = (float(step) for step in np.geomspace(min_motion, min_motion * _CLOSER, 9))
        fitting = [step for step in closer if total(step) <= max_frames]
        return next((step for step in fitting if total(step) >= _FEW), fitting[-1])
    low, high = min_motion, 2.1 * max(shot.motion for shot in shots)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if total(middle) <= max_frames else (middle, high)
    return high


def _pick(shot: _Shot, step: float) -> list[int]:
    """Places in the shot: per equal stretch of its motion the sharpest frame near the middle."""
    count = shot.count(step)
    stretch = shot.motion / count
    places: list[int] = []
    for number in range(count):
        aim = shot.travelled[0] + (number + 0.5) * stretch
        near = np.flatnonzero(np.abs(shot.travelled - aim) <= _WINDOW * stretch)
        near = near[near > places[-1]] if places else near
        if len(near):
            places.append(int(near[np.argmax(shot.sharpness[near])]))
        else:  # the picture jumps past the place within one frame
            nearest = int(np.argmin(np.abs(shot.travelled - aim)))
            if not places or nearest > places[-1]:
                places.append(nearest)
    return places


def _blurred_places(shot: _Shot, places: Sequence[int], step: float) -> set[int]:
    """Picks far less sharp than frames within a step on both sides, which show nearly the same; never two in a row."""
    blurred: set[int] = set()
    for before, place in zip([-1, *places[:-1]], places, strict=True):
        distance = shot.travelled - shot.travelled[place]
        limit = shot.sharpness[place] / _BLURRED
        order = np.arange(len(distance))
        sharp = shot.sharpness > limit
        left = sharp & (distance >= -step) & (order < place)
        right = sharp & (distance <= step) & (order > place)
        if before not in blurred and left.any() and right.any():
            blurred.add(place)
    return blurred if len(places) - len(blurred) >= 2 else set()


def _smeared_places(shot: _Shot, places: Sequence[int]) -> set[int]:
    """Picks far less sharp than the median of their neighbours among the picks: no better frame was near."""
    values = shot.sharpness[list(places)]
    found = {
        place
        for number, place in enumerate(places)
        if values[number] < _SMEARED_PICK * np.median(values[max(0, number - _REACH) : number + _REACH + 1])
    }
    return found if len(places) - len(found) >= 2 else set()


@dataclass(frozen=True)
class _Reasons:
    """Why frames of one clip are left out. `still` is motion that counts as none; `full` is empty within the budget."""

    analysis: VideoAnalysis
    times_s: NDArray[np.float64]
    taken: NDArray[np.int64]
    still: float
    full: str

    def of(self, frame: int) -> str:
        """One clause about a frame that was not taken, beside the one that was taken in its place."""
        analysis = self.analysis
        if not analysis.decoded[frame]:
            return "it cannot be decoded"
        same_shot = self.taken[analysis.shot[self.taken] == analysis.shot[frame]]
        if len(same_shot) == 0:
            return self.full
        distance = np.abs(analysis.travelled[same_shot] - analysis.travelled[frame])
        other = int(same_shot[np.lexsort((np.abs(same_shot - frame), distance))[0]])
        apart = f"{abs(self.times_s[other] - self.times_s[frame]):.2f} s away"
        if analysis.sharpness[frame] < _BLURRED * analysis.sharpness[other]:
            return f"blurred: a sharper frame {apart} was taken"
        if distance.min() < self.still:
            return f"stationary: the frame {apart} shows the same"
        return self.full or f"the frame {apart} is close enough"
