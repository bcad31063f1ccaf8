"""Masks of the data set: white is used, black is ignored, as nerfstudio and COLMAP read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ...arrays import Bool
from ...imageio import write_mask
from ..nerfstudio import PosedImage
from ..undistortion import Undistortion
from .images import by_lens

__all__ = ["Ignored", "write_masks"]

Ignored = Callable[[int], Bool | None]
"""A source of masks: the pixels (height, width) of a frame's original image that it leaves out, or None for none."""

_WORKERS = 4


def write_masks(
    folder: Path,
    images: Sequence[PosedImage],
    frames: Sequence[int],
    lenses: Sequence[Undistortion | None],
    sources: Sequence[Ignored],
) -> dict[str, str]:
    """Write a mask of its size for every image, black where any source ignores it; paths below `folder` by image name.

    They stand where COLMAP looks for them: masks/<image name>.png. None is written where no source ignores anything;
    nerfstudio wants masks for all images or for none.
    """
    if all(source(frame) is None for frame in frames for source in sources):
        return {}
    paths = {image.name: f"masks/{image.name}.png" for image in images}

    def write(item: tuple[PosedImage, int, Undistortion | None]) -> None:
        image, frame, lens = item
        layers = [layer for layer in (source(frame) for source in sources) if layer is not None]
        if layers:
            used = ~np.logical_or.reduce(layers)
            used = used if lens is None else lens.mask(used)
        else:
            used = np.ones((image.camera.height, image.camera.width), bool)
        write_mask(folder / paths[image.name], used)

    with ThreadPoolExecutor(_WORKERS) as workers:
        list(workers.map(write, by_lens(list(zip(images, frames, lenses, strict=True)), lenses)))
    return paths
