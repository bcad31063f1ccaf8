"""Reading the queries and keys of cross-view attention while the network runs, for losses on correspondence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from torch import Tensor

from ..errors import UsageError
from .network import DepthAnything3

__all__ = ["HeadAttention", "record_attention"]


class HeadAttention(NamedTuple):
    """One head of one cross-view block, after normalisation and rotation, in the order of the input views.

    query, key (B, S * (1 + rows*columns), 64): views one after the other, each its camera token and then its
    patches, row-major.
    The head's attention is softmax(query @ key.T / 8) over the tokens of all views. Gradients flow.
    """

    query: Tensor
    key: Tensor


@contextmanager
def record_attention(net: DepthAnything3, layers: Sequence[int], head: int = 0) -> Iterator[dict[int, HeadAttention]]:
    """Record one head of some cross-view blocks during the forward passes inside the `with` block.

        with record_attention(net, layers=(5, 7, 9)) as attention:
            output = net(images)
        query, key = attention[5]

    The dictionary holds the latest forward pass. Costs nothing outside the block. Raises UsageError for a
    block that is not one of `net.config.global_layers` or a head that does not exist.
    """
    if not set(layers) <= set(net.config.global_layers) or not 0 <= head < net.config.heads:
        raise UsageError(
            f"no head {head} of blocks {tuple(layers)} to record: "
            f"cross-view blocks are {net.config.global_layers}, heads 0..{net.config.heads - 1}"
        )
    recorded: dict[int, HeadAttention] = {}

    def keep(layer: int, q: Tensor, k: Tensor) -> None:
        recorded[layer] = HeadAttention(q[:, head], k[:, head])

    attentions = {layer: net.trunk.attention(layer) for layer in layers}
    try:
        for layer, attention in attentions.items():
            attention.probe = partial(keep, layer)
        yield recorded
    finally:
        for attention in attentions.values():
            attention.probe = None
