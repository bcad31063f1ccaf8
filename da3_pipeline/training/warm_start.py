"""Fresh weights from which a small network learns to match views soon: structure in place of the first epochs.

Four things, all of which training may undo but the last: patches start as their own principal components; queries
and keys of cross-view attention start equal, so that attention begins as similarity; and the position table starts
as smooth waves, so that it means the same at every resolution, and is not trained.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..model import DepthAnything3
from ..model.config import PATCH

__all__ = ["warm_start"]

_WHITENING = -0.35
_POSITION_GAIN = 0.3
_CYCLES = (0.25, 4.0)


@torch.no_grad()
def warm_start(net: DepthAnything3, images: Tensor, generator: torch.Generator) -> None:
    """Set the trunk's start from sample images (N, 3, H, W), normalised as the network's input."""
    trunk = net.trunk
    width = net.config.embed_dim
    trunk.patch_embed.proj.weight.copy_(_principal_patches(images, width, generator))
    torch.nn.init.zeros_(trunk.patch_embed.get_parameter("proj.bias"))
    trunk.pos_embed[:, 1:].copy_(_waves(round((trunk.pos_embed.shape[1] - 1) ** 0.5), width))
    trunk.pos_embed.requires_grad_(False)
    for layer in net.config.global_layers:
        weight = trunk.blocks[layer].get_submodule("attn").get_parameter("qkv.weight")
        weight[width : 2 * width] = weight[:width]


def _principal_patches(images: Tensor, width: int, generator: torch.Generator) -> Tensor:
    """(width, 3, 14, 14) partly whitened principal components of the images' patches, randomly rotated."""
    patches = F.unfold(images, PATCH, stride=PATCH).transpose(1, 2).reshape(-1, 3 * PATCH**2).double()
    centred = patches - patches.mean(0)
    variance, axes = torch.linalg.eigh(centred.T @ centred / len(centred))
    largest = variance[-width:].clamp_min(variance[-1] * 1e-6)
    components = axes[:, -width:] * largest**_WHITENING
    rotation = torch.linalg.qr(torch.randn(width, width, dtype=torch.float64, generator=generator))[0]
    filters = (components @ rotation).T
    spread = (centred @ filters.T).std()
    return (filters / spread).reshape(width, 3, PATCH, PATCH).float()


def _waves(side: int, width: int) -> Tensor:
    """(side * side, width): sines and cosines of the row, then of the column."""
    low, high = _CYCLES
    frequency = low * (high / low) ** torch.linspace(0, 1, width // 4)
    angle = 2 * torch.pi * frequency * ((torch.arange(side) + 0.5) / side - 0.5)[:, None]
    wave = torch.cat([angle.sin(), angle.cos()], -1)
    rows = wave[:, None].expand(-1, side, -1)
    columns = wave[None].expand(side, -1, -1)
    return _POSITION_GAIN * torch.cat([rows, columns], -1).reshape(side * side, width)
