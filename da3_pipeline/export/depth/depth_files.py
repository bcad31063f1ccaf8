"""Depth maps of the data set, as nerfstudio reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from ...arrays import Float32
from ..nerfstudio import PosedImage
from ..undistortion import Undistortion
from .depth_views import DepthView

__all__ = ["PER_UNIT", "depth_in_image", "write_depths"]

PER_UNIT = 1000.0
"""Stored numbers for each unit of the scene: nerfstudio's default factor of 0.001 leads back."""


def write_depths(
    folder: Path,
    images: Sequence[PosedImage],
    views: Sequence[DepthView | None],
    lenses: Sequence[Undistortion | None],
) -> dict[str, str]:
    """Write depths/<image name without suffix>.npy for every image; paths below `folder` by image name.

    float32 (h, w) over the whole image at about the resolution of the prediction: z-depth in thousandths of the scene's
    unit, 0 where it is not known or not to be trusted, everywhere for images without a view.
    """
    paths = {image.name: f"depths/{PurePosixPath(image.name).with_suffix('')}.npy" for image in images}
    known = next((view for view in views if view is not None), None)
    for image, view, lens in zip(images, views, lenses, strict=True):
        path = folder / paths[image.name]
        path.parent.mkdir(parents=True, exist_ok=True)
        if view is None:
            depth = np.zeros((1, 1) if known is None else known.map.shape, np.float32)
        else:
            depth = depth_in_image(view, image, lens) * np.float32(PER_UNIT)
        np.save(path, depth)
    return paths


def depth_in_image(view: DepthView, image: PosedImage, lens: Undistortion | None) -> Float32:
    """(h, w) z-depth of the image in scene units by the nearest pixel of the view's map; 0 where it has none.

    Centres of its pixels are at (k + 0.5) * image size / map size. Undistortion leaves depth along the axis as it is.
    """
    width, height = image.camera.width, image.camera.height
    columns, rows = (max(1, round(n / step)) for n, step in zip((width, height), view.pixel_map.scale, strict=True))
    across, down = (np.arange(columns) + 0.5) * width / columns, (np.arange(rows) + 0.5) * height / rows
    pixels = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
    if lens is not None:
        pixels = lens.original(pixels)
    column, row = np.floor(view.pixel_map.to_network(pixels)).astype(np.intp).T
    inside = (column >= 0) & (row >= 0) & (column < view.map.shape[1]) & (row < view.map.shape[0])
    depth = np.zeros(len(pixels), np.float32)
    depth[inside] = np.nan_to_num(view.map[row[inside], column[inside]], nan=0.0)
    return depth.reshape(rows, columns)
