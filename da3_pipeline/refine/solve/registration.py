"""Cameras that do not fit the rest are found again from the points that the others agree on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pycolmap

from ...arrays import Float, Int
from ...geometry import Camera
from ...grouping import Groups
from ..config import RegistrationConfig
from .problem import Estimate, Problem
from .triangulation import ray_spread_deg, reprojection_errors, triangulate, world_rays

__all__ = ["dependable_points", "register", "strays"]


def strays(
    problem: Problem, estimate: Estimate, errors_px: Float, max_error_px: float, config: RegistrationConfig
) -> Int:
    """Frames without a pose, and frames with an inlier share under half of what the best third of the frames reach.

    An inlier is an observation (of `errors_px`, (M,)) under `max_error_px`. Frames without observations are left out.
    """
    frame = problem.observations.frame
    total = np.bincount(frame, minlength=problem.num_frames)
    good = np.bincount(frame[errors_px < max_error_px], minlength=problem.num_frames)
    share = good / np.maximum(total, 1)
    seen = (total > 0) & estimate.posed
    bar = config.stray_share * np.quantile(share[seen], config.best_quantile) if seen.any() else 0.0
    return np.flatnonzero((total > 0) & ((share < bar) | ~estimate.posed))


def register(
    problem: Problem, estimate: Estimate, frames: Int, max_error_px: float, config: RegistrationConfig, seed: int
) -> Estimate:
    """Poses `frames` anew, by RANSAC PnP against the tracks of all the other posed frames.

    A frame keeps its old pose (or none) where too few of its observations agree with any pose.
    """
    others = estimate.cam_from_world.copy()
    others[frames] = np.nan
    trusted = replace(estimate, cam_from_world=others)
    points = dependable_points(problem, trusted, max_error_px, config)
    poses = estimate.cam_from_world.copy()
    sure = np.flatnonzero(np.asarray(np.isfinite(points).all(1))[problem.observations.track])
    by_frame = Groups.of(problem.observations.frame[sure], problem.num_frames)
    for index in frames.tolist():
        seen = sure[by_frame[index]]
        camera = estimate.cameras[problem.camera_of(index)]
        xy, places = problem.observations.xy[seen], points[problem.observations.track[seen]]
        pose = _pose(camera, xy, places, max_error_px, config, seed)
        if pose is not None:
            poses[index] = pose
    return replace(estimate, cam_from_world=poses)


def dependable_points(problem: Problem, estimate: Estimate, max_error_px: float, config: RegistrationConfig) -> Float:
    """(num_tracks, 3) points that two posed frames or more agree on, under a real angle; NaN elsewhere."""
    observations = problem.observations
    points = triangulate(problem, estimate, observations)
    good = reprojection_errors(problem, estimate, points, observations) < max_error_px
    origins, _ = world_rays(problem, estimate, observations)
    spread = ray_spread_deg(observations, origins, points, good)
    return np.where((spread > config.min_spread_deg)[:, None], points, np.nan)


def _pose(
    camera: Camera, xy: Float, points: Float, max_error_px: float, config: RegistrationConfig, seed: int
) -> Float | None:
    """cam_from_world (3, 4) of a camera that sees (K, 3) points at (K, 2) pixels, solved around the points."""
    if len(xy) < config.fewest_points:
        return None
    options = pycolmap.AbsolutePoseEstimationOptions()
    options.ransac.max_error, options.ransac.random_seed = max_error_px, seed
    options.ransac.max_num_trials = config.max_trials
    middle = np.median(points, axis=0)
    answer = pycolmap.estimate_and_refine_absolute_pose(xy, points - middle, camera.to_pycolmap(), options)
    if answer is None or answer["num_inliers"] < max(config.fewest_points, config.least_inliers * len(xy)):
        return None
    pose = np.asarray(answer["cam_from_world"].matrix())
    pose[:, 3] -= pose[:, :3] @ middle
    return pose
