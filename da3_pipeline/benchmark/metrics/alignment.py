"""From the world of an estimate to that of the truth, as the published benchmark finds it, and where it fails."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from ...arrays import Float
from ...geometry import Sim3, centres
from ...geometry.alignment import align_cameras, umeyama

__all__ = ["align_trajectories", "align_trajectories_robustly"]

_TRIALS = 10
_FEWEST = 3
_FLAT = 1e-6


def align_trajectories(source: Float, target: Float) -> Sim3:
    """The Sim3 that takes poses `source` (N, 3, 4 cam_from_world) onto `target`: Umeyama on the camera centres.

    Centres that leave the rotation open (one or two cameras, coincident or collinear ones), on which the published
    code fails, are aligned by `align_cameras`, whose rotation comes from the orientations.
    """
    source_centres, target_centres = centres(source), centres(target)
    if _is_degenerate(source_centres) or _is_degenerate(target_centres):
        return align_cameras(source, target)
    return umeyama(source_centres, target_centres)


def align_trajectories_robustly(source: Float, target: Float, seed: int = 42) -> Sim3:
    """The same on the inliers of the best of ten random halves (SPEC 3.3), which the published benchmark always takes.

    The inlier distance is the median distance to the nearest target centre after aligning everything.
    """
    source_centres, target_centres = centres(source), centres(target)
    if _is_degenerate(source_centres) or _is_degenerate(target_centres):
        return align_cameras(source, target)
    rng = np.random.default_rng(seed)
    best_model = umeyama(source_centres, target_centres)
    threshold = np.median(cKDTree(target_centres).query(best_model.apply(source_centres))[0])
    best, best_rank = np.zeros(len(source), bool), (-1, -np.inf)
    for _ in range(_TRIALS):
        subset = rng.choice(len(source), max(_FEWEST, -(-len(source) // 2)), replace=False)
        if _is_degenerate(source_centres[subset]) or _is_degenerate(target_centres[subset]):
            continue
        model = umeyama(source_centres[subset], target_centres[subset])
        distance = np.linalg.norm(model.apply(source_centres) - target_centres, axis=1)
        inliers = distance <= threshold
        rank = (int(inliers.sum()), -float(distance[inliers].mean()) if inliers.any() else -np.inf)
        if rank > best_rank:
            best, best_rank, best_model = inliers, rank, model
    return umeyama(source_centres[best], target_centres[best]) if best.sum() >= _FEWEST else best_model


def _is_degenerate(points: Float) -> bool:
    """Whether (N, 3) points lie on one line, to within a millionth of their extent."""
    singular = np.linalg.svd(points - points.mean(0), compute_uv=False)
    return len(points) < _FEWEST or bool(singular[1] <= _FLAT * singular[0])
