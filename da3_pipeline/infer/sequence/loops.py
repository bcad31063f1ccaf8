"""Places that are visited again: looked for by descriptors, asked of the network, believed only when all agrees.

A false loop is worse than none. Two stretches that look alike are shown to the network together; its answer must
fit the chunks in which each of them was seen before, and the two stretches must show the same surfaces and the same
picture of them. What is left still has to agree with the rest of the pose graph, which can switch it off.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from ...arrays import Float, Int
from ...geometry import invert_sim3, sim3_adjoint, sim3_matrix
from ...progress import Progress
from ..config import LoopConfig, SequenceConfig
from .chunk_alignment import ChunkAlignment, align_chunks, information_at
from .chunks import ChunkPredictor, ChunkTooLargeError
from .loop_check import mutual_consistency
from .placement import Segments
from .pose_graph import Edge
from .revisits import Revisit, find_revisits

__all__ = ["LoopSearch", "close_loops"]


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoopSearch:
    """The loops found, and how many revisits were tried."""

    edges: tuple[Edge, ...]
    tried: int


@dataclass(frozen=True)
class _Window:
    """A stretch of frames inside one chunk: the chunk's order, positions in it, frame indices."""

    order: int
    positions: Int
    frames: Int


def close_loops(segments: Segments, predict: ChunkPredictor, config: SequenceConfig, progress: Progress) -> LoopSearch:
    """Edges between segments that show the same place, from at most as many tries as chunks: time stays linear."""
    orders, positions = _best_seen(segments)
    described = [one.small.get("descriptors") for one in segments.chunks]
    if any(array is None for array in described):
        return LoopSearch((), 0)
    rows = [described[order][position] for order, position in zip(orders, positions, strict=True)]
    revisits = find_revisits(np.stack(rows), orders, len(segments.chunks), config.revisits)
    edges = []
    for tried, revisit in enumerate(revisits):
        first, second = (
            _window(segments, int(orders[row]), int(positions[row]), config.loops.half_window)
            for row in (revisit.first, revisit.second)
        )
        edge = _verified(segments, (first, second), predict, revisit, config)
        predict.reader.release()
        if edge is not None:
            edges.append(edge)
        progress.step(tried + 1, len(revisits), "revisits checked")
    logger.info("%d of %d revisits that look alike are loops", len(edges), len(revisits))
    return LoopSearch(tuple(edges), len(revisits))


def _best_seen(segments: Segments) -> tuple[Int, Int]:
    """Of every usable frame, ascending: the chunk in which it is most central, its position there."""
    best: dict[int, tuple[int, int, int]] = {}
    for order, one in enumerate(segments.chunks):
        for position in np.flatnonzero(one.usable):
            margin = min(int(position), len(one) - 1 - int(position))
            frame = int(one.indices[position])
            if frame not in best or margin > best[frame][0]:
                best[frame] = (margin, order, int(position))
    frames = sorted(best)
    return (
        np.array([best[frame][1] for frame in frames], np.int64),
        np.array([best[frame][2] for frame in frames], np.int64),
    )


def _window(segments: Segments, order: int, position: int, reach: int) -> _Window:
    one = segments.chunks[order]
    around = np.arange(max(0, position - reach), min(len(one), position + reach + 1))
    around = around[one.usable[around]]
    return _Window(order, around, one.indices[around])


def _verified(
    segments: Segments,
    windows: tuple[_Window, _Window],
    predict: ChunkPredictor,
    revisit: Revisit,
    config: SequenceConfig,
) -> Edge | None:
    """The edge between two windows, or None where anything speaks against it."""
    first, second = windows
    indices = np.concatenate([first.frames, second.frames])
    if min(len(first.frames), len(second.frames)) < config.loops.fewest_views or (np.diff(indices) <= 0).any():
        return None
    name = f"loop-{first.frames[0]:06d}-{second.frames[0]:06d}"
    try:
        joint = predict(name, indices)
    except ChunkTooLargeError:
        return None
    except OSError as error:  # a photograph that could be read before
        logger.warning("the revisit of frame %d cannot be checked: %s", second.frames[0], error)
        return None
    here, there = joint.views(np.arange(len(first.frames))), joint.views(np.arange(len(first.frames), len(indices)))
    to_first = align_chunks(here, segments.chunks[first.order].views(first.positions), config.alignment)
    to_second = align_chunks(there, segments.chunks[second.order].views(second.positions), config.alignment)
    if to_first is None or to_second is None or not (_fits(to_first, config.loops) and _fits(to_second, config.loops)):
        return None
    pixels = predict.reader.stack(indices)
    found = mutual_consistency(here, there, pixels[: len(here)], pixels[len(here) :], config.loops)
    logger.debug("frames %d and %d: similarity %.2f, %s", *indices[[0, -1]], revisit.similarity, found)
    if found.seen < config.loops.least_seen or found.evidence < config.loops.least_evidence:
        return None
    nodes = [segments.node(one.order, float(np.median(one.positions))) for one in windows]
    here = here.subset(np.flatnonzero(here.usable()))
    depth = float(np.median(here.depth[np.isfinite(here.depth) & (here.depth > 0)]))
    middle = here.cam_from_world[len(here) // 2]
    return _edge(nodes, to_first, to_second, information_at(middle, depth, config.loops.joint))


def _fits(alignment: ChunkAlignment, config: LoopConfig) -> bool:
    spread, most = alignment.spread, config.most_spread
    return (
        alignment.agreeing >= config.least_agreeing
        and spread.rotation_deg <= most.rotation_deg
        and spread.centre <= most.centre
        and spread.log_scale <= most.log_scale
    )


def _edge(nodes: list[int], to_first: ChunkAlignment, to_second: ChunkAlignment, joint: Float) -> Edge:
    """first_from_second through the joint chunk; covariances of the three steps add up, each carried to the first."""
    first_from_joint, second_from_joint = (sim3_matrix(one.target_from_source) for one in (to_first, to_second))
    first_from_second = first_from_joint @ invert_sim3(second_from_joint)
    covariance = np.linalg.inv(to_first.information)
    for information, carry in ((joint, first_from_joint), (to_second.information, first_from_second)):
        adjoint = sim3_adjoint(carry)
        covariance = covariance + adjoint @ np.linalg.inv(information) @ adjoint.T
    return Edge(nodes[0], nodes[1], first_from_second, np.linalg.inv(covariance), closes_loop=True)
