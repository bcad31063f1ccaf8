"""What all dense-prediction heads are built from, under the names of the published checkpoints (SPEC 1.5 to 1.7)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import ModelConfig
from .lean.strips import Rows, finish_in_strips, resize
from .positions import uv_embedding

__all__ = [
    "TAIL_WIDTH",
    "DptHead",
    "FusionBlock",
    "ResidualConvUnit",
    "Scratch",
    "add_embedding",
    "convolve_enlarged",
    "tail",
]

TAIL_WIDTH = 32
_EMBEDDING_GAIN = 0.1
_LEVELS = 4
_ENLARGED = (0, 1)  # levels whose maps grow: they are kept before that


class ResidualConvUnit(nn.Module):
    """x + conv(relu(conv(relu(x))))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu_(self.conv1(F.relu(x)))).add_(x)


class FusionBlock(nn.Module):
    """Join a coarser map with a finer one; enlarge the result to `size` unless it is None."""

    def __init__(self, width: int, *, joins: bool) -> None:
        super().__init__()
        self.resConfUnit1 = ResidualConvUnit(width) if joins else None
        self.resConfUnit2 = ResidualConvUnit(width)
        self.out_conv = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, skip: Tensor | None, size: tuple[int, int] | None) -> Tensor:
        if self.resConfUnit1 is not None and skip is not None:
            x = self.resConfUnit1(skip).add_(x)
        # A 1x1 convolution commutes with the interpolation, whose weights sum to one, and is cheaper before it.
        x = self.out_conv(self.resConfUnit2(x))
        return x if size is None else resize(x, size)


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

    def narrow(self, level: int, x: Tensor) -> Tensor:
        """The map of one level, 0 the finest, at the width of the fusion chains."""
        return self.get_submodule(f"layer{level + 1}_rn")(x)

    def fuse(self, narrow: Sequence[Tensor], chain: str = "") -> Tensor:
        """Four narrow maps through one fusion chain, whose last enlargement, to twice the finest size, is left out."""
        x, skips = narrow[-1], [*narrow[:-1], None]
        for level in range(_LEVELS, 0, -1):
            size = None if level == 1 else (narrow[level - 2].shape[2], narrow[level - 2].shape[3])
            x = self.get_submodule(f"refinenet{level}{chain}")(x, skips[level - 1], size)
        return x


def convolve_enlarged(x: Tensor, convolution: nn.Module) -> Tensor:
    """A 3x3 convolution of what `Scratch.fuse` gave, enlarged to twice its size."""
    return finish_in_strips(x, (2 * x.shape[2], 2 * x.shape[3]), lambda rows, _: convolution(rows))


class DptHead(nn.Module):
    """The first half of every head: four taps of the trunk to maps of four sizes.

    It comes in two steps, so that not more than the first one's small results need be kept of many views.
    """

    scratch: Scratch

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        first, second, _, fourth = config.head_channels
        self.norm: nn.Module = nn.Identity()
        self.projects = nn.ModuleList(nn.Conv2d(config.tap_width, channels, 1) for channels in config.head_channels)
        self.resize_layers = nn.ModuleList(
            (
                nn.ConvTranspose2d(first, first, 4, 4),
                nn.ConvTranspose2d(second, second, 2, 2),
                nn.Identity(),
                nn.Conv2d(fourth, fourth, 3, 2, 1),
            )
        )

    def reduced(self, level: int, tap: Tensor, grid: tuple[int, int], aspect: float | None) -> Tensor:
        """What is kept of one tap (n, rows*columns, width) on a `grid` (rows, columns): a small map (n, c, h, w).

        aspect: width / height of the image, whose places are then added; None adds nothing.
        """
        x = self.projects[level](torch.unflatten(self.norm(tap).mT, -1, grid))
        if aspect is not None:
            x = add_embedding(x, aspect)
        return x if level in _ENLARGED else self._narrow(level, x)

    def pyramid(self, reduced: Sequence[Tensor]) -> list[Tensor]:
        """Maps (n, F, h, w), fine to coarse, from all four `reduced`."""
        return [self._narrow(level, x) if level in _ENLARGED else x for level, x in enumerate(reduced)]

    def _narrow(self, level: int, x: Tensor) -> Tensor:
        return self.scratch.narrow(level, self.resize_layers[level](x))


def tail(width: int, outputs: int) -> nn.Sequential:
    """The last layers of a head: 3x3 to 32 channels, ReLU, 1x1 to `outputs`."""
    return nn.Sequential(nn.Conv2d(width, TAIL_WIDTH, 3, padding=1), nn.ReLU(), nn.Conv2d(TAIL_WIDTH, outputs, 1))


def add_embedding(x: Tensor, aspect: float, rows: Rows | None = None) -> Tensor:
    """(N, C, h, w) plus the embedding of each place in an image of that aspect; `x` itself is changed.

    rows: which ones `x` is of a larger map; None if it is the whole.
    """
    start, stop, height = Rows(0, x.shape[2], x.shape[2]) if rows is None else rows
    embedding = uv_embedding((height, x.shape[3]), x.shape[1], aspect, x.device, slice(start, stop))
    return x.add_(embedding.to(x.dtype), alpha=_EMBEDDING_GAIN)
