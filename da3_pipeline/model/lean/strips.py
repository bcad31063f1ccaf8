"""Enlarging a map to the size of the images and finishing it there, a strip of rows at a time.

At full size the maps before a head's last layers are its largest. Strips are small and stay in a processor's cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Rows", "finish_in_strips", "resize"]

_HALO = 1  # rows on either side that the last 3x3 convolution sees
_LEAST_ROWS = 8
_LEAST_CHANNELS = 32  # of what the last layers make of a strip, however narrow it is
_STRIP_BYTES = {"cpu": 3 << 20}
_STRIP_BYTES_ELSEWHERE = 256 << 20


class Rows(NamedTuple):
    """Rows start:stop of a map of `height` rows."""

    start: int
    stop: int
    height: int


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear interpolation of (N, C, h, w) to `size` with the corners' centres aligned."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


def finish_in_strips(x: Tensor, size: tuple[int, int], finish: Callable[[Tensor, Rows], Tensor]) -> Tensor:
    """`finish` of (N, C, h, w) resized to `size`: (N, outputs, H, W).

    finish: from some rows of the resized map, which it may change, to the outputs there. It may look one row to either
    side: the outputs next to a cut, where it cannot, are not used. Where gradients are wanted there is one strip.
    """
    height, width = size
    step = height if torch.is_grad_enabled() else _strip_rows(x, width)
    if step >= height:
        return finish(resize(x, size), Rows(0, height, height))
    result = x.new_empty(0)
    for start in range(0, height, step):
        stop = min(start + step, height)
        seen = Rows(max(0, start - _HALO), min(height, stop + _HALO), height)
        outputs = finish(_resized_rows(x, seen, width), seen)
        if start == 0:
            whole = (*outputs.shape[:2], height, width)
            result = torch.empty(whole, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        result[:, :, start:stop] = outputs[:, :, start - seen.start : stop - seen.start]
    return result


def _strip_rows(x: Tensor, width: int) -> int:
    allowed = _STRIP_BYTES.get(x.device.type, _STRIP_BYTES_ELSEWHERE)
    channels = max(x.shape[1], _LEAST_CHANNELS)
    return max(_LEAST_ROWS, allowed // (x.shape[0] * channels * width * x.element_size()))


def _resized_rows(x: Tensor, rows: Rows, width: int) -> Tensor:
    """Those rows of `resize(x, (rows.height, width))`."""
    places = torch.arange(rows.start, rows.stop, device=x.device) * ((x.shape[2] - 1) / max(rows.height - 1, 1))
    above = places.long().clamp_max(x.shape[2] - 1)
    below = (above + 1).clamp_max(x.shape[2] - 1)
    share = (places - above).to(x.dtype)[:, None, None]
    by_row = x.permute(0, 2, 3, 1)  # channels are neighbours in memory, and stay so
    between = torch.lerp(by_row.index_select(1, above), by_row.index_select(1, below), share)
    return resize(between.permute(0, 3, 1, 2), (rows.stop - rows.start, width))
