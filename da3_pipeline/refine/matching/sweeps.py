"""Sweeps of the Fiedler vector: frames in an order in which what hardly holds together comes apart.

Cut between any two neighbours of that order, a graph of matches shows where it is thin. Frames there may each have
partners enough, on their own side. The order is that of normalised cuts (Shi and Malik 2000).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackNoConvergence, eigsh

from ...arrays import Bool, Float, Int
from ...grouping import Groups
from ..config import PairConfig

__all__ = ["ThinCut", "across_gaps", "fiedler_order", "thin_cuts"]


_DENSE_UP_TO = 300  # frames: all eigenvectors of so small a matrix cost less than a search for two
_LANCZOS_VECTORS, _LANCZOS_RESTARTS = 60, 30
_SHIFT = 1e-4  # beyond the greatest eigenvalue, 1, where the shifted matrix can still be factorised


@dataclass(frozen=True)
class ThinCut:
    """far (N,): the frames on the far side of it, by the order. beside (N,): those nearest to it, on either side."""

    far: Bool
    beside: Bool

    def across(self) -> set[tuple[int, int]]:
        """All pairs of the frames beside it, one on either side."""
        near, far = (np.flatnonzero(self.beside & side).tolist() for side in (~self.far, self.far))
        return {(min(i, j), max(i, j)) for i in near for j in far}


def thin_cuts(count: int, pairs: Sequence[tuple[int, int]], matches: Sequence[int], plan: PairConfig) -> list[ThinCut]:
    """The thin places of the graph of `count` frames and verified `pairs` with so many `matches` each.

    A cut is thin where the matches across are a small share of those of the few frames nearest on either side: its
    conductance, but of its surroundings alone. It does not depend on how much is matched. Of thin cuts side by side the
    thinnest counts; that nothing crosses one is no thin place but two components.
    """
    if not pairs or not plan.thin_share:
        return []
    ends, weight = np.array(pairs, np.int64), np.array(matches, float)
    order = fiedler_order(ends, weight, count)
    place = np.empty(count, np.int64)
    place[order] = np.arange(count)
    across = across_gaps(place[ends], weight, count)
    held = np.cumsum(np.append(0.0, np.bincount(place[ends].ravel(), np.repeat(weight, 2), count)))
    middle = np.arange(1, count)  # the frames from there on are on the far side
    before = held[middle] - held[np.maximum(middle - plan.thin_beside, 0)]
    after = held[np.minimum(middle + plan.thin_beside, count)] - held[middle]
    share = across / np.maximum(np.minimum(before, after), 1.0)
    thin = np.flatnonzero((across > 0) & (share < plan.thin_share))
    runs = np.split(thin, np.flatnonzero(np.diff(thin) > 1) + 1) if len(thin) else []
    thinnest = [int(middle[run[share[run].argmin()]]) for run in runs]
    return [ThinCut(place >= at, np.abs(place - at + 0.5) < plan.thin_beside) for at in thinnest]


def across_gaps(places: Int, weight: Float, count: int) -> Float:
    """(N - 1,) sum of the weights of edges with ends at `places` (E, 2) over each gap between neighbouring places."""
    first, last = places.min(axis=1), places.max(axis=1)
    change = np.bincount(first, weight, count) - np.bincount(last, weight, count)
    return np.asarray(change.cumsum()[:-1])


def fiedler_order(ends: Int, weight: Float, count: int) -> Int:
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
