"""Descriptor matching: mutual nearest neighbours that pass the ratio test (Lowe 2004)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from ...arrays import Int
from .features import DESCRIPTOR_NORM, Features
from .guided import Near

__all__ = ["match_descriptors", "matching_device"]

_CHUNK_ROWS = 4096  # of the similarity matrix held at a time
_NONE = np.zeros((0, 2), np.int32)
_NOTHING = -(2**30)  # less than any scalar product
_SHIFT = 128  # between bytes with and without a sign

_Rows = Callable[[slice], torch.Tensor]


def _has_byte_products() -> bool:
    """Whether this processor and this torch multiply matrices of bytes at speed."""
    supported = getattr(torch.cpu, "_is_vnni_supported", None)
    return hasattr(torch, "_int_mm") and supported is not None and bool(supported())


_BYTE_PRODUCTS = _has_byte_products()


def matching_device(name: str) -> torch.device:
    """The torch device for 'auto', 'cpu' or 'cuda'."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def match_descriptors(
    a: Features, b: Features, ratio: float, device: torch.device, near: Near | None = None
) -> NDArray[np.int32]:
    """(M, 2) indices of matches, one to one, in the order of `a`; with `near`, among the partners that it allows.

    Descriptors hold small integers, so each similarity is exact in float32: the result does not depend on the
    device, on its library or on threads.
    """
    if len(a) == 0 or len(b) < 2:
        return _NONE
    similarities = _similarities(a.descriptors, b.descriptors, device)
    nearest = np.empty(len(a), np.int64)
    best, second = np.empty(len(a), np.float32), np.empty(len(a), np.float32)
    column_best = np.full(len(b), -np.inf, np.float32)
    for start in range(0, len(a), _CHUNK_ROWS):
        part = slice(start, start + _CHUNK_ROWS)
        similarity = similarities(part)
        if near is not None:
            similarity.masked_fill_(_too_far(near, part, b).to(device), _NOTHING)
        nearest[part], best[part], second[part], chunk_best = _best_two(similarity)
        column_best = np.maximum(column_best, chunk_best)
    squared, squared_second = (np.maximum(2 * (DESCRIPTOR_NORM**2 - s), 0) for s in (best, second))
    distinct = squared < ratio**2 * squared_second
    chosen = np.flatnonzero(distinct & (best == column_best[nearest]))
    # Two rows can tie for one column: the first keeps it.
    chosen = np.sort(chosen[np.unique(nearest[chosen], return_index=True)[1]])
    return np.stack([chosen, nearest[chosen]], axis=1).astype(np.int32)


def _similarities(a: NDArray[np.generic], b: NDArray[np.generic], device: torch.device) -> _Rows:
    """Scalar products of some rows of `a` (A, D) with all of `b` (B, D), as integers or as floats that hold them.

    Processors with instructions for products of bytes are several times as fast with them, to the same numbers.
    """
    whole = a.dtype == b.dtype == np.uint8
    if not (whole and device.type == "cpu" and _BYTE_PRODUCTS):
        rows, columns = torch.from_numpy(a).to(device).float(), torch.from_numpy(b).to(device).float().T
        return lambda part: rows[part] @ columns
    (shifted_a, sum_a), (shifted_b, sum_b) = (_shifted(values) for values in (a, b))
    sum_b += _SHIFT**2 * a.shape[1]

    def products(part: slice) -> torch.Tensor:
        # ab = (a - s)(b - s) + s (a - s) + s (b - s) + s s
        return torch._int_mm(shifted_a[part], shifted_b.T).add_(sum_a[part, None]).add_(sum_b)

    return products


def _shifted(values: NDArray[np.generic]) -> tuple[torch.Tensor, torch.Tensor]:
    """Bytes about zero, and the sum of each row of them times the shift."""
    about_zero = (torch.from_numpy(values).to(torch.int16) - _SHIFT).to(torch.int8)
    return about_zero, _SHIFT * about_zero.sum(1, dtype=torch.int32)


def _too_far(near: Near, rows: slice, b: Features) -> torch.Tensor:
    """(A, B) pairs whose second is not within the radius of where the first is expected."""
    expected = torch.from_numpy(near.xy[rows].astype(np.float32))
    places = torch.from_numpy(b.xy.astype(np.float32))
    squared = (expected[:, None, 0] - places[None, :, 0]) ** 2 + (expected[:, None, 1] - places[None, :, 1]) ** 2
    return ~(squared <= near.radius_px**2)


def _best_two(similarity: torch.Tensor) -> tuple[Int, ...]:
    """Per row of (A, B): index and value of the greatest, value of the second; per column: the greatest value."""
    if similarity.is_cuda:
        top, index = similarity.topk(2, dim=1)
        return tuple(t.cpu().numpy() for t in (index[:, 0], top[:, 0], top[:, 1], similarity.amax(0)))
    values = similarity.numpy()  # numpy's reductions are several times as fast as torch's on a processor
    lines, nearest = np.arange(len(values)), values.argmax(1)
    best, column_best = values[lines, nearest], values.max(0)
    values[lines, nearest] = _NOTHING
    return nearest, best, values.max(1), column_best
