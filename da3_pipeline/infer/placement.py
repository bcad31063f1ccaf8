"""Where the passes lie in one world: overlaps, closed loops and given poses, weighed against each other."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from ..geometry import Sim3, sim3_matrix, sim3_of
from .chunk_alignment import align_chunks, align_to_cameras
from .chunk_store import StoredPass
from .pose_graph import Edge, Solution, chained, solve_graph

__all__ = ["overlap_edges", "place"]

Float = NDArray[np.float64]

logger = logging.getLogger(__name__)

_FEW_PASSES = 12  # up to here every pass is compared with every other, later with its neighbour
_MOST_SHARED = 24  # frames of an overlap that are read


def overlap_edges(passes: Sequence[StoredPass]) -> list[Edge]:
    """What the frames say that two passes share: of neighbours, and of all where they are few."""
    few = len(passes) <= _FEW_PASSES
    pairs: Iterable[tuple[int, int]] = combinations(range(len(passes)), 2) if few else pairwise(range(len(passes)))
    edges = []
    for first, second in pairs:
        common, here, there = np.intersect1d(passes[first].indices, passes[second].indices, return_indices=True)
        usable = np.flatnonzero(passes[first].usable[here] & passes[second].usable[there])
        if len(usable) > _MOST_SHARED:
            usable = usable[np.linspace(0, len(usable) - 1, _MOST_SHARED).round().astype(np.int64)]
        if len(usable):
            alignment = align_chunks(passes[second].views(there[usable]), passes[first].views(here[usable]))
            if alignment is not None:
                matrix = sim3_matrix(alignment.target_from_source)
                edges.append(Edge(first, second, matrix, alignment.information))
        elif second == first + 1:
            logger.warning("frames %d to %d hang together by nothing", common.min(initial=0), passes[second].indices[0])
    return edges


def place(
    passes: Sequence[StoredPass], edges: Sequence[Edge], known: Mapping[int, Float]
) -> tuple[list[Sim3], Solution]:
    """world_from_pass of every pass, and the solution of the graph.

    The world is that of the poses `known` by frame, where there are any, else that of the first pass.
    """
    edges = [*edges, *_edges_to_given(passes, known)]
    tied = any(len(passes) in (edge.first, edge.second) for edge in edges)
    count = len(passes) + tied
    root = len(passes) if tied else 0
    start = chained(count, edges, root)
    solution = solve_graph(start, edges, root)
    return [sim3_of(node) for node in solution.world_from_node[: len(passes)]], solution


def _edges_to_given(passes: Sequence[StoredPass], known: Mapping[int, Float]) -> list[Edge]:
    """From the given world, the node after the last pass, to every pass that holds frames whose poses are known."""
    edges = []
    for order, one in enumerate(passes):
        rows = [row for row, frame in enumerate(one.indices) if int(frame) in known and one.usable[row]]
        if rows:
            given = np.stack([known[int(one.indices[row])] for row in rows])
            alignment = align_to_cameras(one.views(rows), given)
            if alignment is not None:
                matrix = sim3_matrix(alignment.target_from_source)
                edges.append(Edge(len(passes), order, matrix, alignment.information))
    return edges
