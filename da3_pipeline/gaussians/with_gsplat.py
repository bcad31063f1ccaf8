"""Compositing by gsplat's CUDA kernels, from our own projection.

gsplat 1.4 cuts Gaussians at 3 sigma, where an opaque one still has an alpha of 0.011; gsplat 1.5 at 1/255, as the
torch reference. Only its sorting and its rasteriser are used here, so that pictures are the same with either.
"""

from __future__ import annotations

import functools
import importlib.util

import torch
from torch import Tensor

from ..errors import MissingExtraError
from .projection import Projected

__all__ = ["composite_with_gsplat", "gsplat_is_usable", "require_gsplat"]

_TILE_PX = 16


@functools.cache
def gsplat_is_usable() -> bool:
    """Whether there are a CUDA device and gsplat."""
    return torch.cuda.is_available() and importlib.util.find_spec("gsplat") is not None


def require_gsplat() -> None:
    """Raise MissingExtraError where there is no CUDA device, or no gsplat."""
    if not gsplat_is_usable():
        raise MissingExtraError("rendering through gsplat, on a CUDA device,", "gaussians")


def composite_with_gsplat(projected: Projected, width: int, height: int) -> tuple[Tensor, Tensor, Tensor]:
    """As `compositing.composite`; float32 on a CUDA device. Raises MissingExtraError without either."""
    require_gsplat()
    from gsplat import isect_offset_encode, isect_tiles, rasterize_to_pixels

    if not len(projected.depths):
        empty = projected.depths.new_zeros(height, width)
        return empty[..., None].expand(height, width, 3), empty, empty
    across, down = -(-width // _TILE_PX), -(-height // _TILE_PX)
    means, depths = projected.means_px[None], projected.depths[None]
    _, crossings, entries = isect_tiles(means, _radii(projected)[None], depths, _TILE_PX, across, down)
    offsets = isect_offset_encode(crossings, 1, across, down)
    drawn = torch.cat([projected.colours, projected.depths[:, None]], dim=1)[None]
    sums, alpha = rasterize_to_pixels(
        means, projected.conics[None], drawn, projected.opacities[None], width, height, _TILE_PX, offsets, entries
    )
    return sums[0, ..., :3], sums[0, ..., 3], alpha[0, ..., 0]


def _radii(projected: Projected) -> Tensor:
    """int32 half sizes, at least 1: (n,) of squares for gsplat up to 1.4, (n, 2) of boxes from 1.5 on."""
    import gsplat

    boxes = projected.extents_px.ceil().clamp_min(1).to(torch.int32)
    major, minor = (int(part) for part in gsplat.__version__.split(".")[:2])
    return boxes if (major, minor) >= (1, 5) else boxes.amax(dim=1)
