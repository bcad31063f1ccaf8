"""Depth and sky from a monocular network, with gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from ...model.config import PATCH
from ...model.monocular import MonocularNetwork

__all__ = ["predict"]


def predict(net: MonocularNetwork, images: Tensor, bf16: bool = False) -> tuple[Tensor, Tensor]:
    """depth and sky (N, H, W) of normalised images (N, 3, H, W), the sky's depth as it comes; gradients flow."""
    size = (images.shape[-2], images.shape[-1])
    grid = (size[0] // PATCH, size[1] // PATCH)
    with torch.autocast(images.device.type, torch.bfloat16, bf16):
        taps = net.trunk(images[:, None]).patches
        kept = [net.head.reduced(level, tap[:, 0].float(), grid, None) for level, tap in enumerate(taps)]
        depth, sky = net.head.decode(kept, size)
    return depth.float(), sky.float()
