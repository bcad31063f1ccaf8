"""The images folder, and colours from it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from ...arrays import Bytes, Float
from ...errors import ExportError
from ...imageio import UnreadableImageError, copy_upright, read_rgb, write_rgb
from ...progress import Progress
from ..undistortion import Undistortion

__all__ = ["ImageColours", "by_lens", "copy_images"]

Item = TypeVar("Item")

_WORKERS = 4


def copy_images(
    sources: Sequence[Path],
    names: Sequence[str],
    lenses: Sequence[Undistortion | None],
    folder: Path,
    progress: Progress,
) -> None:
    """Put every source, upright, in a format that trainers read, and undistorted by its lens, below `folder`."""

    def copy(item: tuple[Path, str, Undistortion | None]) -> str:
        source, name, lens = item
        try:
            if lens is None:
                copy_upright(source, folder / name)
            else:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                write_rgb(folder / name, lens.image(read_rgb(source)))
        except UnreadableImageError as error:
            raise ExportError(f"{error}; put the file back and run the same command again") from error
        return name

    with ThreadPoolExecutor(_WORKERS) as workers:
        items = by_lens(list(zip(sources, names, lenses, strict=True)), lenses)
        for done, name in enumerate(workers.map(copy, items), start=1):
            progress.step(done, len(names), name)


def by_lens(items: Sequence[Item], lenses: Sequence[Undistortion | None]) -> list[Item]:
    """The items, those of one lens (one an item) together, otherwise in their order: a lens is prepared once."""
    order: dict[Undistortion | None, list[Item]] = {}
    for item, lens in zip(items, lenses, strict=True):
        order.setdefault(lens, []).append(item)
    return [item for group in order.values() for item in group]


class ImageColours:
    """Colours at pixels of images, read at reduced size."""

    def __init__(self, paths: dict[int, Path], sizes: dict[int, tuple[int, int]], max_side_px: int) -> None:
        """`paths` and `sizes` (width, height) by frame; images are read at no more than `max_side_px`."""
        self._paths = paths
        self._sizes = sizes
        self._max_side_px = max_side_px

    def __call__(self, frame: int, pixels: Float) -> Bytes:
        """(n, 3) RGB of a frame at (n, 2) pixels inside it."""
        if not len(pixels):
            return np.zeros((0, 3), np.uint8)
        image = read_rgb(self._paths[frame], max_side_px=self._max_side_px)
        size = np.array([image.shape[1], image.shape[0]])
        columns, rows = np.clip((pixels * size / self._sizes[frame]).astype(np.intp), 0, size - 1).T
        return image[rows, columns]
