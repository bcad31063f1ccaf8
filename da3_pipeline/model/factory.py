"""Networks with fresh or with trained weights."""

from __future__ import annotations

from pathlib import Path

import torch

from ..errors import WeightsError
from .checkpoints.format import open_checkpoint
from .checkpoints.sources import find_checkpoint
from .config import ModelConfig
from .family import Network, network_of
from .initialisation import initialise
from .variants import variant

__all__ = ["build", "load"]


def build(model: str | ModelConfig, *, generator: torch.Generator | None = None) -> Network:
    """A network with fresh weights, in training mode, float32, on torch's default device.

    model: a registered name (see `VARIANTS`) or a configuration. generator: source of the weights; None
    draws from torch's global one. Raises UsageError on an unknown name.
    """
    default_device = torch.empty(0).device
    net = _skeleton(variant(model).config if isinstance(model, str) else model).to_empty(device=default_device)
    initialise(net, generator)
    return net


def load(
    name_or_path: str | Path, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
) -> Network:
    """A network with the weights of a checkpoint, in evaluation mode.

    name_or_path: a registered name, a safetensors file, or a folder with model.safetensors and config.json.
    device: the CPU unless given. dtype: of the trunks' parameters, float32 unless given; the heads and the
    camera encoder always stay in float32, in which they are meant to run (SPEC 1.2).
    Raises WeightsError: nothing there, no network, not safetensors, damaged, or of another variant.
    """
    path, named = find_checkpoint(name_or_path)
    checkpoint = open_checkpoint(path)
    config = named or checkpoint.config or checkpoint.guess_config()
    if config is None:
        raise WeightsError(f"{path} does not say which network it is for, and it seems to be {checkpoint.kind()}")
    net = _skeleton(config)
    checkpoint.check({name: tuple(tensor.shape) for name, tensor in net.state_dict().items()})
    target = torch.device("cpu" if device is None else device)
    net.load_state_dict(checkpoint.tensors(target, torch.float32 if dtype is None else dtype), assign=True)
    return net.eval()


def _skeleton(config: ModelConfig) -> Network:
    """The network's structure without memory for its weights."""
    with torch.device("meta"):
        return network_of(config)
