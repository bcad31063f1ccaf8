"""A capture cut into chunks, each what one pass of the network predicts, on disk before the next begins.

Long captures are walked through: every chunk continues where the last one ended and shares its last frames, so that
only one is in memory. Photographs of no particular order, when they are few, do better with anchors: a few frames
spread over the whole capture that every chunk holds, so that errors do not add up from chunk to chunk.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...arrays import Bytes, Int
from ...errors import InferenceError
from ...imageio import UnreadableImageError
from ...progress import Progress
from ..frame_reader import FrameReader
from ..views import RawViews
from .chunk_store import ChunkStore, StoredChunk

__all__ = [
    "AnchoredChunk",
    "ChunkPredictor",
    "ChunkTooLargeError",
    "PredictChunk",
    "PredictedChunks",
    "anchored_layout",
    "fresh_quota",
    "predict_anchored",
    "predict_walk",
]


PredictChunk = Callable[[Int, Bytes], RawViews]
"""One pass of the network: frame indices (V,) and their pixels (V, h, w, 3) to their views, jointly predicted. May
raise ChunkTooLargeError."""

logger = logging.getLogger(__name__)

_FEWEST_VIEWS = 2


class ChunkTooLargeError(InferenceError):
    """Memory ran out in a pass of the network: a smaller chunk may fit."""


@dataclass(frozen=True)
class AnchoredChunk:
    """`views` (V,) ascending frame indices that the network sees; `run` (R,) those not there as anchors."""

    views: Int
    run: Int


@dataclass(frozen=True)
class PredictedChunks:
    """The chunks in capture order; of each the frames not there as anchors; frames that cannot be read."""

    chunks: tuple[StoredChunk, ...]
    runs: tuple[Int, ...]
    unreadable: dict[int, str]


class ChunkPredictor:
    """The one way to a chunk: from the store where it is there, else by the network and into the store."""

    def __init__(self, reader: FrameReader, predict_chunk: PredictChunk, store: ChunkStore) -> None:
        self.reader = reader
        self.store = store
        self._predict_chunk = predict_chunk

    def __call__(self, name: str, indices: Int, unreadable: dict[int, str] | None = None) -> StoredChunk:
        """The chunk of frames that can be read. Raises ChunkTooLargeError where memory does not suffice."""
        found = self.store.find(name)
        if found is not None and np.array_equal(found.indices, indices):
            return found
        views = self._predict_chunk(indices, self.reader.stack(indices))
        return self.store.keep(name, indices, views, unreadable)


def predict_anchored(
    predict: ChunkPredictor, size: int, overlap: int, progress: Progress, note: str
) -> PredictedChunks:
    """All frames in one chunk of at most `size`, or in chunks that share anchors; for captures that memory holds."""
    reader = predict.reader
    count = len(reader)
    reader.prefetch(range(count))
    unreadable: dict[int, str] = {}
    for frame in range(count):
        view = reader.get(frame)
        if isinstance(view, UnreadableImageError):
            unreadable[frame] = view.reason
        progress.step(frame + 1, count, "photographs read")
    readable = np.array([frame for frame in range(count) if frame not in unreadable], np.int64)
    while True:
        chunks = anchored_layout(len(readable), size, overlap) if len(readable) else ()
        finished = []
        try:
            for order, chunk in enumerate(chunks):
                progress.step(order, len(chunks), note)
                finished.append(predict(f"chunk-{size}-{order:05d}", readable[chunk.views], unreadable))
        except ChunkTooLargeError as error:
            size = _halved(min(size, len(readable)), error)
            continue
        progress.step(len(chunks), len(chunks), note)
        return PredictedChunks(tuple(finished), tuple(readable[chunk.run] for chunk in chunks), unreadable)


def predict_walk(predict: ChunkPredictor, size: int, overlap: int, progress: Progress, note: str) -> PredictedChunks:
    """Chunks of at most `size` frames that follow each other and share `overlap` frames; one is in memory at a time.

    Frames that cannot be read are passed over; the next chunk still shares the last readable ones. A chunk that
    does not fit into memory is tried with half as many frames, and so are those after it.
    """
    reader, count = predict.reader, len(predict.reader)
    finished: list[StoredChunk] = []
    unreadable: dict[int, str] = {}
    carried: list[int] = []
    start = 0
    while start < count:
        name = f"chunk-{len(finished):05d}"
        one = predict.store.find(name)
        if one is None or not _continues(one, carried, start):
            carried = carried[-min(overlap, max(1, size // 2)) :]
            indices, failed = _next_frames(reader, carried, start, size, overlap)
            if len(indices) == len(carried):  # nothing readable is left
                unreadable |= failed
                break
            ahead = int(indices[-1]) + 1
            reader.release(before=int(indices[0]))
            reader.prefetch(range(ahead, ahead + size - min(overlap, size // 2)))
            try:
                one = predict(name, indices, failed)
            except ChunkTooLargeError as error:
                size = _halved(len(indices), error)
                continue
        finished.append(one)
        unreadable |= one.unreadable
        start = int(one.indices[-1]) + 1
        carried = [int(frame) for frame in one.indices[-overlap:]]
        progress.step(start, count, note)
    return PredictedChunks(tuple(finished), tuple(one.indices for one in finished), unreadable)


def anchored_layout(count: int, size: int, overlap: int) -> tuple[AnchoredChunk, ...]:
    """Chunks of at most `size` frames over `count` frames; each frame is in the run of one or two.

    `overlap` frames are shared with the chunk before, and as many anchors with all chunks; both shrink where
    `size` is small, so that every chunk brings in new frames.
    """
    if count <= size:
        everything = np.arange(count)
        return (AnchoredChunk(everything, everything),)
    shared = max(1, min(overlap, size // 4))
    anchors = (
        np.unique(np.linspace(0, count - 1, shared).round().astype(np.int64)) if size >= 4 else np.zeros(0, np.int64)
    )
    run = max(size - len(anchors), shared + 1)
    chunks: list[AnchoredChunk] = []
    start = 0
    while start < count:
        first = max(0, start - shared) if chunks else 0
        end = min(count, first + run)
        chunks.append(AnchoredChunk(np.union1d(anchors, np.arange(first, end)), np.arange(first, end)))
        start = end
    return tuple(chunks)


def fresh_quota(remaining: int, carried: int, size: int, overlap: int) -> int:
    """How many new frames the next chunk of a walk takes, beside `carried` ones of the chunk before.

    As few chunks as `size` and `overlap` allow, of even length: no chunk of one or two frames is left over.
    """
    room = max(1, size - carried)
    if remaining <= room:
        return remaining
    later = max(1, size - min(overlap, size - 1))
    chunks = 1 + -(-(remaining - room) // later)
    shared = (chunks - 1) * (size - later) + carried
    return max(1, min(room, -(-(remaining + shared) // chunks) - carried))


def _next_frames(
    reader: FrameReader, carried: list[int], start: int, size: int, overlap: int
) -> tuple[Int, dict[int, str]]:
    """The carried frames and the next readable ones, and what could not be read among them."""
    quota = fresh_quota(len(reader) - start, len(carried), size, overlap)
    fresh: list[int] = []
    failed: dict[int, str] = {}
    reader.prefetch(range(start, start + quota))
    for frame in range(start, len(reader)):
        if len(fresh) == quota:
            break
        view = reader.get(frame)
        if isinstance(view, UnreadableImageError):
            failed[frame] = view.reason
            reader.prefetch((start + quota + len(failed) - 1,))
        else:
            fresh.append(frame)
    return np.array([*carried, *fresh], np.int64), failed


def _continues(one: StoredChunk, carried: list[int], start: int) -> bool:
    """Whether a stored chunk shares the last frames of the one before and leaves out no frame after them."""
    shared = [int(frame) for frame in one.indices if frame < start]
    fresh = [int(frame) for frame in one.indices if frame >= start]
    if not fresh or shared != carried[len(carried) - len(shared) :] or bool(shared) != bool(carried):
        return False
    accounted = {*fresh, *one.unreadable}
    return all(frame in accounted for frame in range(start, fresh[-1] + 1))


def _halved(views: int, error: ChunkTooLargeError) -> int:
    """Half as many views; raises the error where there are too few to halve."""
    if views // 2 < _FEWEST_VIEWS:
        raise error
    logger.warning("memory ran out in a pass over %d views; going on with %d", views, views // 2)
    return views // 2
