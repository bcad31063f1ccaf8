"""Networks with fresh weights."""

from __future__ import annotations

import torch

from .config import ModelConfig
from .initialisation import initialise
from .network import DepthAnything3
from .variants import variant

__all__ = ["build"]


def build(model: str | ModelConfig, *, generator: torch.Generator | None = None) -> DepthAnything3:
    """A network with fresh weights, in training mode, float32, on torch's default device.

    model: a registered name (see `VARIANTS`) or a configuration. generator: source of the weights; None
    draws from torch's global one. Raises UsageError on an unknown name.
    """
    net = DepthAnything3(variant(model).config if isinstance(model, str) else model)
    initialise(net, generator)
    return net
