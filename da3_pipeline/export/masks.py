"""Masks of the data set: white is used, black is ignored, as nerfstudio and COLMAP read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .nerfstudio import PosedImage

__all__ = ["MASKS", "Ignored", "mask_path", "write_masks"]

MASKS = "masks"

Ignored = Callable[[int], NDArray[np.bool_] | None]
"""A source of masks: the pixels (height, width) of a frame's original image that it leaves out, or None for none."""

_WORKERS = 4


def mask_path(image_name: str) -> str:
    """Where COLMAP looks for the mask of an image, below the data set."""
    return f"{MASKS}/{image_name}.png"


def write_masks(folder: Path, images: Sequence[PosedImage], frames: Sequence[int], sources: Sequence[Ignored]) -> int:
    """Write a mask of the size of every image below `folder`, black where any source ignores it; their number.

    None at all is written where no source ignores anything. nerfstudio wants a mask for every image or for none.
    """
    if all(source(frame) is None for frame in frames for source in sources):
        return 0

    def write(item: tuple[PosedImage, int]) -> None:
        image, frame = item
        used = np.full((image.camera.height, image.camera.width), 255, np.uint8)
        for source in sources:
            ignored = source(frame)
            if ignored is not None:
                used[ignored] = 0
        path = folder / mask_path(image.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(used).save(path, compress_level=1)

    with ThreadPoolExecutor(_WORKERS) as workers:
        return sum(1 for _ in workers.map(write, zip(images, frames, strict=True)))
