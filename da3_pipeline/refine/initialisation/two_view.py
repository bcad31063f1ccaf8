"""Relative poses of image pairs from their verified matches alone, and the focal length that makes them consistent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pycolmap

from ...arrays import Bool, Float, Int
from ...geometry import Camera
from ..solve.problem import Problem

__all__ = ["RelativePoses", "relative_poses", "vote_focal_px"]


@dataclass(frozen=True)
class RelativePoses:
    """frames (Q, 2); second_from_first (Q, 3, 4) with a unit translation; support (Q,) matches that agree."""

    frames: Int
    second_from_first: Float
    support: Int

    def subset(self, keep: Bool) -> RelativePoses:
        """The pairs where `keep` (Q,)."""
        return RelativePoses(self.frames[keep], self.second_from_first[keep], self.support[keep])


def vote_focal_px(problem: Problem, camera_id: str) -> float | None:
    """The focal length under which this camera's fundamental matrices become essential ones; None without a clear vote.

    An essential matrix has two equal singular values; the sum over pairs of their truncated relative difference is
    searched over focal lengths of 0.4 to 4 image sides (Mendonca & Cipolla 1999). Pairs that a homography explains
    carry no information.
    """
    frames = problem.frames_of(camera_id)
    matches = problem.matches
    usable = np.isin(matches.frames, frames).all(1) & (matches.homography_share < 0.8)
    if usable.sum() < 3:
        return None
    width, height = problem.size_px[frames[0]]
    side = max(width, height)
    focals = side * np.geomspace(0.4, 4.0, 140)
    cost = np.zeros(len(focals))
    weight = np.sqrt(np.bincount(matches.pair, minlength=len(usable))[usable])
    for k, focal in enumerate(focals):
        K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
        singular = np.linalg.svd(K.T @ matches.fundamental[usable] @ K, compute_uv=False)
        cost[k] = weight @ np.minimum(1 - singular[:, 1] / singular[:, 0], 0.25) / weight.sum()
    best = int(cost.argmin())
    clear = 0 < best < len(focals) - 1 and cost[best] < 0.6 * np.median(cost)
    return float(focals[best]) if clear else None


def relative_poses(problem: Problem, cameras: dict[str, Camera], seed: int) -> RelativePoses:
    """Essential-matrix RANSAC on each pair's verified matches; pairs without a supported pose are left out."""
    matches = problem.matches
    ends = np.searchsorted(matches.pair, np.arange(len(matches.frames) + 1))
    models = {camera_id: camera.to_pycolmap() for camera_id, camera in cameras.items()}
    options = pycolmap.RANSACOptions(
        max_error=2.0, random_seed=seed, min_num_trials=30, max_num_trials=300, confidence=0.999
    )
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
        if answer is not None and answer["num_inliers"] >= 0.4 * (span.stop - span.start):
            kept.append((i, j))
            poses.append(answer["cam2_from_cam1"].matrix())
            support.append(answer["num_inliers"])
    return RelativePoses(
        np.array(kept, np.int64).reshape(-1, 2),
        np.array(poses, float).reshape(-1, 3, 4),
        np.array(support, np.int64),
    )
