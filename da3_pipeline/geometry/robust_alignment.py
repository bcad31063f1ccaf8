"""Similarity alignment of camera trajectories that survives outlying cameras."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from ..arrays import Float, Int
from .alignment import align_cameras, umeyama
from .poses import Sim3, centres, nearest_rotation

__all__ = ["align_cameras_robustly", "distance_ratio", "robust_alignment"]


_ROBUST_FROM = 10
_TRIALS = 10
_FEWEST = 3
_FLAT = 1e-6
_ITERATIONS = 20
_CANDIDATES = 64  # rotations of which one is a start: that none is good among so many needs nearly all to be bad
_PARTNERS = 256  # points whose distances to a point give its scale: so many drawn are seldom half wrong if 45 % are


def align_cameras_robustly(source: Float, target: Float, seed: int = 42) -> Sim3:
    """The Sim3 that takes poses `source` (N, 3, 4 cam_from_world) onto `target`, fitted to the camera centres.

    The published procedure (SPEC 3.3): Umeyama on all centres below ten cameras, RANSAC from ten on.
    Centres that leave the rotation open (one or two cameras, coincident or collinear ones), on which the
    published code fails, are aligned by `align_cameras`, whose rotation comes from the orientations.
    """
    source_centres, target_centres = centres(source), centres(target)
    if _is_degenerate(source_centres) or _is_degenerate(target_centres):
        return align_cameras(source, target)
    if len(source) < _ROBUST_FROM:
        return umeyama(source_centres, target_centres)
    return _ransac_umeyama(source_centres, target_centres, seed)


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


def _is_degenerate(points: Float) -> bool:
    """Whether (N, 3) points lie on one line, to within a millionth of their extent."""
    singular = np.linalg.svd(points - points.mean(0), compute_uv=False)
    return len(points) < _FEWEST or bool(singular[1] <= _FLAT * singular[0])


def _ransac_umeyama(source: Float, target: Float, seed: int) -> Sim3:
    """Umeyama on the inliers of the best of ten random halves.

    The inlier distance is the median distance to the nearest target centre after aligning everything.
    """
    rng = np.random.default_rng(seed)
    everything = umeyama(source, target)
    aligned = everything.apply(source)
    threshold = np.median(cKDTree(target).query(aligned)[0])
    best, best_rank = np.ones(len(source), bool), (0, -np.inf)
    for _ in range(_TRIALS):
        subset = rng.choice(len(source), max(_FEWEST, -(-len(source) // 2)), replace=False)
        distance = np.linalg.norm(umeyama(source[subset], target[subset]).apply(source) - target, axis=1)
        inliers = distance < threshold
        rank = (int(inliers.sum()), -float(distance[inliers].mean()) if inliers.any() else -np.inf)
        if rank > best_rank:
            best, best_rank = inliers, rank
    return umeyama(source[best], target[best]) if best.sum() >= _FEWEST else everything


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
