"""Two-view geometry that decides which matches are true; it never sees the prior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["PairMatches"]


@dataclass(frozen=True)
class PairMatches:
    """The verified matches of frames i < j.

    matches (M, 2) int32 indices into the features of i and of j; each keypoint occurs at most once.
    fundamental (3, 3): x_j^T F x_i = 0 in original pixels, corner origin.
    homography_share: share of the matches that one homography explains too (planar scene or pure rotation when near 1).
    raw_count: matches before verification.
    """

    i: int
    j: int
    matches: NDArray[np.int32]
    fundamental: NDArray[np.float64]
    homography_share: float
    raw_count: int
