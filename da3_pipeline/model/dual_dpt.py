"""The dual dense-prediction head: depth and rays from four taps of the trunk (SPEC 1.5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from torch import Tensor, nn

from .config import ModelConfig
from .dpt_blocks import TAIL_WIDTH, DptHead, Scratch, add_embedding, convolve_enlarged
from .lean.strips import finish_in_strips

__all__ = ["DenseMaps", "DualDpt"]

_LEVELS = 4


class DenseMaps(NamedTuple):
    """depth, depth_conf (N, H, W); ray (N, h, w, 6): world direction, then origin; ray_conf (N, h, w)."""

    depth: Tensor
    depth_conf: Tensor
    ray: Tensor
    ray_conf: Tensor


class Permute(nn.Module):
    """Reorder dimensions."""

    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.order)


class DualScratch(Scratch):
    """The convolutions of both branches.

    The ray branch has output layers for four levels, of which the finest alone is ever used; their
    LayerNorm is one module that all four share.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, outputs=2, chains=("", "_aux"))
        width = config.head_features
        narrowing = [width, width // 2] * 3
        self.output_conv1_aux = nn.ModuleList(
            nn.Sequential(*(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(narrowing))) for _ in range(_LEVELS)
        )
        shared_norm = nn.LayerNorm(TAIL_WIDTH)
        self.output_conv2_aux = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width // 2, TAIL_WIDTH, 3, padding=1),
                Permute(0, 2, 3, 1),
                shared_norm,
                Permute(0, 3, 1, 2),
                nn.ReLU(),
                nn.Conv2d(TAIL_WIDTH, 7, 1),
            )
            for _ in range(_LEVELS)
        )

    def tower(self) -> Iterator[nn.Module]:
        """The convolutions of the ray branch after its fusion chain."""
        return self.output_conv1_aux[-1].children()


class DualDpt(DptHead):
    """Depth and ray maps with their confidences."""

    scratch: DualScratch

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.norm = nn.LayerNorm(config.tap_width)
        self.scratch = DualScratch(config)

    def forward(self, taps: Sequence[Tensor], grid: tuple[int, int], size: tuple[int, int]) -> DenseMaps:
        """From four taps (N, rows*columns, 2C) on a `grid` (rows, columns), for images of `size` (H, W)."""
        aspect = size[1] / size[0]
        return self.decode([self.reduced(level, tap, grid, aspect) for level, tap in enumerate(taps)], size)

    def decode(self, reduced: Sequence[Tensor], size: tuple[int, int]) -> DenseMaps:
        """From all four `reduced`."""
        narrow, aspect = self.pyramid(reduced), size[1] / size[0]
        depth = self._depth(self.scratch.fuse(narrow), size, aspect)
        return DenseMaps(*depth, *self._ray(self.scratch.fuse(narrow, "_aux"), aspect))

    def decode_depth(self, reduced: Sequence[Tensor], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """depth and depth_conf alone: the rays cost as much as they do."""
        return self._depth(self.scratch.fuse(self.pyramid(reduced)), size, size[1] / size[0])

    def _depth(self, x: Tensor, size: tuple[int, int], aspect: float) -> tuple[Tensor, Tensor]:
        tail = self.scratch.output_conv2
        x = finish_in_strips(
            convolve_enlarged(x, self.scratch.output_conv1), size, lambda x, rows: tail(add_embedding(x, aspect, rows))
        )
        return x[:, 0].exp(), x[:, 1].exp() + 1

    def _ray(self, x: Tensor, aspect: float) -> tuple[Tensor, Tensor]:
        first, *others = self.scratch.tower()
        x = convolve_enlarged(x, first)
        for convolution in others:
            x = convolution(x)
        x = self.scratch.output_conv2_aux[-1](add_embedding(x, aspect)).permute(0, 2, 3, 1)
        return x[..., :6], x[..., 6].exp() + 1
