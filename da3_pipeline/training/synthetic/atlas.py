"""A library of textures with mip-maps, sampled by gathering from one flat buffer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from ...arrays import Int
from .photographs import photographic_textures
from .textures import SIZE, STYLES, procedural_texture

__all__ = ["LEVELS", "Atlas", "build_atlas"]

LEVELS = 7
"""Mip levels: 256, 128, ... 4 texels across."""

_SIDES = tuple(SIZE >> level for level in range(LEVELS))
_STARTS = tuple(int(s) for s in np.cumsum([0, *(side * side for side in _SIDES)]))


@dataclass(frozen=True)
class Atlas:
    """`texels` (T * texels per texture, 4) uint8, RGB and padding: all levels of texture 0, then of texture 1, ...

    `styles` names each texture's origin: one of textures.STYLES or 'photograph'.
    """

    texels: Tensor
    styles: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.styles)

    def of_style(self, *styles: str) -> Int:
        """Indices of the textures of these styles."""
        return np.array([i for i, style in enumerate(self.styles) if style in styles], np.int64)

    def to(self, device: torch.device) -> Atlas:
        return Atlas(self.texels.to(device), self.styles)

    def sample(self, texture: Tensor, uv: Tensor, footprint: Tensor) -> Tensor:
        """Bilinear, wrapping lookup in the nearest mip level: (R, 3) in [0, 1].

        texture (R,) indices; uv (R, 2) in texels of the finest level; footprint (R,) texels a pixel covers.
        """
        level = torch.log2(footprint.clamp_min(1e-6)).round().clamp(0, LEVELS - 1).long()
        side = SIZE >> level
        base = texture * _STARTS[-1] + torch.tensor(_STARTS, device=uv.device)[level]
        position = uv / (1 << level)[:, None] - 0.5
        corner = position.floor()
        fraction = position - corner
        mask = (side - 1)[:, None]  # sides are powers of two: masking wraps, negative numbers included
        low = corner.long()
        high = (low + 1) & mask
        low = low & mask
        top, bottom = base + low[:, 1] * side, base + high[:, 1] * side
        weight_x, weight_y = fraction[:, :1], fraction[:, 1:]
        upper = torch.lerp(self._texel(top + low[:, 0]), self._texel(top + high[:, 0]), weight_x)
        lower = torch.lerp(self._texel(bottom + low[:, 0]), self._texel(bottom + high[:, 0]), weight_x)
        return torch.lerp(upper, lower, weight_y) * (1 / 255)

    def _texel(self, index: Tensor) -> Tensor:
        return self.texels.index_select(0, index)[:, :3].to(torch.float32)


def build_atlas(seed: int, procedural: int, photographic: int = 0, photographs: Sequence[Path] = ()) -> Atlas:
    """`procedural` textures of every style in turn, then up to `photographic` crops; a function of its arguments."""
    rng = np.random.default_rng([seed, 0x7E87])
    styles = [sorted(STYLES)[i % len(STYLES)] for i in range(procedural)]
    images = [procedural_texture(rng, style) for style in styles]
    images += photographic_textures(rng, photographs, photographic) if photographs else ()
    styles += ["photograph"] * (len(images) - procedural)
    texels = np.zeros((len(images), _STARTS[-1], 4), np.uint8)
    for row, image in zip(texels, images, strict=True):
        for start, end, side in zip(_STARTS, _STARTS[1:], _SIDES, strict=False):
            row[start:end, :3] = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA).reshape(-1, 3)
    return Atlas(torch.from_numpy(texels.reshape(-1, 4)), tuple(styles))
