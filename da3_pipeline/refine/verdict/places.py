"""Where in a capture a gate fails: the frames, pairs or cameras to look at, the worst first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...arrays import Float, Int
from ...types import Frame, Place
from ..solve.parts import Seam
from .folds import Cut
from .jumps import Jump
from .traces import Traces

__all__ = [
    "EVERYWHERE",
    "Locate",
    "across",
    "at_jump",
    "between_pairs",
    "disagreeing_pairs",
    "large_errors",
    "least",
    "lost",
    "most",
    "of_camera",
    "of_frames",
    "short_name",
    "whole_capture",
]

Locate = Callable[[Traces, float], Place]
"""The place of a gate that failed, from the traces and the gate's limit."""

EVERYWHERE = Place("the whole capture")
_NAMED = 2  # frames or pairs in words; the rest is counted
_LONG = 32  # letters of a name
_PAIRS = 3  # that disagree most


def whole_capture(traces: Traces, limit: float) -> Place:
    """Of a figure that no frame has by itself."""
    return EVERYWHERE


def least(figure: Callable[[Traces], Float]) -> Locate:
    """The frames whose figure is below the limit, or that have the least of all where none is."""
    return lambda traces, limit: _worst(traces, figure(traces), limit)


def most(figure: Callable[[Traces], Float]) -> Locate:
    """The same above the limit."""
    return lambda traces, limit: _worst(traces, -figure(traces), -limit)


def large_errors(traces: Traces, limit: float) -> Place:
    """The frames that have more of the errors beyond the limit than the twentieth that may be."""
    return _worst(traces, -traces.large_errors(limit), -0.05)


def lost(traces: Traces, limit: float) -> Place:
    """The frames that should be refined and are not."""
    return of_frames(traces, np.flatnonzero(traces.wanted & ~traces.assembly.refined))


def between_pairs(pairs: Callable[[Traces], Int]) -> Locate:
    """These pairs of frames (K, 2)."""
    return lambda traces, limit: _pairs(traces, pairs(traces))


def disagreeing_pairs(traces: Traces, limit: float) -> Place:
    """The pairs with the most matches that the poses do not explain."""
    wrong = traces.wrong_matches
    order = np.argsort(-wrong, kind="stable")[:_PAIRS]
    return _pairs(traces, traces.problem.matches.frames[order[wrong[order] > 0]])


def across(cut: Callable[[Traces], Cut | Seam | None]) -> Locate:
    """The pair with the most matches between the two parts: there they should meet."""

    def locate(traces: Traces, limit: float) -> Place:
        found = cut(traces)
        if found is None:
            return EVERYWHERE
        matches = traces.problem.matches
        first, second = matches.frames.T
        joins = (found.one[first] & found.other[second]) | (found.other[first] & found.one[second])
        total = np.where(joins, np.bincount(matches.pair, minlength=len(matches.frames)), 0)
        return _pairs(traces, matches.frames[[int(total.argmax())]])

    return locate


def at_jump(jump: Callable[[Traces], Jump | None]) -> Locate:
    """The frames before and after it."""

    def locate(traces: Traces, limit: float) -> Place:
        found = jump(traces)
        return EVERYWHERE if found is None else _pairs(traces, np.array([[found.before, found.after]]))

    return locate


def of_camera(badness: Callable[[Traces], dict[str, float]]) -> Locate:
    """The frames of the camera that is worst."""

    def locate(traces: Traces, limit: float) -> Place:
        scores = badness(traces)
        if not scores:
            return EVERYWHERE
        place = of_frames(traces, traces.problem.frames_of(max(scores, key=scores.__getitem__)))
        return Place(f"the camera of {place.words}", place.frames)

    return locate


def of_frames(traces: Traces, frames: Int) -> Place:
    """These frames; everywhere without any."""
    return Place(_some(traces, frames), _names(traces, frames)) if len(frames) else EVERYWHERE


def _worst(traces: Traces, figure: Float, limit: float) -> Place:
    """The frames below the limit, the least first."""
    known = np.flatnonzero(~np.isnan(figure))
    order = known[np.argsort(figure[known], kind="stable")]
    below = order[figure[order] < limit]
    if len(order) > 2 * _NAMED and 2 * len(below) > len(order):
        return Place(f"most of the capture (worst: {_some(traces, below[:_NAMED])})", _names(traces, below))
    return of_frames(traces, below if len(below) else order[:_NAMED])


def _pairs(traces: Traces, pairs: Int) -> Place:
    if not len(pairs):
        return EVERYWHERE
    pairs = pairs[np.sort(np.unique(np.sort(pairs, axis=1), axis=0, return_index=True)[1])]
    named = [_some(traces, pair) for pair in pairs[:_NAMED]]
    more = len(pairs) - _NAMED
    words = ", ".join(named) + (f", and {more} more" if more > 0 else "")
    return Place(words, tuple(dict.fromkeys(_names(traces, pairs.ravel()))))


def _names(traces: Traces, frames: Int) -> tuple[str, ...]:
    return tuple(traces.frames[k].name for k in frames.tolist())


def _some(traces: Traces, frames: Int) -> str:
    """A few of the frames in words, and how many more there are."""
    words = [_words(traces.frames[k]) for k in frames[:_NAMED].tolist()]
    more = len(frames) - _NAMED
    return ", ".join(words) + f" and {more} more" if more > 0 else " and ".join(words)


def _words(frame: Frame) -> str:
    """What a person finds the frame by: of a video its time."""
    if frame.video is not None and frame.time_s is not None:
        return f"{frame.video.partition('#')[0]} at {frame.time_s:.1f} s"
    return short_name(frame.name)


def short_name(name: str) -> str:
    """The name, or what it ends in, the middle left out of a long one."""
    if len(name) <= _LONG:
        return name
    last = name.rpartition("/")[2]
    return last if len(last) <= _LONG else f"{last[: _LONG // 2]}…{last[-_LONG // 2 :]}"
