"""Running the network over a capture pass by pass, each result on disk before the next begins."""

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
from .chunk_store import ChunkStore, StoredPass
from .chunks import chunk_layout, fresh_quota

__all__ = ["PassRunner", "PassTooLargeError", "Passes", "RunPass", "anchored_passes", "walked_passes"]


RunPass = Callable[[Int, Bytes], RawViews]
"""Frame indices (V,) and their pixels (V, h, w, 3) to their views, jointly predicted. May raise PassTooLargeError."""

logger = logging.getLogger(__name__)

_FEWEST_VIEWS = 2


class PassTooLargeError(InferenceError):
    """Memory ran out in a pass: a smaller one may fit."""


@dataclass(frozen=True)
class Passes:
    """The finished passes in capture order; of each the frames not there as anchors; frames that cannot be read."""

    passes: tuple[StoredPass, ...]
    runs: tuple[Int, ...]
    unreadable: dict[int, str]


class PassRunner:
    """The one way in which a pass is run: from the store where it is there, else by the network and into the store."""

    def __init__(self, reader: FrameReader, run_pass: RunPass, store: ChunkStore) -> None:
        self.reader = reader
        self.store = store
        self._run_pass = run_pass

    def __call__(self, name: str, indices: Int, unreadable: dict[int, str] | None = None) -> StoredPass:
        """The pass over frames that can be read. Raises PassTooLargeError where memory does not suffice."""
        found = self.store.find(name)
        if found is not None and np.array_equal(found.indices, indices):
            return found
        views = self._run_pass(indices, self.reader.stack(indices))
        return self.store.keep(name, indices, views, unreadable)


def anchored_passes(runner: PassRunner, size: int, overlap: int, progress: Progress, note: str) -> Passes:
    """All frames in one pass of at most `size`, or in passes that share anchors; for captures that memory holds."""
    reader = runner.reader
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
        chunks = chunk_layout(len(readable), size, overlap) if len(readable) else ()
        finished = []
        try:
            for order, chunk in enumerate(chunks):
                progress.step(order, len(chunks), note)
                finished.append(runner(f"pass-{size}-{order:05d}", readable[chunk.views], unreadable))
        except PassTooLargeError as error:
            size = _halved(min(size, len(readable)), error)
            continue
        progress.step(len(chunks), len(chunks), note)
        return Passes(tuple(finished), tuple(readable[chunk.run] for chunk in chunks), unreadable)


def walked_passes(runner: PassRunner, size: int, overlap: int, progress: Progress, note: str) -> Passes:
    """Passes of at most `size` frames that follow each other and share `overlap` frames; one is in memory at a time.

    Frames that cannot be read are passed over; the next pass still shares the last readable ones. A pass that does
    not fit into memory is tried with half as many frames, and so are those after it.
    """
    reader, count = runner.reader, len(runner.reader)
    finished: list[StoredPass] = []
    unreadable: dict[int, str] = {}
    carried: list[int] = []
    start = 0
    while start < count:
        name = f"pass-{len(finished):05d}"
        one = runner.store.find(name)
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
                one = runner(name, indices, failed)
            except PassTooLargeError as error:
                size = _halved(len(indices), error)
                continue
        finished.append(one)
        unreadable |= one.unreadable
        start = int(one.indices[-1]) + 1
        carried = [int(frame) for frame in one.indices[-overlap:]]
        progress.step(start, count, note)
    return Passes(tuple(finished), tuple(one.indices for one in finished), unreadable)


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


def _continues(one: StoredPass, carried: list[int], start: int) -> bool:
    """Whether a stored pass shares the last frames of the one before and leaves out no frame after them."""
    shared = [int(frame) for frame in one.indices if frame < start]
    fresh = [int(frame) for frame in one.indices if frame >= start]
    if not fresh or shared != carried[len(carried) - len(shared) :] or bool(shared) != bool(carried):
        return False
    accounted = {*fresh, *one.unreadable}
    return all(frame in accounted for frame in range(start, fresh[-1] + 1))


def _halved(views: int, error: PassTooLargeError) -> int:
    """Half as many views; raises the error where there are too few to halve."""
    if views // 2 < _FEWEST_VIEWS:
        raise error
    logger.warning("memory ran out in a pass over %d views; going on with %d", views, views // 2)
    return views // 2
