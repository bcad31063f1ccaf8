"""A capture of any length from chunks of bounded size: predict, tie together, close loops, blend.

Memory holds the photographs of one chunk and those read ahead for the next, and one chunk's views. What was predicted
lies on disk from then on; the alignments read the frames that they share, and the blending goes through it frame by
frame. A run that was killed finds its finished chunks again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...arrays import Float, Int
from ...progress import Progress
from ..config import SequenceConfig
from ..frame_reader import FrameReader
from .blending import contributions, view_weights
from .chunk_store import ChunkStore
from .chunks import ChunkPredictor, PredictChunk, predict_anchored, predict_walk
from .loops import close_loops
from .merge import MergedViews, merge_chunks
from .placement import Placement, cut_into_segments, overlap_edges, place

__all__ = ["MERGED", "PredictedSequence", "SequencePlan", "predict_sequence"]


MERGED = "merged"
"""Where in the workspace the maps of the finished prediction lie."""


@dataclass(frozen=True)
class SequencePlan:
    """How a capture is cut into chunks. `tied`: all chunks come out in one world, because their poses were given."""

    views_per_chunk: int
    overlap: int
    config: SequenceConfig
    tied: bool = False
    close_loops: bool = True


@dataclass(frozen=True)
class PredictedSequence:
    """`merged`: None where no chunk has a usable view. `unreadable`: frame to reason. `chunks`: how many it took;
    of the revisits that were `tried`, `loops` were found to close and agree with the rest."""

    merged: MergedViews | None
    unreadable: dict[int, str]
    chunks: int
    tried: int = 0
    loops: int = 0


def predict_sequence(
    reader: FrameReader,
    predict_chunk: PredictChunk,
    store: ChunkStore,
    plan: SequencePlan,
    progress: Progress,
    known: Mapping[int, Float] | None = None,
    note: str = "frames predicted",
) -> PredictedSequence:
    """Predict the chunks over all frames of `reader` and make one prediction of them.

    `known`: given cam_from_world (3, 4) by frame index; the result is in their world, and they are kept as they are.
    """
    config, known = plan.config, known or {}
    predictor = ChunkPredictor(reader, predict_chunk, store)
    by_anchors = len(reader) <= max(config.anchored_up_to, plan.views_per_chunk)
    predicted = (predict_anchored if by_anchors else predict_walk)(
        predictor, plan.views_per_chunk, plan.overlap, progress, note
    )
    if not predicted.chunks:
        return PredictedSequence(None, predicted.unreadable, 0)
    tried = 0
    if plan.tied:
        placement = Placement([np.broadcast_to(np.eye(4), (len(one), 4, 4)) for one in predicted.chunks], 0)
    else:
        segments = cut_into_segments(predicted.chunks, not by_anchors, config.placement)
        edges = overlap_edges(segments, config)
        if plan.close_loops and not by_anchors and len(predicted.chunks) >= config.loops.fewest_chunks:
            search = close_loops(segments, predictor, config, progress)
            edges, tried = [*edges, *search.edges], search.tried
        placement = place(segments, edges, known, config)
    weights = [
        _spread(one.indices, run, weight)
        for one, run, weight in zip(predicted.chunks, predicted.runs, view_weights(list(predicted.runs)), strict=True)
    ]
    found = contributions(predicted.chunks, placement.placed, weights, config.blending)
    merged = merge_chunks(found, store.folder / MERGED, known, config.blending, progress)
    return PredictedSequence(merged, predicted.unreadable, len(predicted.chunks), tried, placement.loops)


def _spread(indices: Int, run: Int, weight: Float) -> Float:
    """Weights of a run's frames at their positions among `indices`; 0 for the others, which are anchors."""
    spread = np.zeros(len(indices))
    spread[np.searchsorted(indices, run)] = weight
    return spread
