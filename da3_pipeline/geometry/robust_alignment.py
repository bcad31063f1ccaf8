"""Similarity alignment of camera trajectories that survives outlying cameras."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .alignment import align_cameras, umeyama
from .poses import Sim3, centres

__all__ = ["align_cameras_robustly"]

Array = NDArray[np.float64]

_ROBUST_FROM = 10
_TRIALS = 10
_FEWEST = 3
_FLAT = 1e-6


def align_cameras_robustly(source: Array, target: Array, seed: int = 42) -> Sim3:
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


def _is_degenerate(points: Array) -> bool:
    """Whether (N, 3) points lie on one line, to within a millionth of their extent."""
    singular = np.linalg.svd(points - points.mean(0), compute_uv=False)
    return len(points) < _FEWEST or bool(singular[1] <= _FLAT * singular[0])


def _ransac_umeyama(source: Array, target: Array, seed: int) -> Sim3:
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
