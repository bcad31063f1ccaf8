"""Folds: two parts of a capture that are right in themselves and wrong to each other.

All matches within the parts agree, so the share over the whole stays high; those across the cut do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import Bool, Float
from ..matching.sweeps import across_gaps, fiedler_order
from ..solve.problem import Problem
from ..solve.score import AGREE_PX

__all__ = ["Cut", "weakest_cut"]


_FEWEST_ACROSS = 45  # matches, three pairs' worth: fewer say nothing of a cut


@dataclass(frozen=True)
class Cut:
    """Two parts of the frames, `one` and `other` (N,), and the share of the matches between them that agree."""

    agreement: float
    one: Bool
    other: Bool


def weakest_cut(problem: Problem, errors_px: Float, frames: Bool) -> Cut | None:
    """The cut of `frames` (N,) in two, of those tried, that the least share agrees across; None where none can be.

    Cuts are the sweeps of the Fiedler vector of the graph of agreeing matches (Shi and Malik 2000): it orders frames
    so that parts which hardly agree with each other come apart. errors_px (M,) as of `match_errors_px`. Memory grows
    with the number of matched pairs, and so does time on graphs of video and of photographs.
    """
    index = np.cumsum(frames) - 1
    count = int(frames.sum())
    pairs = problem.matches.frames
    total = np.bincount(problem.matches.pair, minlength=len(pairs)).astype(float)
    good = np.bincount(problem.matches.pair[errors_px < AGREE_PX], minlength=len(pairs)).astype(float)
    inside = frames[pairs].all(1) if len(pairs) else np.zeros(0, bool)
    if count < 4 or not inside.any():
        return None
    ends = index[pairs[inside]]
    place = np.empty(count, np.int64)
    place[fiedler_order(ends, good[inside], count)] = np.arange(count)
    agreeing, across = (across_gaps(place[ends], weight[inside], count) for weight in (good, total))
    enough = across >= _FEWEST_ACROSS
    if not enough.any():
        return None
    share = np.where(enough, agreeing / np.maximum(across, 1), np.inf)
    weakest = int(share.argmin())
    one, other = (np.zeros(len(frames), bool) for _ in range(2))
    one[np.flatnonzero(frames)[place <= weakest]] = True
    other[np.flatnonzero(frames)[place > weakest]] = True
    return Cut(float(share[weakest]), one, other)
