"""Descriptor matching: mutual nearest neighbours that pass the ratio test (Lowe 2004)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ...arrays import Int
from .features import DESCRIPTOR_NORM, Features
from .guided import Near

__all__ = ["match_descriptors", "matching_device"]

_CHUNK_ROWS = 4096  # of the similarity matrix held at a time
_NONE = np.zeros((0, 2), np.int32)


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
    rows = torch.from_numpy(a.descriptors).to(device).float()
    columns = torch.from_numpy(b.descriptors).to(device).float().T
    nearest = np.empty(len(a), np.int64)
    best, second = np.empty(len(a), np.float32), np.empty(len(a), np.float32)
    column_best = np.full(len(b), -np.inf, np.float32)
    for start in range(0, len(a), _CHUNK_ROWS):
        part = slice(start, start + _CHUNK_ROWS)
        similarity = rows[part] @ columns
        if near is not None:
            similarity.masked_fill_(_too_far(near, part, b).to(device), -torch.inf)
        nearest[part], best[part], second[part], chunk_best = _best_two(similarity)
        column_best = np.maximum(column_best, chunk_best)
    squared, squared_second = (np.maximum(2 * (DESCRIPTOR_NORM**2 - s), 0) for s in (best, second))
    distinct = squared < ratio**2 * squared_second
    chosen = np.flatnonzero(distinct & (best == column_best[nearest]))
    # Two rows can tie for one column: the first keeps it.
    chosen = np.sort(chosen[np.unique(nearest[chosen], return_index=True)[1]])
    return np.stack([chosen, nearest[chosen]], axis=1).astype(np.int32)


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
    values[lines, nearest] = -np.inf
    return nearest, best, values.max(1), column_best
