"""Similarity alignment of camera trajectories that survives outlying cameras."""

from __future__ import annotations

import numpy as np

from ..arrays import Float
from .alignment import align_cameras, umeyama
from .poses import Sim3, centres, nearest_rotation

__all__ = ["align_cameras_robustly", "distance_ratio", "robust_alignment"]


_ROBUST_FROM = 10
_TRIALS = 10
_FEWEST = 3
_FLAT = 1e-6
_ITERATIONS = 20


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


def robust_alignment(source: Float, target: Float, scale: float | None = None) -> Sim3:
    """The Sim3 that takes poses `source` (N, 3, 4) onto `target`, by reweighted least absolute deviations.

    Without a `scale` it is taken from the distances between centres, 1 where they do not differ. Unlike
    `align_cameras`, a minority of arbitrary poses does not move the result far.
    """
    turns = np.swapaxes(target[:, :, :3], 1, 2) @ source[:, :, :3]
    rotation = _median_rotation(turns)
    turned, wanted = centres(source) @ rotation.T, centres(target)
    if scale is None:
        scale = distance_ratio(turned, wanted) or 1.0
    translation = _median_point(wanted - scale * turned)
    return Sim3(scale, rotation, translation)


def distance_ratio(source: Float, target: Float) -> float | None:
    """Median over pairs of (N, 3) points of their distance in `target` over that in `source`; None without extent."""
    first, second = np.triu_indices(len(source), 1)
    before = np.linalg.norm(source[first] - source[second], axis=1)
    after = np.linalg.norm(target[first] - target[second], axis=1)
    apart = before > 1e-9 * max(float(np.abs(source).max(initial=0.0)), 1e-12)
    if not apart.any():
        return None
    ratio = float(np.median(after[apart] / before[apart]))
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
    threshold = np.median(np.linalg.norm(aligned[:, None] - target, axis=-1).min(1))
    best, best_rank = np.ones(len(source), bool), (0, -np.inf)
    for _ in range(_TRIALS):
        subset = rng.choice(len(source), max(_FEWEST, -(-len(source) // 2)), replace=False)
        distance = np.linalg.norm(umeyama(source[subset], target[subset]).apply(source) - target, axis=1)
        inliers = distance < threshold
        rank = (int(inliers.sum()), -float(distance[inliers].mean()) if inliers.any() else -np.inf)
        if rank > best_rank:
            best, best_rank = inliers, rank
    return umeyama(source[best], target[best]) if best.sum() >= _FEWEST else everything


def _median_rotation(turns: Float) -> Float:
    """The rotation with about the least sum of angles to (N, 3, 3) rotations, from the best of them onwards."""
    chords = np.linalg.norm(turns[:, None] - turns[None], axis=(2, 3))
    rotation = turns[int(chords.sum(1).argmin())]
    for _ in range(_ITERATIONS):
        distances = np.linalg.norm(turns - rotation, axis=(1, 2))
        weights = 1 / np.maximum(distances, 1e-6)
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
