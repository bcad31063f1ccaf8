"""Where a token or a pixel is: rotary positions, the resized position table, the head's UV embedding."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .config import HEAD_DIM

__all__ = [
    "Rotation",
    "global_positions",
    "local_positions",
    "resize_position_table",
    "rotate",
    "rotation",
    "uv_embedding",
]

_BASE = 100.0
_AXIS_FREQUENCIES = HEAD_DIM // 4
_GRID_OFFSET = 0.1
_ALL_ROWS = slice(None)


class Rotation(NamedTuple):
    """Cosines and sines (t, 2, 16): token, axis (row, column), frequency."""

    cos: Tensor
    sin: Tensor


def local_positions(grid: tuple[int, int], device: torch.device) -> Tensor:
    """(1 + rows*columns, 2) positions within one view: (0, 0) for token 0, (r+1, c+1) for patch (r, c)."""
    rows, columns = (torch.arange(1, size + 1, device=device) for size in grid)
    patches = torch.cartesian_prod(rows, columns)
    return torch.cat([patches.new_zeros(1, 2), patches])


def global_positions(grid: tuple[int, int], views: int, device: torch.device) -> Tensor:
    """(views * (1 + rows*columns), 2) positions across views: (0, 0) for each token 0, (1, 1) for every patch."""
    one_view = torch.ones(1 + grid[0] * grid[1], 2, dtype=torch.long, device=device)
    one_view[0] = 0
    return one_view.repeat(views, 1)


def rotation(positions: Tensor) -> Rotation:
    """Rotary tables in float32 for (t, 2) positions: frequencies 100^(-k/16), 16 an axis (SPEC 1.2)."""
    exponent = torch.arange(_AXIS_FREQUENCIES, device=positions.device) / _AXIS_FREQUENCIES
    angles = positions[..., None].float() * _BASE**-exponent
    return Rotation(angles.cos(), angles.sin())


def rotate(x: Tensor, by: Rotation) -> Tensor:
    """Rotate (..., t, 64) queries or keys: the first half by the row angle, the second by the column angle."""
    first, second = torch.unflatten(x, -1, (2, 2, _AXIS_FREQUENCIES)).unbind(-2)
    return torch.stack([first * by.cos - second * by.sin, second * by.cos + first * by.sin], dim=-2).flatten(-3)


def resize_position_table(table: Tensor, grid: tuple[int, int]) -> Tensor:
    """The (1, 1 + n*n, C) table for a (rows, columns) patch grid: entry 0 kept, the rest bicubic in float32.

    Sampling steps follow (size + 0.1) / n as the published weights expect (DINOv2's offset), not size / n.
    """
    side = round((table.shape[1] - 1) ** 0.5)
    if grid == (side, side):
        return table
    patches = torch.unflatten(table[:, 1:].float(), 1, (side, side)).permute(0, 3, 1, 2)
    scale = tuple((size + _GRID_OFFSET) / side for size in grid)
    resized = F.interpolate(patches, scale_factor=scale, mode="bicubic", align_corners=False)
    return torch.cat([table[:, :1].float(), resized.flatten(2).transpose(1, 2)], dim=1).to(table.dtype)


def uv_embedding(
    size: tuple[int, int], channels: int, aspect: float, device: torch.device, rows: slice = _ALL_ROWS
) -> Tensor:
    """(channels, h, w) float32 embedding of the place in the image, whose aspect is width / height (SPEC 1.5).

    The first half of the channels encodes u, the second v, each as sines then cosines of 100^(-k/(channels/4)).
    Of a map cut into strips only its `rows`, then h of them. The channels of a place are neighbours in memory, as in
    the maps that it is added to.
    """
    height, width = size
    diagonal = (aspect**2 + 1) ** 0.5
    across = _sinusoid(width, aspect / diagonal, channels // 4, device).T
    down = _sinusoid(height, 1 / diagonal, channels // 4, device).T[rows]
    places = torch.cat([across.expand(len(down), -1, -1), down[:, None].expand(-1, width, -1)], dim=-1)
    return places.permute(2, 0, 1)


def _sinusoid(count: int, span: float, frequencies: int, device: torch.device) -> Tensor:
    """(2 * frequencies, count): sines and cosines at `count` pixel centres spread over [-span, span]."""
    reach = span * (count - 1) / count
    places = torch.linspace(-reach, reach, count, dtype=torch.float64, device="cpu")
    omega = _BASE ** -(torch.arange(frequencies, dtype=torch.float64, device="cpu") / frequencies)
    angles = omega[:, None] * places
    return torch.cat([angles.sin(), angles.cos()]).to(device, torch.float32)
