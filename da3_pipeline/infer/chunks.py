"""Passes over more frames than the network can see at once, and how their results become one.

Every pass sees a run of consecutive frames that overlaps its neighbours, and the same few anchor frames spread
over the whole capture, so that errors do not add up from pass to pass. A frame's result comes from the pass in
whose run it first lies; anchors and overlaps only tie the passes together, by a robust similarity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .alignment import align_views
from .views import RawViews

__all__ = ["Chunk", "chunk_layout", "merge_chunks"]

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Chunk:
    """One pass. `views` (V,) ascending frame indices the network sees; `home` (H,) those whose result is kept."""

    views: Index
    home: Index


def chunk_layout(count: int, size: int, overlap: int) -> tuple[Chunk, ...]:
    """Passes of at most `size` frames over `count` frames; each frame is at home in exactly one.

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
        views = np.union1d(anchors, np.arange(first, end))
        chunks.append(Chunk(views, np.arange(start, end)))
        start = end
    return tuple(chunks)


def merge_chunks(chunks: tuple[Chunk, ...], count: int, predict: Callable[[Index], RawViews], tied: bool) -> RawViews:
    """Predict every chunk and bring all into the world of the first.

    `predict` gives the views of the frames it is asked for. With `tied` the chunks already share one world
    (their poses were given) and are only put together.
    """
    placed: RawViews | None = None
    have = np.zeros(count, bool)
    for chunk in chunks:
        views = predict(chunk.views)
        if len(chunks) == 1:
            return views
        if placed is None:
            placed = _empty_like(views, count)
        elif not tied:
            common = have[chunk.views]
            views = views.moved(align_views(views.subset(np.flatnonzero(common)), placed.subset(chunk.views[common])))
        fresh = np.isin(chunk.views, chunk.home) | ~have[chunk.views]
        _store(placed, chunk.views[fresh], views.subset(np.flatnonzero(fresh)))
        have[chunk.views] = True
    if placed is None:
        raise ValueError("no chunks to merge")
    return placed


def _empty_like(views: RawViews, count: int) -> RawViews:
    def room(array: NDArray[Any]) -> NDArray[Any]:
        return np.zeros((count, *array.shape[1:]), array.dtype)

    descriptors = None if views.descriptors is None else room(views.descriptors)
    return RawViews(
        room(views.depth), room(views.conf), room(views.cam_from_world), room(views.intrinsics), descriptors
    )


def _store(placed: RawViews, indices: Index, views: RawViews) -> None:
    placed.depth[indices] = views.depth
    placed.conf[indices] = views.conf
    placed.cam_from_world[indices] = views.cam_from_world
    placed.intrinsics[indices] = views.intrinsics
    if placed.descriptors is not None and views.descriptors is not None:
        placed.descriptors[indices] = views.descriptors
