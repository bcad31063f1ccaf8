"""What all dense-prediction heads are built from, under the names of the published checkpoints (SPEC 1.5 to 1.7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import ModelConfig
from .positions import uv_embedding

__all__ = ["TAIL_WIDTH", "DptHead", "FusionBlock", "ResidualConvUnit", "Scratch", "add_embedding", "resize", "tail"]

TAIL_WIDTH = 32
_EMBEDDING_GAIN = 0.1
_LEVELS = 4


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
        return resize(self.out_conv(self.resConfUnit2(x)), size)


class Scratch(nn.Module):
    """A head's convolutions after the projections: one or more fusion chains and the output layers of the first.

    outputs: channels that the head predicts. chains: suffix of each fusion chain's name.
    """

    def __init__(self, config: ModelConfig, outputs: int, chains: Sequence[str] = ("",)) -> None:
        super().__init__()
        width = config.head_features
        for level, channels in enumerate(config.head_channels, start=1):
            self.add_module(f"layer{level}_rn", nn.Conv2d(channels, width, 3, padding=1, bias=False))
            for chain in chains:
                self.add_module(f"refinenet{level}{chain}", FusionBlock(width, joins=level < _LEVELS))
        self.output_conv1 = nn.Conv2d(width, width // 2, 3, padding=1)
        self.output_conv2 = tail(width // 2, outputs)

    def narrow(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The four maps, fine to coarse, at the width of the fusion chains."""
        return [self.get_submodule(f"layer{level}_rn")(x) for level, x in enumerate(maps, start=1)]

    def fuse(self, narrow: Sequence[Tensor], chain: str = "") -> Tensor:
        """Four narrow maps through one fusion chain to twice the finest size."""
        sizes = [[2 * side for side in narrow[0].shape[-2:]], *(x.shape[-2:] for x in narrow)]
        x, skips = narrow[-1], [*narrow[:-1], None]
        for level in range(_LEVELS, 0, -1):
            x = self.get_submodule(f"refinenet{level}{chain}")(x, skips[level - 1], sizes[level - 1])
        return x


class DptHead(nn.Module):
    """The first half of every head: four taps of the trunk to maps of four sizes."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        first, second, _, fourth = config.head_channels
        self.projects = nn.ModuleList(nn.Conv2d(config.tap_width, channels, 1) for channels in config.head_channels)
        self.resize_layers = nn.ModuleList(
            (
                nn.ConvTranspose2d(first, first, 4, 4),
                nn.ConvTranspose2d(second, second, 2, 2),
                nn.Identity(),
                nn.Conv2d(fourth, fourth, 3, 2, 1),
            )
        )

    def pyramid(self, taps: Iterable[Tensor], grid: tuple[int, int], aspect: float | None) -> list[Tensor]:
        """Maps, fine to coarse, of four taps (N, rows*columns, width) on a `grid` (rows, columns).

        aspect: width / height of the image, whose places are then added; None adds nothing.
        """
        maps = []
        for tap, project, enlarge in zip(taps, self.projects, self.resize_layers, strict=True):
            x = project(torch.unflatten(tap.mT, -1, grid))
            maps.append(enlarge(x if aspect is None else add_embedding(x, aspect)))
        return maps


def tail(width: int, outputs: int) -> nn.Sequential:
    """The last layers of a head: 3x3 to 32 channels, ReLU, 1x1 to `outputs`."""
    return nn.Sequential(nn.Conv2d(width, TAIL_WIDTH, 3, padding=1), nn.ReLU(), nn.Conv2d(TAIL_WIDTH, outputs, 1))


def resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear interpolation of (N, C, h, w) to `size` with the corners' centres aligned."""
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=True)


def add_embedding(x: Tensor, aspect: float) -> Tensor:
    """(N, C, h, w) plus the embedding of each place in an image of that aspect."""
    height, width = x.shape[-2:]
    return x + _EMBEDDING_GAIN * uv_embedding((height, width), x.shape[1], aspect, x.device).to(x.dtype)
