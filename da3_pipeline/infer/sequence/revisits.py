"""Frames that may show a place that was seen before, by the descriptors of the network's own first blocks."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from ...arrays import Float, Float32, Int
from ..config import RevisitConfig

__all__ = ["Revisit", "find_revisits"]


@dataclass(frozen=True)
class Revisit:
    """Rows `first` < `second` whose surroundings look alike: cosine `similarity` of whitened descriptors."""

    first: int
    second: int
    similarity: float


def find_revisits(descriptors: Float32, group: Int, limit: int, config: RevisitConfig) -> list[Revisit]:
    """At most `limit` pairs of (N, D) descriptors, the most similar first, no two of them close to each other.

    Only pairs some time apart whose `group` (N,), ascending, differs by more than 1. Descriptors are whitened over the
    capture, which takes out what all its pictures have in common, and averaged over neighbouring frames.
    """
    if len(descriptors) <= config.least_gap:
        return []
    unit = _averaged(_whitened(np.asarray(descriptors, np.float64), config.shrinkage), config.neighbours)
    candidates: list[tuple[float, int, int]] = []
    for start in range(0, len(unit), config.block_rows):
        rows = np.arange(start, min(start + config.block_rows, len(unit)))
        candidates += _best_of_block(unit, rows, group, config)
    chosen: list[Revisit] = []
    for similarity, first, second in heapq.nlargest(len(candidates), candidates):
        if len(chosen) == limit:
            break
        if all(max(abs(first - one.first), abs(second - one.second)) >= config.apart for one in chosen):
            chosen.append(Revisit(first, second, similarity))
    return chosen


def _best_of_block(unit: Float, rows: Int, group: Int, config: RevisitConfig) -> list[tuple[float, int, int]]:
    """The most similar pairs of these rows with earlier ones, as (similarity, earlier, later)."""
    earlier = np.arange(rows[-1] + 1)
    similarity = unit[rows] @ unit[earlier].T
    allowed = (rows[:, None] - earlier >= config.least_gap) & (group[rows][:, None] - group[earlier] > 1)
    similarity[~allowed | (similarity < config.least_similarity)] = -np.inf
    flat = similarity.ravel()
    keep = np.argpartition(-flat, min(config.pairs_per_block, len(flat) - 1))[: config.pairs_per_block]
    keep = keep[np.isfinite(flat[keep])]
    return [(float(flat[k]), int(k % len(earlier)), int(rows[k // len(earlier)])) for k in keep]


def _whitened(descriptors: Float, shrinkage: float) -> Float:
    centred = descriptors - descriptors.mean(0)
    variance, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    floor = shrinkage * max(float(variance[-1]), 1e-12)
    return _unit(centred @ axes / np.sqrt(np.maximum(variance, 0) + floor))


def _averaged(unit: Float, neighbours: int) -> Float:
    """Every row with its neighbours', as far as the capture goes."""
    total = np.cumsum(np.concatenate([np.zeros((1, unit.shape[1])), unit]), axis=0)
    rows = np.arange(len(unit))
    return _unit(total[np.minimum(rows + neighbours + 1, len(unit))] - total[np.maximum(rows - neighbours, 0)])


def _unit(vectors: Float) -> Float:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
