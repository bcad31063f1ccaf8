"""A checkpoint of random weights under which every part of a network shows in its outputs."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from ...model import build
from ...model.checkpoints.format import save_checkpoint

__all__ = ["write_random_checkpoint"]

_TOWARDS_CAMERAS = ("cam_dec.fc_t.weight", "cam_dec.fc_qvec.weight", "cam_dec.fc_fov.0.weight")


def write_random_checkpoint(variant: str, path: Path, seed: int = 0) -> None:
    """Write weights for the registered `variant` in the published format.

    They keep the variance of what passes through them, so that depth, confidence and cameras vary as those of a
    trained network do and a difference between two implementations is not damped on its way out.
    """
    generator = torch.Generator().manual_seed(seed)
    net = build(variant, generator=generator)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.copy_(_drawn(name, parameter, generator))
    save_checkpoint(net, path)


def _drawn(name: str, like: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.randn(like.shape, generator=generator)
    if name.endswith("gamma"):
        return 0.5 + 0.05 * noise
    if name.endswith(("cls_token", "camera_token", "pos_embed")):
        return 0.3 * noise
    if name.endswith("bias"):
        plain = {"cam_dec.fc_fov.0.bias": torch.ones(2), "cam_dec.fc_qvec.bias": torch.tensor([0.0, 0.0, 0.0, 1.0])}
        return plain.get(name, torch.zeros(())) + 0.02 * noise
    if like.ndim == 1:
        return 1 + 0.1 * noise
    gain = 0.3 if name in _TOWARDS_CAMERAS else 0.5 if ".resConfUnit" in name else 1.0
    return gain * noise / math.sqrt(math.prod(like.shape[1:]))
