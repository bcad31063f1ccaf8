"""Cameras that do not fit the rest are found again from the points that the others agree on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pycolmap

from ...arrays import Float, Int
from .problem import Estimate, Problem
from .tracks import Observations
from .triangulation import ray_spread_deg, reprojection_errors, triangulate, world_rays

__all__ = ["dependable_points", "register", "strays"]


_FEWEST_POINTS = 12
_LEAST_SPREAD_DEG = 1.0


def strays(problem: Problem, estimate: Estimate, errors_px: Float, max_error_px: float) -> Int:
    """Frames without a pose, and frames with an inlier share under half of what the best third of the frames reach.

    An inlier is an observation (of `errors_px`, (M,)) under `max_error_px`. Frames without observations are left out.
    """
    frame = problem.observations.frame
    total = np.bincount(frame, minlength=problem.num_frames)
    good = np.bincount(frame[errors_px < max_error_px], minlength=problem.num_frames)
    share = good / np.maximum(total, 1)
    seen = (total > 0) & estimate.posed
    bar = 0.5 * np.quantile(share[seen], 2 / 3) if seen.any() else 0.0
    return np.flatnonzero((total > 0) & ((share < bar) | ~estimate.posed))


def register(problem: Problem, estimate: Estimate, frames: Int, max_error_px: float, seed: int) -> Estimate:
    """Poses `frames` anew, by RANSAC PnP against the tracks of all the other posed frames.

    A frame keeps its old pose (or none) where too few of its observations agree with any pose.
    """
    others = estimate.cam_from_world.copy()
    others[frames] = np.nan
    trusted = replace(estimate, cam_from_world=others)
    points = dependable_points(problem, trusted, max_error_px)
    poses = estimate.cam_from_world.copy()
    for index in frames.tolist():
        pose = _pose(problem.observations, estimate, problem.camera_ids[index], index, points, (max_error_px, seed))
        if pose is not None:
            poses[index] = pose
    return replace(estimate, cam_from_world=poses)


def dependable_points(problem: Problem, estimate: Estimate, max_error_px: float) -> Float:
    """(num_tracks, 3) points that two posed frames or more agree on, under a real angle; NaN elsewhere."""
    observations = problem.observations
    points = triangulate(problem, estimate, observations)
    good = reprojection_errors(problem, estimate, points, observations) < max_error_px
    origins, _ = world_rays(problem, estimate, observations)
    spread = ray_spread_deg(observations, origins, points, good)
    return np.where((spread > _LEAST_SPREAD_DEG)[:, None], points, np.nan)


def _pose(
    observations: Observations,
    estimate: Estimate,
    camera_id: str,
    index: int,
    points: Float,
    tolerance: tuple[float, int],
) -> Float | None:
    mine = (observations.frame == index) & np.asarray(np.isfinite(points).all(1))[observations.track]
    if mine.sum() < _FEWEST_POINTS:
        return None
    options = pycolmap.AbsolutePoseEstimationOptions()
    options.ransac.max_error, options.ransac.random_seed = tolerance
    options.ransac.max_num_trials = 2000
    answer = pycolmap.estimate_and_refine_absolute_pose(
        observations.xy[mine], points[observations.track[mine]], estimate.cameras[camera_id].to_pycolmap(), options
    )
    if answer is None or answer["num_inliers"] < max(_FEWEST_POINTS, 0.25 * mine.sum()):
        return None
    return np.asarray(answer["cam_from_world"].matrix())
