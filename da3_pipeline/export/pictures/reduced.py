"""Smaller copies of a data set's pictures, where trainers look for them: images_2/, masks_2/, depths_2/ and so on."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from ...arrays import Bytes, Float32
from ...errors import ExportError
from ...imageio import UnreadableImageError, read_rgb, write_mask, write_rgb
from ...progress import Progress

__all__ = ["reduced_folders", "write_reduced"]

_REDUCED = ("images", "masks", "depths")
_WORKERS = 4


def reduced_folders(factors: Sequence[int]) -> list[str]:
    """The folders that copies reduced by these factors lie in, by the names that nerfstudio and gsplat look for."""
    return [f"{folder}_{factor}" for factor in factors for folder in _REDUCED]


def write_reduced(data_set: Path, factors: Sequence[int], progress: Progress) -> None:
    """Copies of images/, masks/ and depths/, where there are any, reduced by every factor, under the same names.

    Trainers divide intrinsics by the factor and round sides down. A pixel of a copy is therefore the mean of a block
    of factor x factor pixels, and what is left over at the right and at the bottom is cut off: squeezing all into the
    rounded size would shift what is seen there by up to a pixel. A pixel of a mask is used where all of its block is.
    Depth, which is coarser than images and is stretched over them, keeps the pixel in the middle of each block.
    Raises ExportError where a file cannot be read back.
    """
    files = [path for name in _REDUCED for path in _files(data_set / name)]
    items = [(path, factor) for factor in factors for path in files]

    def reduce(item: tuple[Path, int]) -> str:
        path, factor = item
        kind, *below = path.relative_to(data_set).parts
        target = data_set.joinpath(f"{kind}_{factor}", *below)
        target.parent.mkdir(parents=True, exist_ok=True)
        if kind == "depths":
            np.save(target, _middles(np.load(path), factor))
        elif kind == "masks":
            write_mask(target, _means(_read_back(path), factor)[:, :, 0] == 255)
        else:
            write_rgb(target, _means(_read_back(path), factor))
        return target.relative_to(data_set).as_posix()

    with ThreadPoolExecutor(_WORKERS) as workers:
        for done, name in enumerate(workers.map(reduce, items), start=1):
            progress.step(done, len(items), name)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _read_back(path: Path) -> Bytes:
    try:
        return read_rgb(path)
    except UnreadableImageError as error:
        raise ExportError(f"{error}; run the same command again") from error


def _means(picture: Bytes, factor: int) -> Bytes:
    """(h // factor, w // factor, 3), no side less than 1: the means of blocks, from the upper left corner on."""
    height, width = _reduced_size(picture, factor)
    blocks = picture[: height * factor, : width * factor]
    return np.asarray(cv2.resize(blocks, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _middles(depth: Float32, factor: int) -> Float32:
    """The pixels in the middles of the same blocks."""
    rows, columns = (
        np.minimum(np.arange(size) * factor + factor // 2, length - 1)
        for size, length in zip(_reduced_size(depth, factor), depth.shape, strict=True)
    )
    return depth[np.ix_(rows, columns)]


def _reduced_size(values: Bytes | Float32, factor: int) -> tuple[int, int]:
    return max(1, values.shape[0] // factor), max(1, values.shape[1] // factor)
