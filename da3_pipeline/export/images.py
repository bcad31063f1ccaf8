"""The images folder, and colours from it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ExportError
from ..imageio import UnreadableImageError, copy_upright, read_rgb
from ..progress import Progress

__all__ = ["ImageColours", "copy_images"]

_WORKERS = 4
_SIDE_PX = 1024  # colours of seed points need no more


def copy_images(sources: Sequence[Path], names: Sequence[str], folder: Path, progress: Progress) -> None:
    """Put every source, upright and in a format that trainers read, at its name below `folder`."""

    def copy(item: tuple[Path, str]) -> Path:
        source, name = item
        try:
            return copy_upright(source, folder / name)
        except UnreadableImageError as error:
            raise ExportError(f"{error}; put the file back and run the same command again") from error

    with ThreadPoolExecutor(_WORKERS) as workers:
        copies = workers.map(copy, zip(sources, names, strict=True))
        for done, name in enumerate(names, start=1):
            next(copies)
            progress.step(done, len(names), name)


class ImageColours:
    """Colours at original pixels of exported images, read at reduced size."""

    def __init__(self, paths: dict[int, Path], sizes: dict[int, tuple[int, int]]) -> None:
        """`paths` and `sizes` (width, height) by frame."""
        self._paths = paths
        self._sizes = sizes

    def __call__(self, frame: int, pixels: NDArray[np.float64]) -> NDArray[np.uint8]:
        """(n, 3) RGB of a frame at (n, 2) pixels inside it."""
        if not len(pixels):
            return np.zeros((0, 3), np.uint8)
        image = read_rgb(self._paths[frame], max_side_px=_SIDE_PX)
        size = np.array([image.shape[1], image.shape[0]])
        columns, rows = np.clip((pixels * size / self._sizes[frame]).astype(np.intp), 0, size - 1).T
        return image[rows, columns]
