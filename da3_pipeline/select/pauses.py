"""Where the camera stands still."""

from __future__ import annotations

import numpy as np

from ..arrays import Float
from .analysis import VideoAnalysis

__all__ = ["pause_lengths_s"]

_ROUNDING_S = 1e-6


def pause_lengths_s(analysis: VideoAnalysis, times_s: Float, still: float, within_s: float) -> Float:
    """(F,) how long the pause lasts that a frame is in, 0 for frames in none.

    The camera stands where the picture moves by less than `still` (a share of the diagonal) within `within_s` seconds:
    that is a speed of its own, however fast the rest of the clip is. Shorter clips have no pauses.
    """
    lengths = np.zeros(len(times_s))
    for number in np.unique(analysis.shot[analysis.decoded]):
        frames = np.flatnonzero(analysis.decoded & (analysis.shot == number))
        own_s, travelled = times_s[frames], analysis.travelled[frames]
        last = np.searchsorted(own_s, own_s + within_s - _ROUNDING_S)  # the first frame that is so much later
        starts = np.flatnonzero(last < len(frames))
        calm = starts[travelled[last[starts]] - travelled[starts] < still]
        edges = np.zeros(len(frames) + 1, np.int64)
        np.add.at(edges, calm, 1)
        np.add.at(edges, last[calm] + 1, -1)
        standing = np.concatenate([[0], (np.cumsum(edges[:-1]) > 0).astype(np.int64), [0]])
        begins, ends = np.flatnonzero(np.diff(standing) > 0), np.flatnonzero(np.diff(standing) < 0) - 1
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            lengths[frames[begin : end + 1]] = own_s[end] - own_s[begin]
    return lengths
