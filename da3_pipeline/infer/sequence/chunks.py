"""Which frames go into which pass of the network, when one pass cannot hold all of them.

Long captures are walked through: every pass continues where the last one ended and shares its last frames, so that
only one pass is in memory. Photographs of no particular order, when they are few, do better with anchors: a few frames
spread over the whole capture that every pass sees, so that errors do not add up from pass to pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import Float, Int

__all__ = ["ANCHORED_UP_TO", "Chunk", "chunk_layout", "fresh_quota", "view_weights"]


ANCHORED_UP_TO = 200
"""Frames from which on a capture is walked through instead of hung on anchors."""


@dataclass(frozen=True)
class Chunk:
    """One pass. `views` (V,) ascending frame indices the network sees; `run` (R,) those not there as anchors."""

    views: Int
    run: Int


def chunk_layout(count: int, size: int, overlap: int) -> tuple[Chunk, ...]:
    """Anchored passes of at most `size` frames over `count` frames; each frame is in the run of one or two.

    `overlap` frames are shared with the pass before, and as many anchors with all passes; both shrink where
    `size` is small, so that every pass brings in new frames.
    """
    if count <= size:
        everything = np.arange(count)
        return (Chunk(everything, everything),)
    shared = max(1, min(overlap, size // 4))
    anchors = (
        np.unique(np.linspace(0, count - 1, shared).round().astype(np.int64)) if size >= 4 else np.zeros(0, np.int64)
    )
    run = max(size - len(anchors), shared + 1)
    chunks: list[Chunk] = []
    start = 0
    while start < count:
        first = max(0, start - shared) if chunks else 0
        end = min(count, first + run)
        chunks.append(Chunk(np.union1d(anchors, np.arange(first, end)), np.arange(first, end)))
        start = end
    return tuple(chunks)


def fresh_quota(remaining: int, carried: int, size: int, overlap: int) -> int:
    """How many new frames the next pass of a walk takes, beside `carried` ones of the pass before.

    As few passes as `size` and `overlap` allow, of even length: no pass of one or two frames is left over.
    """
    room = max(1, size - carried)
    if remaining <= room:
        return remaining
    later = max(1, size - min(overlap, size - 1))
    passes = 1 + -(-(remaining - room) // later)
    shared = (passes - 1) * (size - later) + carried
    return max(1, min(room, -(-(remaining + shared) // passes) - carried))


def view_weights(runs: list[Int]) -> list[Float]:
    """For every pass the weight of each frame of its run: 1, falling to its ends where neighbours share frames.

    Over the passes that share a frame the weights add up to 1.
    """
    weights = []
    for order, run in enumerate(runs):
        weight = np.ones(len(run))
        for neighbour, ascending in ((order - 1, True), (order + 1, False)):
            if 0 <= neighbour < len(runs):
                common = np.flatnonzero(np.isin(run, runs[neighbour]))
                ramp = np.arange(1, len(common) + 1) / (len(common) + 1)
                weight[common] *= ramp if ascending else ramp[::-1]
        weights.append(weight)
    return weights
