"""The dense-prediction heads: from four taps of the trunk to maps at the size of the images (SPEC 1.5 to 1.7).

All are DPTs under the names of the published checkpoints. `DptHead.reduced` makes a small map of each tap as soon as
the trunk has it, so that not more than these need be kept of many views. Once all four are there, a head's `decode`
fuses them, coarse to fine (`Scratch`), and finishes the result at full size, a strip at a time:

    DualDpt      any-view networks: depth and rays, each with its confidence
    SkyDpt       monocular networks: depth and sky
    GaussianDpt  the giant's second head: the raw parameters of one Gaussian a pixel
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import ModelConfig
from .lean.dense_pass import in_float32
from .lean.strips import Rows, finish_in_strips, resize

__all__ = [
    "QUATERNION_REAL",
    "RAW_CHANNELS",
    "TAIL_WIDTH",
    "DenseMaps",
    "DptHead",
    "DualDpt",
    "GaussianDpt",
    "ResidualConvUnit",
    "SkyDpt",
    "uv_embedding",
]

RAW_CHANNELS = 37
QUATERNION_REAL = 8  # the raw channel of its real part
TAIL_WIDTH = 32
_EMBEDDING_GAIN = 0.1
_EMBEDDING_BASE = 100.0
_LEVELS = 4
_ENLARGED = (0, 1)  # levels whose maps grow in the pyramid: they are kept before that
_ALL_ROWS = slice(None)


class DptHead(nn.Module):
    """The first half of every head: four taps to a pyramid of maps, each of half the size of the one before."""

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
            x = _add_embedding(x, aspect)
        return x if level in _ENLARGED else self._narrow(level, x)

    def pyramid(self, reduced: Sequence[Tensor]) -> list[Tensor]:
        """Maps (n, F, h, w), fine to coarse, from all four `reduced`."""
        return [self._narrow(level, x) if level in _ENLARGED else x for level, x in enumerate(reduced)]

    def _narrow(self, level: int, x: Tensor) -> Tensor:
        """The map of one level at its size in the pyramid and at the width of the fusion chains."""
        return self.scratch.narrow(level, self.resize_layers[level](x))


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
        self.output_conv2 = _tail(width // 2, outputs)

    def narrow(self, level: int, x: Tensor) -> Tensor:
        """The map of one level, 0 the finest, convolved to the width F of the fusion chains."""
        return self.get_submodule(f"layer{level + 1}_rn")(x)

    def fuse(self, narrow: Sequence[Tensor], chain: str = "") -> Tensor:
        """Four narrow maps through one fusion chain, whose last enlargement, to twice the finest size, is left out."""
        x, skips = narrow[-1], [*narrow[:-1], None]
        for level in range(_LEVELS, 0, -1):
            size = None if level == 1 else (narrow[level - 2].shape[2], narrow[level - 2].shape[3])
            x = self.get_submodule(f"refinenet{level}{chain}")(x, skips[level - 1], size)
        return x


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
        """Both steps: from four taps (N, rows*columns, 2C) on a `grid` (rows, columns), for images of `size` (H, W)."""
        aspect = size[1] / size[0]
        return self.decode([self.reduced(level, tap, grid, aspect) for level, tap in enumerate(taps)], size)

    def decode(self, reduced: Sequence[Tensor], size: tuple[int, int]) -> DenseMaps:
        """From all four `reduced`, for images of `size` (H, W)."""
        narrow, aspect = self.pyramid(reduced), size[1] / size[0]
        depth = self._depth(self.scratch.fuse(narrow), size, aspect)
        return DenseMaps(*depth, *self._ray(self.scratch.fuse(narrow, "_aux"), aspect))

    def decode_depth(self, reduced: Sequence[Tensor], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """depth and depth_conf alone: the rays cost as much as they do."""
        return self._depth(self.scratch.fuse(self.pyramid(reduced)), size, size[1] / size[0])

    def _depth(self, x: Tensor, size: tuple[int, int], aspect: float) -> tuple[Tensor, Tensor]:
        last = self.scratch.output_conv2
        x = _convolve_enlarged(x, self.scratch.output_conv1)
        x = finish_in_strips(x, size, lambda x, rows: _exactly(last, _add_embedding(x, aspect, rows)))
        return x[:, 0].exp(), x[:, 1].exp() + 1

    def _ray(self, x: Tensor, aspect: float) -> tuple[Tensor, Tensor]:
        first, *others = self.scratch.tower()
        x = _convolve_enlarged(x, first)
        for convolution in others:
            x = convolution(x)
        x = _exactly(self.scratch.output_conv2_aux[-1], _add_embedding(x, aspect)).permute(0, 2, 3, 1)
        return x[..., :6], x[..., 6].exp() + 1


class SkyScratch(Scratch):
    """One fusion chain with a second tail, for the sky."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, outputs=1)
        self.sky_output_conv2: nn.Sequential = _tail(config.head_features // 2, 1)


class SkyDpt(DptHead):
    """Depth and sky; it is not told the places of pixels."""

    scratch: SkyScratch

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.scratch = SkyScratch(config)

    def decode(self, reduced: Sequence[Tensor], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """depth and sky (N, H, W), both positive, from all four `reduced`, for images of `size` (H, W)."""
        x = _convolve_enlarged(self.scratch.fuse(self.pyramid(reduced)), self.scratch.output_conv1)
        tails = (self.scratch.output_conv2, self.scratch.sky_output_conv2)
        x = finish_in_strips(x, size, lambda x, _: torch.cat([tail(x) for tail in tails], dim=1))
        return x[:, 0].exp(), F.relu(x[:, 1])


class GaussianDpt(DptHead):
    """37 raw channels and an opacity for each pixel, from the taps and the colours."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.scratch = Scratch(config, outputs=RAW_CHANNELS + 1)
        width = config.head_features // 2
        self.images_merger = nn.Sequential(
            nn.Conv2d(3, width // 4, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width // 4, width // 2, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width // 2, width, 3, padding=1),
            nn.GELU(),
        )

    def decode(self, reduced: Sequence[Tensor], images: Tensor) -> tuple[Tensor, Tensor]:
        """raw (N, H, W, 37) and opacity (N, H, W) from all four `reduced` and the images (N, 3, H, W)."""
        height, width = images.shape[-2:]
        x = _convolve_enlarged(self.scratch.fuse(self.pyramid(reduced)), self.scratch.output_conv1)
        x = resize(x, (height, width)) + self.images_merger(images)
        x = self.scratch.output_conv2(_add_embedding(x, width / height))
        return x[:, :RAW_CHANNELS].movedim(1, -1), x[:, RAW_CHANNELS].sigmoid()


def _convolve_enlarged(x: Tensor, convolution: nn.Module) -> Tensor:
    """A 3x3 convolution of what `Scratch.fuse` gave, enlarged to twice its size."""
    return finish_in_strips(x, (2 * x.shape[2], 2 * x.shape[3]), lambda rows, _: convolution(rows))


def _exactly(last: nn.Module, x: Tensor) -> Tensor:
    """The last layers of a head, the very last of them in float32 even under autocast, as in training: bfloat16 would
    tell depths apart by no less than a 256th."""
    *hidden, output = last.children()
    for layer in hidden:
        x = layer(x)
    with in_float32(x.device):
        return output(x.to(output.get_parameter("weight").dtype))


def _tail(width: int, outputs: int) -> nn.Sequential:
    """The last layers of a head: 3x3 to 32 channels, ReLU, 1x1 to `outputs`."""
    return nn.Sequential(nn.Conv2d(width, TAIL_WIDTH, 3, padding=1), nn.ReLU(), nn.Conv2d(TAIL_WIDTH, outputs, 1))


def _add_embedding(x: Tensor, aspect: float, rows: Rows | None = None) -> Tensor:
    """(N, C, h, w) plus the embedding of each place in an image of that aspect; `x` itself is changed.

    rows: which ones `x` is of a larger map; None if it is the whole.
    """
    start, stop, height = Rows(0, x.shape[2], x.shape[2]) if rows is None else rows
    embedding = uv_embedding((height, x.shape[3]), x.shape[1], aspect, x.device, slice(start, stop))
    return x.add_(embedding.to(x.dtype), alpha=_EMBEDDING_GAIN)


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
    omega = _EMBEDDING_BASE ** -(torch.arange(frequencies, dtype=torch.float64, device="cpu") / frequencies)
    angles = omega[:, None] * places
    return torch.cat([angles.sin(), angles.cos()]).to(device, torch.float32)
