"""Masks of the data set: white is used, black is ignored, as nerfstudio and COLMAP read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .nerfstudio import PosedImage

__all__ = ["Ignored", "write_masks"]

Ignored = Callable[[int], NDArray[np.bool_] | None]
"""A source of masks: the pixels (height, width) of a frame's original image that it leaves out, or None for none."""

_WORKERS = 4


def write_masks(
    folder: Path, images: Sequence[PosedImage], frames: Sequence[int], sources: Sequence[Ignored]
) -> dict[str, str]:
    """Write a mask of its size for every image, black where any source ignores it; paths below `folder` by image name.

    They stand where COLMAP looks for them: masks/<image name>.png. None is written where no source ignores anything;
    nerfstudio wants masks for all images or for none.
    """
    if all(source(frame) is None for frame in frames for source in sources):
        return {}
    paths = {image.name: f"masks/{image.name}.png" for image in images}

    def write(item: tuple[PosedImage, int]) -> None:
        image, frame = item
        used = np.full((image.camera.height, image.camera.width), 255, np.uint8)
        for source in sources:
            ignored = source(frame)
            if ignored is not None:
                used[ignored] = 0
        path = folder / paths[image.name]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(used).save(path, compress_level=1)

    with ThreadPoolExecutor(_WORKERS) as workers:
        list(workers.map(write, zip(images, frames, strict=True)))
    return paths
