"""The monocular networks' head: depth and sky from four taps of the trunk (SPEC 1.6)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from .config import ModelConfig
from .dpt_blocks import DptHead, Scratch, resize, tail

__all__ = ["SkyDpt"]


class SkyScratch(Scratch):
    """One fusion chain with a second tail, for the sky."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, outputs=1)
        self.sky_output_conv2: nn.Sequential = tail(config.head_features // 2, 1)


class SkyDpt(DptHead):
    """Depth and sky; it is not told the places of pixels."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.scratch = SkyScratch(config)

    def forward(self, taps: Sequence[Tensor], grid: tuple[int, int], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """depth and sky (N, H, W), both positive, from four taps (N, rows*columns, C) on a `grid` (rows, columns)."""
        narrow = self.scratch.narrow(self.pyramid(taps, grid, None))
        x = resize(self.scratch.output_conv1(self.scratch.fuse(narrow)), size)
        return self.scratch.output_conv2(x)[:, 0].exp(), F.relu(self.scratch.sky_output_conv2(x)[:, 0])
