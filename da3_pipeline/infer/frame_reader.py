"""Photographs as network views, decoded in the background, a bounded number of them in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import numpy as np

from ..arrays import Bytes, Int
from ..imageio import UnreadableImageError
from .config import ViewConfig
from .preprocess import Layout, read_view

__all__ = ["FrameReader"]


class FrameReader:
    """Gives the (h, w, 3) network view of any frame; decodes again what was released meanwhile."""

    def __init__(self, paths: Sequence[Path], layouts: Sequence[Layout], config: ViewConfig, threads: int = 0) -> None:
        self._paths = paths
        self._layouts = layouts
        self._config = config
        self._pool = ThreadPoolExecutor(threads or os.cpu_count() or 1)
        self._views: dict[int, Future[Bytes | UnreadableImageError]] = {}

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def __len__(self) -> int:
        return len(self._paths)

    def prefetch(self, frames: Iterable[int]) -> None:
        """Begin to decode frames; indices beyond the last one are passed over."""
        for frame in frames:
            if frame < len(self._paths) and frame not in self._views:
                self._views[frame] = self._pool.submit(
                    read_view, self._paths[frame], self._layouts[frame], self._config
                )

    def get(self, frame: int) -> Bytes | UnreadableImageError:
        """The view of a frame, or why there is none."""
        self.prefetch((frame,))
        return self._views[frame].result()

    def stack(self, frames: Sequence[int] | Int) -> Bytes:
        """(V, h, w, 3) views of frames that are known to be readable."""
        self.prefetch(int(frame) for frame in frames)
        views = [self.get(int(frame)) for frame in frames]
        for view in views:
            if isinstance(view, UnreadableImageError):  # it went bad since it was first read
                raise view
        return np.stack([view for view in views if not isinstance(view, UnreadableImageError)])

    def release(self, before: int | None = None) -> None:
        """Let go of the views of all frames before this one, or of all."""
        for frame in [frame for frame in self._views if before is None or frame < before]:
            self._views.pop(frame).cancel()
