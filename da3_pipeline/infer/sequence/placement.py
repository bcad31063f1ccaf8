"""Where the chunks lie in one world: overlaps, closed loops and given poses, weighed against each other.

A long chunk is bent in itself. So the pose graph moves segments of a dozen views, tied to their neighbours in the chunk
as firmly as a chunk is usually straight.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from ...arrays import Bool, Float, Int
from ...geometry import invert_sim3, sim3_exp, sim3_log, sim3_matrix
from ..config import AlignmentConfig, PlacementConfig, SequenceConfig, Spread
from .chunk_alignment import align_chunks, align_to_cameras, information_at
from .chunk_store import StoredChunk
from .pose_graph import Edge, chained, solve_graph

__all__ = ["Placement", "Segments", "cut_into_segments", "overlap_edges", "place"]


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Segments:
    """Chunks cut into short segments, the nodes of the pose graph, which may move against each other: a chunk bends.

    `first` (C,): the node of each chunk's first segment; `middles`: for each chunk, where in it the segments have their
    middles; `count` nodes in all.
    """

    chunks: tuple[StoredChunk, ...]
    first: Int
    middles: tuple[Float, ...]
    count: int

    def node(self, order: int, position: float) -> int:
        """The node that a position in a chunk belongs to."""
        return int(self.first[order] + np.abs(self.middles[order] - position).argmin())

    def edges(self, bend: Spread, times: float) -> list[Edge]:
        """That the segments of a chunk are where the chunk has them, up to some times what chunks bend by usually."""
        edges = []
        for order, one in enumerate(self.chunks):
            for left in range(len(self.middles[order]) - 1):
                between = round(self.middles[order][left : left + 2].mean())
                node = int(self.first[order]) + left
                edges.append(Edge(node, node + 1, np.eye(4), _information(one, between, bend) / times**2))
        return edges

    def by_view(self, nodes: Float) -> list[Float]:
        """For each chunk (V, 4, 4) similarities of its views, steadily changing from segment to segment."""
        placed = []
        for order, one in enumerate(self.chunks):
            own = nodes[self.first[order] : self.first[order] + len(self.middles[order])]
            if len(own) == 1:
                placed.append(np.tile(own[0], (len(one), 1, 1)))
                continue
            place = np.interp(np.arange(len(one)), self.middles[order], np.arange(len(own)))
            left = np.minimum(place.astype(np.int64), len(own) - 2)
            step = sim3_log(invert_sim3(own[:-1]) @ own[1:])
            placed.append(own[left] @ sim3_exp((place - left)[:, None] * step[left]))
        return placed


@dataclass(frozen=True)
class Placement:
    """For each chunk (V, 4, 4) world_from_view of its views; how many of the loops the graph agreed with."""

    placed: list[Float]
    loops: int


def cut_into_segments(chunks: Sequence[StoredChunk], bending: bool, config: PlacementConfig) -> Segments:
    """Each chunk in segments of about a dozen views; in one where they are not `bending`: held straight by anchors."""
    middles = []
    for one in chunks:
        segments = max(1, round(len(one) / config.segment_views)) if bending else 1
        borders = np.linspace(0, len(one), segments + 1)
        middles.append((borders[:-1] + borders[1:] - 1) / 2)
    lengths = np.array([len(middle) for middle in middles])
    first = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    return Segments(tuple(chunks), first.astype(np.int64), tuple(middles), int(lengths.sum()))


def overlap_edges(segments: Segments, config: SequenceConfig) -> list[Edge]:
    """What the frames say that two chunks share: neighbours, any and the first, and all where chunks are few."""
    chunks, most = segments.chunks, config.placement.most_shared
    everyone = range(len(chunks))
    pairs = list(combinations(everyone, 2))
    if len(chunks) > config.placement.all_pairs_up_to:
        pairs = sorted({*pairwise(everyone), *((0, other) for other in everyone[1:])})
    edges = []
    for first, second in pairs:
        _, here, there = np.intersect1d(chunks[first].indices, chunks[second].indices, return_indices=True)
        usable = np.flatnonzero(chunks[first].usable[here] & chunks[second].usable[there])
        if len(usable) > most:
            usable = usable[np.linspace(0, len(usable) - 1, most).round().astype(np.int64)]
        if not len(usable):
            if second == first + 1:
                logger.warning("nothing ties frame %d to the frames before it", chunks[second].indices[0])
            continue
        here, there = here[usable], there[usable]
        alignment = align_chunks(chunks[second].views(there), chunks[first].views(here), config.alignment)
        if alignment is not None:
            nodes = segments.node(first, float(np.median(here))), segments.node(second, float(np.median(there)))
            edges.append(Edge(*nodes, sim3_matrix(alignment.target_from_source), alignment.information))
    return edges


def place(segments: Segments, edges: Sequence[Edge], known: Mapping[int, Float], config: SequenceConfig) -> Placement:
    """Solve for all segments.

    The world is that of the poses `known` by frame, where there are any, else that of the first chunk. How much a chunk
    is bent in itself depends on the network and cannot be seen in the chunk: it is taken for as little as leaves most
    of several loops standing, which were each verified by themselves.
    """
    edges = [*edges, *_edges_to_given(segments, known, config.alignment)]
    tied = any(segments.count in (edge.first, edge.second) for edge in edges)
    root = segments.count if tied else 0
    loops = np.array([edge.closes_loop for edge in edges], bool)
    limits = config.placement

    def solve(times: float) -> tuple[Float, Bool]:
        graph = [*edges, *segments.edges(limits.bend, times)]
        solution = solve_graph(chained(segments.count + tied, graph, root), graph, config.graph, root)
        return solution.world_from_node, solution.weight[: len(edges)][loops] > limits.kept_weight

    nodes, held = solve(1.0)
    if loops.sum() >= limits.several_loops and held.mean() < limits.least_standing:
        for times in limits.bends:
            bent, standing = solve(times)
            if standing.mean() >= limits.least_standing:
                nodes, held = bent, standing
                break
    if len(held):
        logger.info("%d of %d loops hold", held.sum(), len(held))
    return Placement(segments.by_view(nodes), int(held.sum()))


def _edges_to_given(segments: Segments, known: Mapping[int, Float], config: AlignmentConfig) -> list[Edge]:
    """From the given world, the node after the last segment, to every segment with frames whose poses are known."""
    edges = []
    for order, one in enumerate(segments.chunks):
        by_node: dict[int, list[int]] = {}
        for row, frame in enumerate(one.indices):
            if int(frame) in known and one.usable[row]:
                by_node.setdefault(segments.node(order, row), []).append(row)
        for node, rows in by_node.items():
            given = np.stack([known[int(one.indices[row])] for row in rows])
            alignment = align_to_cameras(one.views(rows), given, config)
            if alignment is not None:
                matrix = sim3_matrix(alignment.target_from_source)
                edges.append(Edge(segments.count, node, matrix, alignment.information))
    return edges


def _information(one: StoredChunk, position: int, bend: Spread) -> Float:
    """At the usable view nearest to a position; that of a view at the origin at depth 1 where there is none."""
    usable = np.flatnonzero(one.usable)
    if not len(usable):
        return information_at(np.eye(3, 4), 1.0, bend)
    nearest = int(usable[np.abs(usable - position).argmin()])
    depth = one.maps["depth"][nearest]
    with np.errstate(invalid="ignore"):
        known = depth[np.isfinite(depth) & (depth > 0)]
    return information_at(one.small["cam_from_world"][nearest], float(np.median(known)), bend)
