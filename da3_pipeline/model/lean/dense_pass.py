"""How heads are run: in float32 whatever autocast says, and on a few views at a time to bound their memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

__all__ = ["in_float32", "over_views"]

_PIXELS_AT_ONCE = {"cpu": 200_000}
_PIXELS_AT_ONCE_ELSEWHERE = 1_600_000


def in_float32(device: torch.device) -> AbstractContextManager[object]:
    """Suspends autocast, on the devices that have it."""
    return torch.autocast(device.type, enabled=False) if device.type in ("cpu", "cuda") else nullcontext()


def over_views(head: Callable[..., Sequence[Tensor]], *per_view: Tensor, size: tuple[int, int]) -> list[Tensor]:
    """`head` of some (B, S, ...) tensors, which it sees as (n, ...) float32 for a few views; results (B, S, ...).

    size: of the images, which decides how many views a few are.
    """
    batch = per_view[0].shape[:2]
    flat = [x.flatten(0, 1) for x in per_view]
    count, at_once = len(flat[0]), _views_at_once(size, flat[0].device)
    results: list[Tensor] = []
    for first in range(0, count, at_once):
        part = head(*(x[first : first + at_once].float() for x in flat))
        if not results:
            results = [x.new_empty((count, *x.shape[1:])) for x in part]
        for result, x in zip(results, part, strict=True):
            result[first : first + at_once] = x
    return [torch.unflatten(result, 0, batch) for result in results]


def _views_at_once(size: tuple[int, int], device: torch.device) -> int:
    allowed_px = _PIXELS_AT_ONCE.get(device.type, _PIXELS_AT_ONCE_ELSEWHERE)
    return max(1, allowed_px // (size[0] * size[1]))
