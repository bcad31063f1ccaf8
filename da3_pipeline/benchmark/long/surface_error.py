"""How far fused points lie from the true surfaces, and how far apart two sightings of one surface are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ...arrays import Float, Float32, Int
from ...geometry import centres, invert, transform_points
from ..truth.tour_capture import TourCapture

__all__ = ["Fused", "doubled_share", "far_share"]


_NEAR_M = 10.0  # surfaces beyond are left out: what a scan is about is near
_VOXEL_M = 0.1
_REVISIT_FRAMES, _REVISIT_M, _REVISIT_DEG = 150, 2.0, 30.0
_SAME_DEPTH = 0.03


@dataclass(frozen=True)
class Fused:
    """A result in the world and scale of the truth: poses (N, 3, 4) and intrinsics (N, 3, 3) of `frames` (N,), and the
    depth map (h, w) of row i."""

    frames: Int
    cam_from_world: Float
    intrinsics: Float
    depth: Callable[[int], Float32]

    def points(self, row: int, x: Float, y: Float) -> Float:
        """(P, 3) world points at pixels of a frame's depth map."""
        depth = self.depth(row)[y.astype(int), x.astype(int)].astype(np.float64)
        rays = np.linalg.solve(self.intrinsics[row], np.stack([x, y, np.ones(len(x))])).T
        return np.asarray(transform_points(invert(self.cam_from_world[row]), rays * depth[:, None]))


def far_share(fused: Fused, truth: TourCapture, thickness_m: float, every: int = 10) -> float:
    """Share of the near points of every `every`-th frame that lie further than `thickness_m` from any true surface."""
    tree = cKDTree(_true_surface(truth, max(1, every // 2)))
    far = total = 0
    for row in range(0, len(fused.frames), every):
        true = truth.depth(int(fused.frames[row]))
        height, width = fused.depth(row).shape
        x, y = _grid(width, height, 6)
        there = true[(y * true.shape[0] / height).astype(int), (x * true.shape[1] / width).astype(int)]
        near = (there > 0) & (there < _NEAR_M)
        points = fused.points(row, x[near], y[near])
        points = points[np.isfinite(points).all(1)]
        distance, _ = tree.query(points, distance_upper_bound=thickness_m)
        far += int(np.isinf(distance).sum())
        total += len(points)
    return far / max(total, 1)


def doubled_share(fused: Fused, truth: TourCapture, thickness_m: float, every: int = 10) -> float:
    """Share of the near surface points that two visits of a place put further than `thickness_m` apart; NaN where no
    place is visited twice."""
    row_of = {int(frame): row for row, frame in enumerate(fused.frames)}
    apart = total = 0
    for first, second in _revisits(truth, list(row_of)[::every]):
        distance = _sighted_apart(fused, truth, (first, second), (row_of[first], row_of[second]))
        apart += int((distance > thickness_m).sum())
        total += len(distance)
    return apart / total if total else float("nan")


def _sighted_apart(fused: Fused, truth: TourCapture, frames: tuple[int, int], rows: tuple[int, int]) -> Float:
    """Distances between where two frames put the surface points that both truly see."""
    depths = [truth.depth(frame) for frame in frames]
    height, width = depths[0].shape
    x, y = _grid(width, height, 6)
    depth = depths[0][y.astype(int), x.astype(int)].astype(np.float64)
    near = (depth > 0) & (depth < _NEAR_M)
    x, y, depth = x[near], y[near], depth[near]
    rays = np.linalg.solve(truth.camera.K, np.stack([x, y, np.ones(len(x))])).T * depth[:, None]
    surface = transform_points(invert(truth.cam_from_world[frames[0]]), rays)
    in_second = transform_points(truth.cam_from_world[frames[1]], surface)
    there = truth.camera.project(in_second)
    inside = np.isfinite(there).all(1) & (there >= 0).all(1) & (there < [width, height]).all(1)
    u, v = there[inside].T
    met = depths[1][v.astype(int), u.astype(int)]
    same = np.abs(met - in_second[inside, 2]) < _SAME_DEPTH * in_second[inside, 2]
    scale = np.array([fused.depth(rows[0]).shape[1] / width, fused.depth(rows[0]).shape[0] / height])
    first = fused.points(rows[0], *(scale[:, None] * np.stack([x[inside][same], y[inside][same]])))
    second = fused.points(rows[1], *(scale[:, None] * np.stack([u[same], v[same]])))
    distance = np.linalg.norm(first - second, axis=1)
    return np.asarray(distance[np.isfinite(distance)])


def _revisits(truth: TourCapture, frames: Sequence[int]) -> list[tuple[int, int]]:
    """Each frame with the nearest much earlier one that looks the same way, where there is one."""
    place, gaze = centres(truth.cam_from_world), truth.cam_from_world[:, 2, :3]
    pairs = []
    for frame in frames:
        earlier = np.arange(max(0, frame - _REVISIT_FRAMES))
        if not len(earlier):
            continue
        apart_m = np.linalg.norm(place[earlier] - place[frame], axis=1)
        apart_m[gaze[earlier] @ gaze[frame] < np.cos(np.radians(_REVISIT_DEG))] = np.inf
        nearest = int(apart_m.argmin())
        if apart_m[nearest] < _REVISIT_M:
            pairs.append((nearest, frame))
    return pairs


def _true_surface(truth: TourCapture, every: int) -> Float:
    """(P, 3) points on what the frames see up to a little beyond the near surfaces, at most one in a small cube."""
    clouds = []
    for frame in range(0, len(truth), every):
        depth = truth.depth(frame)
        x, y = _grid(depth.shape[1], depth.shape[0], 2)
        z = depth[y.astype(int), x.astype(int)].astype(np.float64)
        seen = (z > 0) & (z < 1.5 * _NEAR_M)
        rays = np.linalg.solve(truth.camera.K, np.stack([x[seen], y[seen], np.ones(seen.sum())])).T * z[seen, None]
        cloud = transform_points(invert(truth.cam_from_world[frame]), rays)
        _, first = np.unique(np.floor(cloud / _VOXEL_M).astype(np.int64), axis=0, return_index=True)
        clouds.append(cloud[first])
    points = np.concatenate(clouds)
    _, first = np.unique(np.floor(points / _VOXEL_M).astype(np.int64), axis=0, return_index=True)
    return np.asarray(points[first])


def _grid(width: int, height: int, step: int) -> tuple[Float, Float]:
    """Pixel centres of every `step`-th column and row."""
    y, x = np.mgrid[step // 2 : height : step, step // 2 : width : step].reshape(2, -1) + 0.5
    return x, y
