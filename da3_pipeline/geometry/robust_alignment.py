"""Similarity alignment of camera trajectories that survives outlying cameras."""

from __future__ import annotations

import numpy as np

from ..arrays import Float, Int
from .poses import Sim3, centres, nearest_rotation

__all__ = ["distance_ratio", "robust_alignment"]


_ITERATIONS = 20
_CANDIDATES = 64  # rotations of which one is a start: that none is good among so many needs nearly all to be bad
_PARTNERS = 256  # points whose distances to a point give its scale: so many drawn are seldom half wrong if 45 % are


def robust_alignment(source: Float, target: Float, scale: float | None = None, seed: int = 42) -> Sim3:
    """The Sim3 that takes poses `source` (N, 3, 4) onto `target`, by reweighted least absolute deviations.

    Without a `scale` it is taken from the distances between centres, 1 where they do not differ. Unlike
    `align_cameras`, a minority of arbitrary poses does not move the result far. Time and memory grow with N.
    """
    turns = np.swapaxes(target[:, :, :3], 1, 2) @ source[:, :, :3]
    rotation = _median_rotation(turns, seed)
    turned, wanted = centres(source) @ rotation.T, centres(target)
    if scale is None:
        scale = distance_ratio(turned, wanted, seed) or 1.0
    translation = _median_point(wanted - scale * turned)
    return Sim3(scale, rotation, translation)


def distance_ratio(source: Float, target: Float, seed: int = 42) -> float | None:
    """How many times as far apart (N, 3) points are in `target` as in `source`; None without extent.

    The repeated median (Siegel 1982): of each point the median over its partners, of these the median over points.
    Nearly half of many points may be anywhere, where most distances between points are wrong already.
    """
    partner = _partners(len(source), seed)
    before = np.linalg.norm(source[:, None] - source[partner], axis=2)
    after = np.linalg.norm(target[:, None] - target[partner], axis=2)
    apart = before > 1e-9 * max(float(np.abs(source).max(initial=0.0)), 1e-12)
    some = apart.any(axis=1)
    if not some.any():
        return None
    ratios = np.divide(after, before, out=np.full(before.shape, np.nan), where=apart)[some]
    ratio = float(np.median(np.nanmedian(ratios, axis=1)))
    return ratio if ratio > 1e-12 else None


def _partners(count: int, seed: int) -> Int:
    """(N, P) other points for each of N: all of them, or of many so many at random."""
    if count - 1 <= _PARTNERS:
        step = np.broadcast_to(np.arange(1, count), (count, max(count - 1, 0)))
    else:
        step = np.random.default_rng(seed).integers(1, count, (count, _PARTNERS))
    return (np.arange(count)[:, None] + step) % max(count, 1)


def _median_rotation(turns: Float, seed: int) -> Float:
    """The rotation with about the least sum of angles to (N, 3, 3) rotations: their L1 mean (Hartley et al. 2011).

    Weiszfeld's iteration, on matrices, from the best of a random few of them onwards.
    """
    drawn = np.random.default_rng(seed).permutation(len(turns))[:_CANDIDATES]
    chords = np.sqrt(np.maximum(6 - 2 * turns[drawn].reshape(-1, 9) @ turns.reshape(-1, 9).T, 0))
    rotation = turns[drawn[chords.sum(1).argmin()]]
    for _ in range(_ITERATIONS):
        distances = np.linalg.norm(turns - rotation, axis=(1, 2))
        # A rotation that the iteration stands on would hold it for ever: none weighs more than those near the median.
        weights = 1 / np.maximum(distances, max(0.1 * float(np.median(distances)), 1e-12))
        rotation = nearest_rotation((weights[:, None, None] * turns).sum(0))
    return rotation


def _median_point(points: Float) -> Float:
    """The geometric median of (N, 3) points (Weiszfeld 1937), from the coordinate-wise median onwards."""
    point = np.median(points, axis=0)
    floor = 1e-9 * max(float(np.abs(points).max()), 1e-12)
    for _ in range(_ITERATIONS):
        weights = 1 / np.maximum(np.linalg.norm(points - point, axis=1), floor)
        point = weights @ points / weights.sum()
    return np.asarray(point)
