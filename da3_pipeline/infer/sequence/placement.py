"""Where the passes lie in one world: overlaps, closed loops and given poses, weighed against each other."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from ...arrays import Bool, Float
from ...geometry import sim3_matrix
from .chunk_alignment import align_chunks, align_to_cameras
from .pieces import Pieces
from .pose_graph import Edge, chained, solve_graph

__all__ = ["Placement", "overlap_edges", "place"]


logger = logging.getLogger(__name__)

_FEW_PASSES = 12  # up to here every pass is compared with every other
_MOST_SHARED = 24  # frames of an overlap that are read
_KEPT = 0.25  # weight under which a loop counts as switched off
_SEVERAL_LOOPS, _MOST_LOOPS = 3, 0.7
_BENDS = (2.0, 4.0)  # further, wrong loops would find room as well


@dataclass(frozen=True)
class Placement:
    """For each pass (V, 4, 4) world_from_view of its views; how many of the loops the graph agreed with."""

    placed: list[Float]
    loops: int


def overlap_edges(pieces: Pieces) -> list[Edge]:
    """What the frames say that two passes share: neighbours, any and the first, and all where passes are few."""
    passes = pieces.passes
    everyone = range(len(passes))
    pairs = list(combinations(everyone, 2))
    if len(passes) > _FEW_PASSES:
        pairs = sorted({*pairwise(everyone), *((0, other) for other in everyone[1:])})
    edges = []
    for first, second in pairs:
        _, here, there = np.intersect1d(passes[first].indices, passes[second].indices, return_indices=True)
        usable = np.flatnonzero(passes[first].usable[here] & passes[second].usable[there])
        if len(usable) > _MOST_SHARED:
            usable = usable[np.linspace(0, len(usable) - 1, _MOST_SHARED).round().astype(np.int64)]
        if not len(usable):
            if second == first + 1:
                logger.warning("nothing ties frame %d to the frames before it", passes[second].indices[0])
            continue
        here, there = here[usable], there[usable]
        alignment = align_chunks(passes[second].views(there), passes[first].views(here))
        if alignment is not None:
            nodes = pieces.node(first, float(np.median(here))), pieces.node(second, float(np.median(there)))
            edges.append(Edge(*nodes, sim3_matrix(alignment.target_from_source), alignment.information))
    return edges


def place(pieces: Pieces, edges: Sequence[Edge], known: Mapping[int, Float]) -> Placement:
    """Solve for all pieces.

    The world is that of the poses `known` by frame, where there are any, else that of the first pass. How much a pass
    is bent in itself depends on the network and cannot be seen in the pass: it is taken for as little as leaves most
    of several loops standing, which were each verified by themselves.
    """
    edges = [*edges, *_edges_to_given(pieces, known)]
    tied = any(pieces.count in (edge.first, edge.second) for edge in edges)
    root = pieces.count if tied else 0
    loops = np.array([edge.closes_loop for edge in edges], bool)

    def solve(bend: float) -> tuple[Float, Bool]:
        graph = [*edges, *pieces.edges(bend)]
        solution = solve_graph(chained(pieces.count + tied, graph, root), graph, root)
        return solution.world_from_node, solution.weight[: len(edges)][loops] > _KEPT

    nodes, held = usual = solve(1.0)
    if loops.sum() >= _SEVERAL_LOOPS:
        for bend in _BENDS:
            if held.mean() >= _MOST_LOOPS:
                break
            nodes, held = solve(bend)
        else:
            nodes, held = usual
    if len(held):
        logger.info("%d of %d loops hold", held.sum(), len(held))
    return Placement(pieces.by_view(nodes), int(held.sum()))


def _edges_to_given(pieces: Pieces, known: Mapping[int, Float]) -> list[Edge]:
    """From the given world, the node after the last piece, to every piece that holds frames whose poses are known."""
    edges = []
    for order, one in enumerate(pieces.passes):
        by_node: dict[int, list[int]] = {}
        for row, frame in enumerate(one.indices):
            if int(frame) in known and one.usable[row]:
                by_node.setdefault(pieces.node(order, row), []).append(row)
        for node, rows in by_node.items():
            given = np.stack([known[int(one.indices[row])] for row in rows])
            alignment = align_to_cameras(one.views(rows), given)
            if alignment is not None:
                matrix = sim3_matrix(alignment.target_from_source)
                edges.append(Edge(pieces.count, node, matrix, alignment.information))
    return edges
