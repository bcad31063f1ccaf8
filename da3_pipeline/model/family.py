"""The three kinds of network that the family has."""

from __future__ import annotations

from typing import TypeAlias

from ..errors import UsageError
from .config import ModelConfig
from .monocular import MonocularNetwork
from .nested import NestedNetwork
from .network import DepthAnything3

__all__ = ["Network", "any_view", "network_of"]

Network: TypeAlias = DepthAnything3 | MonocularNetwork | NestedNetwork


def network_of(config: ModelConfig) -> Network:
    """The network that `config` describes, with weights that mean nothing yet."""
    if config.is_monocular:
        return MonocularNetwork(config)
    return DepthAnything3(config) if config.metric is None else NestedNetwork(config)


def any_view(net: Network) -> DepthAnything3:
    """`net` itself where it is a plain any-view network, which is all that can be trained. UsageError otherwise."""
    if isinstance(net, DepthAnything3):
        return net
    kind = "monocular" if isinstance(net, MonocularNetwork) else "nested"
    raise UsageError(f"this takes an any-view network such as da3-small, not a {kind} one")
