"""Folds: two parts of a capture that are right in themselves and wrong to each other.

All matches within the parts agree, so the share over the whole stays high; those across the cut do not.
"""

from __future__ import annotations

import numpy as np

from ...arrays import Bool, Float
from ..solve.problem import Problem
from ..solve.score import AGREE_PX

__all__ = ["weakest_cut"]


_FEWEST_ACROSS = 45  # matches, three pairs' worth: fewer say nothing of a cut


def weakest_cut(problem: Problem, errors_px: Float, frames: Bool) -> float:
    """Least share of agreeing matches across any cut of `frames` (N,) in two that is tried; NaN where none can be.

    Cuts are the sweeps of the Fiedler vector of the graph of agreeing matches (Shi and Malik 2000): it orders frames
    so that parts which hardly agree with each other come apart. errors_px (M,) as of `match_errors_px`.
    """
    index = np.cumsum(frames) - 1
    count = int(frames.sum())
    pairs = problem.matches.frames
    total = np.bincount(problem.matches.pair, minlength=len(pairs)).astype(float)
    good = np.bincount(problem.matches.pair[errors_px < AGREE_PX], minlength=len(pairs)).astype(float)
    inside = frames[pairs].all(1) if len(pairs) else np.zeros(0, bool)
    if count < 4 or not inside.any():
        return float("nan")
    all_matches, agreeing = np.zeros((count, count)), np.zeros((count, count))
    i, j = index[pairs[inside]].T
    all_matches[i, j] = all_matches[j, i] = total[inside]
    agreeing[i, j] = agreeing[j, i] = good[inside]
    order = np.argsort(_fiedler_vector(agreeing), kind="stable")
    all_matches, agreeing = all_matches[np.ix_(order, order)], agreeing[np.ix_(order, order)]
    across = np.array([[m[:k, k:].sum() for k in range(1, count)] for m in (agreeing, all_matches)])
    enough = across[1] >= _FEWEST_ACROSS
    return float((across[0] / np.maximum(across[1], 1))[enough].min()) if enough.any() else float("nan")


def _fiedler_vector(weights: Float) -> Float:
    """(N,) second eigenvector of the normalised Laplacian, scaled back to frames."""
    degree = weights.sum(1) + 1e-9
    scale = 1 / np.sqrt(degree)
    laplacian = np.eye(len(weights)) - scale[:, None] * weights * scale[None]
    return np.asarray(np.linalg.eigh(laplacian)[1][:, 1] * scale)
