"""Depth for photographs whose poses are known but whose surfaces are not.

It is made from points triangulated from verified matches under the true poses, spread over the frame by the nearest
point and smoothed: right to a few per cent near features, a guess where there are none. Nothing that is measured with
it may rest on its detail.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from ...arrays import Float32
from ...geometry import Camera
from ...grouping import Groups
from ...progress import Progress
from ...refine import RefineConfig
from ...refine.matching.correspondences import find_correspondences
from ...refine.solve.problem import Estimate, Problem, pose_problem
from ...refine.solve.rounds import fit_points
from .known_scene import KnownScene
from .prior_noise import PriorNoise
from .simulated_prior import simulate_prior

__all__ = ["dense_depth", "with_simulated_depth"]

_SMOOTHING_PX = 3.0


def with_simulated_depth(scene: KnownScene, config: RefineConfig, progress: Progress) -> KnownScene:
    """The scene with depth from its matches; as it was where nothing matches."""
    prediction = simulate_prior(scene, PriorNoise(), 0).prediction
    correspondences = find_correspondences(prediction, config, progress)
    problem = pose_problem(prediction, correspondences, config.features.max_long_side_px)
    depth = dense_depth(problem, _truth(scene, problem), config, scene.depth.shape[1:])
    return replace(scene, depth=depth) if np.isfinite(depth).any() else scene


def dense_depth(problem: Problem, truth: Estimate, config: RefineConfig, shape: tuple[int, ...]) -> Float32:
    """(N, h, w) z-depth from the tracks that agree with the true cameras; NaN for a frame that sees none."""
    fit = fit_points(problem, truth, config.solve.min_ray_spread_deg, config.solve.strict_gate_px)
    frame, xy = problem.observations.frame[fit.kept], problem.observations.xy[fit.kept]
    points = fit.points[problem.observations.track[fit.kept]]
    height, width = shape
    row, column = np.mgrid[:height, :width].reshape(2, -1) + 0.5
    depth = np.full((problem.num_frames, height, width), np.nan, np.float32)
    by_frame = Groups.of(frame, problem.num_frames)
    for k in by_frame.filled:
        mine = by_frame[k]
        pose = truth.cam_from_world[k]
        z = points[mine] @ pose[2, :3] + pose[2, 3]
        places = xy[mine] / problem.size_px[k] * [width, height]
        _, nearest = cKDTree(places).query(np.column_stack([column, row]))
        depth[k] = np.exp(gaussian_filter(np.log(z[nearest]).reshape(shape), _SMOOTHING_PX, mode="nearest"))
    return depth


def _truth(scene: KnownScene, problem: Problem) -> Estimate:
    """The true poses with the mean of the true cameras, in working pixels."""
    cameras = {}
    for camera_id in problem.prior.cameras:
        mine = problem.frames_of(camera_id)
        frame = scene.frames.frames[mine[0]]
        width, height = (int(side) for side in problem.size_px[mine[0]])
        camera = Camera.from_matrix(scene.intrinsics[mine].mean(0), frame.width, frame.height)
        cameras[camera_id] = camera.resized(width, height)
    return Estimate(scene.cam_from_world, cameras)
