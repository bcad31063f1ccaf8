"""Networks of any kind, with fresh or with trained weights."""

from __future__ import annotations

from pathlib import Path

import torch

from ..errors import UsageError, WeightsError
from .checkpoints.format import open_checkpoint
from .checkpoints.sources import find_checkpoint
from .config import ModelConfig
from .initialisation import initialise
from .monocular import MonocularNetwork
from .nested import NestedNetwork, Network
from .network import DepthAnything3
from .variants import variant

__all__ = ["any_view", "build", "load"]


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


def any_view(net: Network) -> DepthAnything3:
    """`net` itself where it is a plain any-view network, which is all that can be trained. UsageError otherwise."""
    if isinstance(net, DepthAnything3):
        return net
    kind = "monocular" if isinstance(net, MonocularNetwork) else "nested"
    raise UsageError(f"this takes an any-view network such as da3-small, not a {kind} one")


def _skeleton(config: ModelConfig) -> Network:
    """The network's structure without memory for its weights."""
    with torch.device("meta"):
        if config.is_monocular:
            return MonocularNetwork(config)
        return DepthAnything3(config) if config.metric is None else NestedNetwork(config)
