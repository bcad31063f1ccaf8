"""A capture of any length through passes of bounded size: run, tie together, close loops, blend.

Memory holds the photographs of one pass and those read ahead for the next, and one pass's result. What a pass gave
lies on disk from then on; the alignments read the frames that they share, and the blending goes through it frame by
frame. A run that was killed finds its finished passes again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...arrays import Float, Int
from ...progress import Progress
from ..frame_reader import FrameReader
from .chunk_store import ChunkStore
from .chunks import ANCHORED_UP_TO, view_weights
from .loops import close_loops
from .merge import MergedViews, merge_passes
from .passes import PassRunner, RunPass, anchored_passes, walked_passes
from .pieces import cut
from .placement import Placement, overlap_edges, place

__all__ = ["MERGED", "PredictedSequence", "SequenceSettings", "predict_sequence"]


MERGED = "merged"
"""Where in the workspace the maps of the finished prediction lie."""

_FEWEST_TO_LOOP = 3  # passes: neighbours share frames anyhow


@dataclass(frozen=True)
class SequenceSettings:
    """How a capture is cut into passes. `tied`: all passes come out in one world, because their poses were given."""

    views_per_pass: int
    overlap: int
    tied: bool = False
    close_loops: bool = True


@dataclass(frozen=True)
class PredictedSequence:
    """`merged`: None where no pass gave a usable view. `unreadable`: frame to reason. `passes`: how many it took;
    of the revisits that were `tried`, `loops` were found to close and agree with the rest."""

    merged: MergedViews | None
    unreadable: dict[int, str]
    passes: int
    tried: int = 0
    loops: int = 0


def predict_sequence(
    reader: FrameReader,
    run_pass: RunPass,
    store: ChunkStore,
    settings: SequenceSettings,
    progress: Progress,
    known: Mapping[int, Float] | None = None,
    note: str = "frames predicted",
) -> PredictedSequence:
    """Run the passes over all frames of `reader` and make one prediction of them.

    `known`: given cam_from_world (3, 4) by frame index; the result is in their world, and they are kept as they are.
    """
    runner = PassRunner(reader, run_pass, store)
    by_anchors = len(reader) <= max(ANCHORED_UP_TO, settings.views_per_pass)
    passes = (anchored_passes if by_anchors else walked_passes)(
        runner, settings.views_per_pass, settings.overlap, progress, note
    )
    if not passes.passes:
        return PredictedSequence(None, passes.unreadable, 0)
    tried = 0
    if settings.tied:
        placement = Placement([np.tile(np.eye(4), (len(one), 1, 1)) for one in passes.passes], 0)
    else:
        pieces = cut(passes.passes, bending=not by_anchors)
        edges = overlap_edges(pieces)
        if settings.close_loops and not by_anchors and len(passes.passes) >= _FEWEST_TO_LOOP:
            search = close_loops(pieces, runner, progress)
            edges, tried = [*edges, *search.edges], search.tried
        placement = place(pieces, edges, known or {})
    weights = [
        _spread(one.indices, run, weight)
        for one, run, weight in zip(passes.passes, passes.runs, view_weights(list(passes.runs)), strict=True)
    ]
    merged = merge_passes(passes.passes, placement.placed, weights, store.folder / MERGED, known or {}, progress)
    return PredictedSequence(merged, passes.unreadable, len(passes.passes), tried, placement.loops)


def _spread(indices: Int, run: Int, weight: Float) -> Float:
    """Weights of a run's frames at their positions among `indices`; 0 for the others, which are anchors."""
    spread = np.zeros(len(indices))
    spread[np.searchsorted(indices, run)] = weight
    return spread
