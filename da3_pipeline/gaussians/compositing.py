"""Front-to-back compositing of ellipses in plain torch: the reference of the renderer, differentiable by autograd.

The image is cut into tiles. Every tile gets a list of the ellipses that reach it, sorted by depth once for the whole
image. Tiles with lists of similar length are composited together, `_LAYER` ellipses at a time, until the lists end
or nothing shines through any more.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .projection import LEAST_ALPHA, Projected

__all__ = ["LEAST_TRANSMITTANCE", "MOST_ALPHA", "composite"]

MOST_ALPHA = 0.999
"""No Gaussian is more opaque than this."""

LEAST_TRANSMITTANCE = 1e-4
"""The Gaussian that would let no more than this through, and all behind it, is not drawn."""

_TILE_PX = 8
_LAYER = 64
_TILES_AT_ONCE = 64
_INVISIBLE = -10.0  # logarithm of an alpha that is not drawn; exponentials of much less take twenty times as long


@dataclass(frozen=True)
class _Lists:
    """Ellipses by tile: those of tile k are entries[start[k] : start[k] + count[k]], near ones first."""

    entries: Tensor
    start: Tensor
    count: Tensor


def composite(projected: Projected, width: int, height: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sums over the drawn Gaussians of weight * colour (H, W, 3), weight * depth (H, W) and weight (H, W)."""
    across, down = -(-width // _TILE_PX), -(-height // _TILE_PX)
    lists = _lists(projected, across, down)
    ones = torch.ones_like(projected.depths[:, None])
    ellipses = [projected.means_px, _factors(projected), torch.log(projected.opacities)[:, None]]
    table = torch.cat([*ellipses, projected.colours, projected.depths[:, None], ones], dim=1)
    tiles = torch.argsort(lists.count, descending=True, stable=True)
    occupied = int((lists.count > 0).sum())
    parts = [
        _composite_tiles(table, lists, group, across)
        for group in torch.split(tiles[:occupied], _TILES_AT_ONCE)
        if len(group)
    ]
    parts.append(table.new_zeros(len(tiles) - occupied, _TILE_PX**2, 5))
    by_tile = torch.cat(parts)[torch.argsort(tiles)].reshape(down, across, _TILE_PX, _TILE_PX, 5)
    image = by_tile.transpose(1, 2).reshape(down * _TILE_PX, across * _TILE_PX, 5)[:height, :width]
    return image[..., :3], image[..., 3], image[..., 4]


@torch.no_grad()
def _lists(projected: Projected, across: int, down: int) -> _Lists:
    """Which ellipses reach which tile, by the boxes around them."""
    order = torch.argsort(projected.depths, stable=True)
    means, extents = projected.means_px[order], projected.extents_px[order]
    size = torch.tensor([across, down], device=means.device)
    low = torch.floor((means - extents) / _TILE_PX).clamp(min=means.new_zeros(2), max=size - 1).long()
    high = torch.floor((means + extents) / _TILE_PX).clamp(min=means.new_zeros(2), max=size - 1).long()
    columns, rows = (high - low + 1).unbind(1)
    boxes = columns * rows
    which = torch.repeat_interleave(torch.arange(len(boxes), device=means.device), boxes)
    within = torch.arange(len(which), device=means.device) - (boxes.cumsum(0) - boxes)[which]
    column = low[which, 0] + within % columns[which]
    row = low[which, 1] + torch.div(within, columns[which], rounding_mode="floor")
    tile = row * across + column
    by_tile = torch.argsort(tile, stable=True)
    count = torch.bincount(tile, minlength=across * down)
    return _Lists(order[which[by_tile]], count.cumsum(0) - count, count)


def _composite_tiles(table: Tensor, lists: _Lists, tiles: Tensor, across: int) -> Tensor:
    """(t, pixels, 5) sums of some tiles; the first has the longest list."""
    start, count = lists.start[tiles], lists.count[tiles]
    corner = torch.stack([tiles % across, torch.div(tiles, across, rounding_mode="floor")], dim=1) * _TILE_PX
    centre = (corner + _TILE_PX / 2).to(table.dtype)
    passing = table.new_ones(len(tiles), 1, _TILE_PX**2)
    total = table.new_zeros(len(tiles), _TILE_PX**2, 5)
    for first in range(0, int(count[0]), _LAYER):
        place = torch.arange(first, min(first + _LAYER, int(count[0])), device=table.device)
        absent = place >= count[:, None]
        entry = lists.entries[(start[:, None] + place).clamp_max(len(lists.entries) - 1)]
        splats = torch.nn.functional.embedding(entry, table)
        alpha = _alphas(splats, absent, centre)
        behind = passing * torch.cumprod(1 - alpha, dim=1)
        before = torch.cat([passing, behind[:, :-1]], dim=1)
        weight = alpha * before * (behind > LEAST_TRANSMITTANCE)
        total = total + weight.transpose(1, 2) @ splats[:, :, 6:]
        passing = behind[:, -1:]
        if not bool((passing > LEAST_TRANSMITTANCE).any()):
            break
    return total


def _factors(projected: Projected) -> Tensor:
    """(n, 3): p, q, r with an exponent of -(p^2 (x - q y)^2 + r^2 y^2) / 2 at x, y from the mean.

    This is the Cholesky factor of the inverse covariance. Its squares do not cancel, as the terms of the quadratic
    form do along a thin ellipse, where float32 would cost up to 0.01 of alpha.
    """
    _, cov_xy, cov_yy = projected.covariances_px2.unbind(1)
    return torch.stack([torch.sqrt(projected.conics[:, 0]), cov_xy / cov_yy, torch.rsqrt(cov_yy)], dim=1)


def _alphas(splats: Tensor, absent: Tensor, centre: Tensor) -> Tensor:
    """(t, n, pixels) opacities of (t, n) ellipses at the pixels of their tiles, whose centres are (t, 2)."""
    left, top = (centre[:, None] - splats[..., :2]).unbind(-1)
    p, q, r, peak = (column[..., None] for column in splats[..., 2:6].unbind(-1))
    side = torch.arange(_TILE_PX, dtype=splats.dtype, device=splats.device) + 0.5 - _TILE_PX / 2
    across = p * (left[..., None] - q * top[..., None] + side)
    down = -p * q * side
    rows = (peak - 0.5 * (r * (top[..., None] + side)) ** 2).masked_fill(absent[..., None], _INVISIBLE)
    skewed = across[..., None, :] + down[..., :, None]
    exponent = torch.addcmul(rows[..., None], skewed, skewed, value=-0.5).flatten(2)
    alpha = torch.exp(exponent.clamp_min(_INVISIBLE))
    return torch.where(alpha >= LEAST_ALPHA, alpha.clamp_max(MOST_ALPHA), 0.0)
