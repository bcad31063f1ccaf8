"""How heads are run: in float32 whatever autocast says, and on a few views at a time to bound their memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

__all__ = ["in_float32", "over_views"]

_VIEWS_AT_ONCE = 8


def in_float32(device: torch.device) -> AbstractContextManager[object]:
    """Suspends autocast, on the devices that have it."""
    return torch.autocast(device.type, enabled=False) if device.type in ("cpu", "cuda") else nullcontext()


def over_views(head: Callable[..., Sequence[Tensor]], *per_view: Tensor) -> list[Tensor]:
    """`head` of some (B, S, ...) tensors, which it sees as (n, ...) float32 for a few views; results (B, S, ...)."""
    batch = per_view[0].shape[:2]
    pieces = zip(*(torch.split(x.flatten(0, 1), _VIEWS_AT_ONCE) for x in per_view), strict=True)
    parts = [head(*(x.float() for x in piece)) for piece in pieces]
    return [torch.unflatten(torch.cat(same), 0, batch) for same in zip(*parts, strict=True)]
