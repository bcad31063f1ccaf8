"""Fresh weights that already hold the circuit for matching views: structure in place of the first epochs.

The channels of the residual stream start divided in three. A half holds the patch's content: its principal components.
A quarter holds the patch's place in its image: smooth waves, which mean the same at every resolution and are not
trained. The last quarter starts empty. Head 0 of every cross-view block starts by comparing contents and by copying
the place of what it finds into the empty quarter; so that a patch soon knows where it is in the other view, which is
what the camera follows from. Training may undo all but the waves.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..model import DepthAnything3
from ..model.config import HEAD_DIM, PATCH

__all__ = ["warm_start"]

_WHITENING = -0.35
_PLACE_GAIN = 0.7
_SHARPNESS = 1.4
_CYCLES = (0.25, 2.5)


@torch.no_grad()
def warm_start(net: DepthAnything3, images: Tensor, generator: torch.Generator) -> None:
    """Set the trunk's start from sample images (N, 3, H, W), normalised as the network's input."""
    trunk, width = net.trunk, net.config.embed_dim
    content, place = width // 2, width // 4
    embedding = trunk.patch_embed.get_parameter("proj.weight")
    embedding.zero_()
    embedding[:content] = _principal_patches(images, content, generator)
    torch.nn.init.zeros_(trunk.patch_embed.get_parameter("proj.bias"))
    trunk.pos_embed.zero_()
    trunk.pos_embed[:, 1:, content : content + place] = _waves(round((trunk.pos_embed.shape[1] - 1) ** 0.5), place)
    trunk.pos_embed.requires_grad_(False)
    for layer in net.config.global_layers:
        attention = trunk.blocks[layer].get_submodule("attn")
        for norm in ("q_norm.weight", "k_norm.weight"):
            torch.nn.init.constant_(attention.get_parameter(norm), _SHARPNESS)
        _start_matching(attention.get_parameter("qkv.weight"), attention.get_parameter("proj.weight"), generator)


def _start_matching(qkv: Tensor, proj: Tensor, generator: torch.Generator) -> None:
    """Head 0 of a layer: equal queries and keys, of the content; values the place, put into the last quarter."""
    width = proj.shape[0]
    content, place = width // 2, min(width // 4, HEAD_DIM)
    mixing = torch.randn(HEAD_DIM, content, generator=generator) / content**0.5
    for start in (0, width):
        qkv[start : start + HEAD_DIM] = 0
        qkv[start : start + HEAD_DIM, :content] = mixing
    qkv[2 * width : 2 * width + HEAD_DIM] = 0
    qkv[2 * width : 2 * width + place, content : content + place] = torch.eye(place)
    proj[:, :HEAD_DIM] = 0
    proj[content + width // 4 : content + width // 4 + place, :place] = torch.eye(place)


def _principal_patches(images: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """(count, 3, 14, 14) partly whitened principal components of the images' patches, randomly rotated."""
    patches = F.unfold(images, PATCH, stride=PATCH).transpose(1, 2).reshape(-1, 3 * PATCH**2).double()
    centred = patches - patches.mean(0)
    variance, axes = torch.linalg.eigh(centred.T @ centred / len(centred))
    largest = variance[-count:].clamp_min(variance[-1] * 1e-6)
    components = axes[:, -count:] * largest**_WHITENING
    rotation = torch.linalg.qr(torch.randn(count, count, dtype=torch.float64, generator=generator))[0]
    filters = (components @ rotation).T
    spread = (centred @ filters.T).std()
    return (filters / spread).reshape(count, 3, PATCH, PATCH).float()


def _waves(side: int, width: int) -> Tensor:
    """(side * side, width): sines and cosines of the row, then of the column."""
    low, high = _CYCLES
    frequency = low * (high / low) ** torch.linspace(0, 1, width // 4)
    angle = 2 * torch.pi * frequency * ((torch.arange(side) + 0.5) / side - 0.5)[:, None]
    wave = torch.cat([angle.sin(), angle.cos()], -1)
    rows = wave[:, None].expand(-1, side, -1)
    columns = wave[None].expand(side, -1, -1)
    return _PLACE_GAIN * torch.cat([rows, columns], -1).reshape(side * side, width)
