"""The monocular networks' head: depth and sky from four taps of the trunk (SPEC 1.6)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import ModelConfig
from .dpt_blocks import DptHead, Scratch, convolve_enlarged, tail
from .lean.strips import finish_in_strips

__all__ = ["SkyDpt"]


class SkyScratch(Scratch):
    """One fusion chain with a second tail, for the sky."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, outputs=1)
        self.sky_output_conv2: nn.Sequential = tail(config.head_features // 2, 1)


class SkyDpt(DptHead):
    """Depth and sky; it is not told the places of pixels."""

    scratch: SkyScratch

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.scratch = SkyScratch(config)

    def forward(self, taps: Sequence[Tensor], grid: tuple[int, int], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """depth and sky (N, H, W), both positive, from four taps (N, rows*columns, C) on a `grid` (rows, columns)."""
        reduced = [self.reduced(level, tap, grid, None) for level, tap in enumerate(taps)]
        return self.decode(reduced, size)

    def decode(self, reduced: Sequence[Tensor], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """depth and sky from all four `reduced`."""
        x = convolve_enlarged(self.scratch.fuse(self.pyramid(reduced)), self.scratch.output_conv1)
        tails = (self.scratch.output_conv2, self.scratch.sky_output_conv2)
        x = finish_in_strips(x, size, lambda x, rows: torch.cat([tail(x) for tail in tails], dim=1))
        return x[:, 0].exp(), F.relu(x[:, 1])
