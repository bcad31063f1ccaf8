"""Folds: two parts of a capture that are right in themselves and wrong to each other.

All matches within the parts agree, so the share over the whole stays high; those across the cut do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackNoConvergence, eigsh

from ...arrays import Bool, Float, Int
from ...grouping import Groups
from ..solve.problem import Problem
from ..solve.score import AGREE_PX

__all__ = ["Cut", "weakest_cut"]


_FEWEST_ACROSS = 45  # matches, three pairs' worth: fewer say nothing of a cut
_DENSE_UP_TO = 300  # frames: all eigenvectors of so small a matrix cost less than a search for two
_LANCZOS_VECTORS, _LANCZOS_RESTARTS = 60, 30
_SHIFT = 1e-4  # beyond the greatest eigenvalue, 1, where the shifted matrix can still be factorised


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
    place[_order(ends, good[inside], count)] = np.arange(count)
    agreeing, across = (_across_cuts(place[ends], weight[inside], count) for weight in (good, total))
    enough = across >= _FEWEST_ACROSS
    if not enough.any():
        return None
    share = np.where(enough, agreeing / np.maximum(across, 1), np.inf)
    weakest = int(share.argmin())
    one, other = (np.zeros(len(frames), bool) for _ in range(2))
    one[np.flatnonzero(frames)[place <= weakest]] = True
    other[np.flatnonzero(frames)[place > weakest]] = True
    return Cut(float(share[weakest]), one, other)


def _across_cuts(places: Int, weight: Float, count: int) -> Float:
    """(N - 1,) sum of the weights of edges with ends at `places` (E, 2) over each gap between neighbouring places."""
    first, last = places.min(axis=1), places.max(axis=1)
    change = np.bincount(first, weight, count) - np.bincount(last, weight, count)
    return np.asarray(change.cumsum()[:-1])


def _order(ends: Int, weight: Float, count: int) -> Int:
    """(N,) frames component by component of the graph with edges (E, 2), in each along its Fiedler vector."""
    joined = weight > 0
    both = np.concatenate([ends[joined], ends[joined, ::-1]])
    graph = csr_matrix((np.tile(weight[joined], 2), (both[:, 0], both[:, 1])), shape=(count, count))
    components, label = connected_components(graph, directed=False)
    members_of = Groups.of(label, components)
    along = np.zeros(count)
    for number in np.flatnonzero(members_of.sizes > 2).tolist():
        members = members_of[number]
        along[members] = _fiedler_vector(graph[members][:, members])
    return np.lexsort((along, label))


def _fiedler_vector(weights: csr_matrix) -> Float:
    """(N,) second eigenvector of the normalised Laplacian of a connected graph, scaled back to its nodes.

    It belongs to the second greatest eigenvalue of the normalised weights, which Lanczos' method finds at once where
    everything is linked to everything. Where frames form a chain its eigenvalues crowd, but the matrix is quickly
    factorised, and so inverted around the greatest.
    """
    scale = 1 / np.sqrt(np.asarray(weights.sum(axis=1)).ravel())
    normalised = diags_array(scale) @ weights @ diags_array(scale)
    count = len(scale)
    if count <= _DENSE_UP_TO:
        return np.asarray(np.linalg.eigh(normalised.toarray())[1][:, -2] * scale)
    start = np.random.default_rng(0).normal(size=count)
    try:
        values, vectors = eigsh(normalised, 2, which="LA", v0=start, ncv=_LANCZOS_VECTORS, maxiter=_LANCZOS_RESTARTS)
    except ArpackNoConvergence:
        values, vectors = eigsh(normalised.tocsc(), 2, sigma=1 + _SHIFT, v0=start)
    return np.asarray(vectors[:, np.argmin(values)] * scale)
