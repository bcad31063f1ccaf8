"""The dual dense-prediction head: depth and rays from four taps of the trunk (SPEC 1.5)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import ModelConfig
from .positions import uv_embedding

__all__ = ["DenseMaps", "DualDpt"]

_EMBEDDING_GAIN = 0.1
_TAIL = 32
_LEVELS = 4


class DenseMaps(NamedTuple):
    """depth, depth_conf (N, H, W); ray (N, h, w, 6): world direction, then origin; ray_conf (N, h, w)."""

    depth: Tensor
    depth_conf: Tensor
    ray: Tensor
    ray_conf: Tensor


class ResidualConvUnit(nn.Module):
    """x + conv(relu(conv(relu(x))))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))


class FusionBlock(nn.Module):
    """Join a coarser map with a finer one and enlarge the result."""

    def __init__(self, width: int, *, joins: bool) -> None:
        super().__init__()
        self.resConfUnit1 = ResidualConvUnit(width) if joins else None
        self.resConfUnit2 = ResidualConvUnit(width)
        self.out_conv = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, skip: Tensor | None, size: Sequence[int]) -> Tensor:
        if self.resConfUnit1 is not None and skip is not None:
            x = x + self.resConfUnit1(skip)
        # A 1x1 convolution commutes with the interpolation, whose weights sum to one, and is cheaper before it.
        return _resize(self.out_conv(self.resConfUnit2(x)), size)


class Permute(nn.Module):
    """Reorder dimensions."""

    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.order)


class Scratch(nn.Module):
    """The head's convolutions after the projections, under the names of the published checkpoints.

    The ray branch has output layers for four levels, of which the finest alone is ever used; their
    LayerNorm is one module that all four share.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.head_features
        for level, channels in enumerate(config.head_channels, start=1):
            self.add_module(f"layer{level}_rn", nn.Conv2d(channels, width, 3, padding=1, bias=False))
            for branch in ("", "_aux"):
                self.add_module(f"refinenet{level}{branch}", FusionBlock(width, joins=level < _LEVELS))
        self.output_conv1 = nn.Conv2d(width, width // 2, 3, padding=1)
        self.output_conv2 = nn.Sequential(nn.Conv2d(width // 2, _TAIL, 3, padding=1), nn.ReLU(), nn.Conv2d(_TAIL, 2, 1))
        narrowing = [width, width // 2] * 3
        self.output_conv1_aux = nn.ModuleList(
            nn.Sequential(*(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(narrowing))) for _ in range(_LEVELS)
        )
        shared_norm = nn.LayerNorm(_TAIL)
        self.output_conv2_aux = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width // 2, _TAIL, 3, padding=1),
                Permute(0, 2, 3, 1),
                shared_norm,
                Permute(0, 3, 1, 2),
                nn.ReLU(),
                nn.Conv2d(_TAIL, 7, 1),
            )
            for _ in range(_LEVELS)
        )

    def fuse(self, maps: Sequence[Tensor], branch: str) -> Tensor:
        """Four maps, fine to coarse, through one fusion chain to twice the finest size."""
        narrow = [self.get_submodule(f"layer{level}_rn")(x) for level, x in enumerate(maps, start=1)]
        sizes = [[2 * side for side in narrow[0].shape[-2:]], *(x.shape[-2:] for x in narrow)]
        x, skips = narrow[-1], [*narrow[:-1], None]
        for level in range(_LEVELS, 0, -1):
            x = self.get_submodule(f"refinenet{level}{branch}")(x, skips[level - 1], sizes[level - 1])
        return x


class DualDpt(nn.Module):
    """Depth and ray maps with their confidences."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = 2 * config.embed_dim
        first, second, _, fourth = config.head_channels
        self.norm = nn.LayerNorm(width)
        self.projects = nn.ModuleList(nn.Conv2d(width, channels, 1) for channels in config.head_channels)
        self.resize_layers = nn.ModuleList(
            (
                nn.ConvTranspose2d(first, first, 4, 4),
                nn.ConvTranspose2d(second, second, 2, 2),
                nn.Identity(),
                nn.Conv2d(fourth, fourth, 3, 2, 1),
            )
        )
        self.scratch = Scratch(config)

    def forward(self, taps: Sequence[Tensor], grid: tuple[int, int], size: tuple[int, int]) -> DenseMaps:
        """From four taps (N, rows*columns, 2C) on a `grid` (rows, columns), for images of `size` (H, W)."""
        aspect = size[1] / size[0]
        maps = []
        for tap, project, resize in zip(taps, self.projects, self.resize_layers, strict=True):
            x = project(torch.unflatten(self.norm(tap).mT, -1, grid))
            maps.append(resize(_add_embedding(x, aspect)))
        depth = self._depth(self.scratch.fuse(maps, ""), size, aspect)
        ray = self._ray(self.scratch.fuse(maps, "_aux"), aspect)
        return DenseMaps(*depth, *ray)

    def _depth(self, x: Tensor, size: tuple[int, int], aspect: float) -> tuple[Tensor, Tensor]:
        x = _resize(self.scratch.output_conv1(x), size)
        log_depth, log_conf = self.scratch.output_conv2(_add_embedding(x, aspect)).unbind(1)
        return log_depth.exp(), log_conf.exp() + 1

    def _ray(self, x: Tensor, aspect: float) -> tuple[Tensor, Tensor]:
        x = self.scratch.output_conv1_aux[-1](x)
        x = self.scratch.output_conv2_aux[-1](_add_embedding(x, aspect)).permute(0, 2, 3, 1)
        return x[..., :6], x[..., 6].exp() + 1


def _resize(x: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=True)


def _add_embedding(x: Tensor, aspect: float) -> Tensor:
    height, width = x.shape[-2:]
    return x + _EMBEDDING_GAIN * uv_embedding((height, width), x.shape[1], aspect, x.device).to(x.dtype)
