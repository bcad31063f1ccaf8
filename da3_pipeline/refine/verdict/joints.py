"""Which frames are joined to the rest by a learned matcher alone."""

from __future__ import annotations

import numpy as np

from ...arrays import Bool, Float, Int
from ..matching.correspondences import Correspondences
from ..matching.pairs import components
from ..solve.score import AGREE_PX

__all__ = ["hang_on_learned"]


def hang_on_learned(correspondences: Correspondences, errors_px: Float, refined: Bool, least: int) -> Int:
    """Numbers of `refined` (N,) frames that no pair of `least` agreeing SIFT matches joins to the most of them.

    errors_px (M,): of all matches, pair after pair. None where no learned matcher took part.
    """
    escalation = correspondences.escalation
    if escalation is None or not refined.any():
        return np.zeros(0, np.int64)
    ends = np.cumsum([len(pair) for pair in correspondences.pairs])
    held = []
    for pair, errors in zip(correspondences.pairs, np.split(errors_px, ends[:-1]), strict=True):
        if refined[[pair.i, pair.j]].all() and (escalation.by_sift(pair) & (errors < AGREE_PX)).sum() >= least:
            held.append((pair.i, pair.j))
    labels = components(len(refined), held)
    return np.flatnonzero(refined & (labels != np.bincount(labels[refined]).argmax()))
