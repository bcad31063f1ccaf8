"""Relative poses of image pairs from their verified matches alone, and the focal length that makes them consistent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pycolmap

from ...arrays import Bool, Float, Int
from ...geometry import Camera
from ...grouping import Groups
from ..config import TwoViewConfig
from ..solve.problem import Problem
from ..solve.sharing import shared_problem

__all__ = ["RelativePoses", "guessed_cameras", "pairs_by_camera", "ransac_options", "relative_poses", "vote_focal_px"]


@dataclass(frozen=True)
class RelativePoses:
    """frames (Q, 2); second_from_first (Q, 3, 4) with a unit translation; support (Q,) matches that agree."""

    frames: Int
    second_from_first: Float
    support: Int

    def subset(self, keep: Bool) -> RelativePoses:
        """The pairs where `keep` (Q,)."""
        return RelativePoses(self.frames[keep], self.second_from_first[keep], self.support[keep])


def pairs_by_camera(problem: Problem) -> Groups:
    """Numbers of the matched pairs whose frames were both taken with one camera, by the camera's number."""
    first, second = problem.camera_index[problem.matches.frames].T
    return Groups.of(np.where(first == second, first, -1), len(problem.camera_names))


def vote_focal_px(problem: Problem, pairs: Int, config: TwoViewConfig) -> float | None:
    """The focal length that makes essential matrices of the fundamental ones of one camera's `pairs`; None unclear.

    An essential matrix has two equal singular values; the sum over pairs of their truncated relative difference is
    searched over focal lengths (Mendonca & Cipolla 1999). Pairs that a homography explains carry no information.
    """
    matches = problem.matches
    usable = pairs[matches.homography_share[pairs] < config.most_flat]
    if len(usable) < config.fewest_voters:
        return None
    width, height = problem.size_px[matches.frames[usable[0], 0]]
    focals = max(width, height) * np.geomspace(config.least_focal, config.most_focal, config.focal_steps)
    cost = np.zeros(len(focals))
    weight = np.sqrt(np.searchsorted(matches.pair, usable, "right") - np.searchsorted(matches.pair, usable))
    for k, focal in enumerate(focals):
        K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
        singular = np.linalg.svd(K.T @ matches.fundamental[usable] @ K, compute_uv=False)
        against = np.minimum(1 - singular[:, 1] / singular[:, 0], config.most_against)
        cost[k] = weight @ against / weight.sum()
    best = int(cost.argmin())
    clear = 0 < best < len(focals) - 1 and cost[best] < config.clear_vote * np.median(cost)
    return float(focals[best]) if clear else None


def guessed_cameras(problem: Problem, config: TwoViewConfig) -> dict[str, Camera]:
    """Known cameras, else EXIF's focal length, else the one that fundamental matrices vote for, else the prior's; one
    focal length for cameras of one lens."""
    if problem.lenses is not None:
        return problem.lenses.with_shared(guessed_cameras(shared_problem(problem), config))
    pairs, cameras = pairs_by_camera(problem), dict(problem.prior.cameras)
    for number, camera_id in enumerate(problem.camera_names):
        prior = cameras[camera_id]
        if camera_id not in problem.known_cameras:
            focal_px = problem.exif_focal_px.get(camera_id) or vote_focal_px(problem, pairs[number], config)
            cameras[camera_id] = Camera.pinhole(prior.width, prior.height, focal_px or prior.focal_px)
    return cameras


def ransac_options(config: TwoViewConfig, seed: int) -> pycolmap.RANSACOptions:
    """How relative poses are sought."""
    return pycolmap.RANSACOptions(
        max_error=config.max_error_px,
        random_seed=seed,
        min_num_trials=config.min_trials,
        max_num_trials=config.max_trials,
        confidence=config.confidence,
    )


def relative_poses(problem: Problem, cameras: dict[str, Camera], config: TwoViewConfig, seed: int) -> RelativePoses:
    """Essential-matrix RANSAC on each pair's verified matches; pairs without a supported pose are left out."""
    matches = problem.matches
    ends = np.searchsorted(matches.pair, np.arange(len(matches.frames) + 1))
    models = {camera_id: camera.to_pycolmap() for camera_id, camera in cameras.items()}
    options = ransac_options(config, seed)
    kept, poses, support = [], [], []
    for number, (i, j) in enumerate(matches.frames.tolist()):
        span = slice(ends[number], ends[number + 1])
        answer = pycolmap.estimate_relative_pose(
            models[problem.camera_of(i)],
            matches.xy_first[span],
            models[problem.camera_of(j)],
            matches.xy_second[span],
            options,
        )
        if answer is not None and answer["num_inliers"] >= config.least_support * (span.stop - span.start):
            kept.append((i, j))
            poses.append(answer["cam2_from_cam1"].matrix())
            support.append(answer["num_inliers"])
    return RelativePoses(
        np.array(kept, np.int64).reshape(-1, 2),
        np.array(poses, float).reshape(-1, 3, 4),
        np.array(support, np.int64),
    )
