"""Who updates which parameter."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from ..errors import UsageError
from ..model import DepthAnything3
from .config import StudentConfig

__all__ = ["make_camera_optimiser", "make_optimisers"]

_BETAS = (0.9, 0.98)
_MOMENTUM = 0.95


def make_optimisers(net: nn.Module, probes: nn.Module, config: StudentConfig) -> list[Optimizer]:
    """AdamW for everything that is trained; with `muon_rate`, Muon for the matrices inside the transformer's blocks.

    Muon (Jordan et al. 2024) orthogonalises each matrix's momentum, which takes a short training further with the
    same samples. Matrices and kernels decay; biases, norms, gains, tokens and position tables do not.
    """
    trained = {name: p for name, p in net.named_parameters() if p.requires_grad}
    matrices = (
        {name for name, p in trained.items() if p.ndim == 2 and ".blocks." in name} if config.muon_rate else set()
    )
    rest = {name: p for name, p in trained.items() if name not in matrices}
    alike: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, p in rest.items():
        decays = p.ndim >= 2 and "token" not in name and "pos_embed" not in name
        alike.setdefault((_rate(name, config), config.weight_decay if decays else 0.0), []).append(p)
    groups: list[dict[str, Any]] = [
        {"params": same, "lr": rate, "weight_decay": decay} for (rate, decay), same in alike.items()
    ]
    groups.append({"params": list(probes.parameters()), "weight_decay": 0.0})
    optimisers: list[Optimizer] = [torch.optim.AdamW(groups, lr=config.learning_rate, betas=_BETAS)]
    if matrices:
        if not hasattr(torch.optim, "Muon"):
            raise UsageError("muon_rate needs PyTorch 2.9 or newer: upgrade torch, or set muon_rate to 0")
        chosen = [trained[name] for name in sorted(matrices)]
        optimisers.append(
            torch.optim.Muon(chosen, lr=config.muon_rate, momentum=_MOMENTUM, weight_decay=config.weight_decay)
        )
    return optimisers


def _rate(name: str, config: StudentConfig) -> float:
    """The full learning rate of a parameter of the network."""
    if config.block_rate and ".blocks." in name:
        layer = int(name.split(".blocks.")[1].split(".")[0])
        return config.block_rate * config.layer_decay ** (config.model.depth - 1 - layer)
    return config.decoder_rate if config.decoder_rate and name.startswith("cam_dec.") else config.learning_rate


def make_camera_optimiser(net: DepthAnything3, config: StudentConfig) -> Optimizer:
    """AdamW at `camera_rate` for the camera decoder after its leak is folded.

    What it reads is not normalised and grows to ten times unit size; at the rate of the rest a single step moves its
    units by more than their spread, and plain rectifiers die of that.
    """
    return torch.optim.AdamW(net.cam_dec.parameters(), lr=config.camera_rate, betas=_BETAS, weight_decay=0.0)
