"""Points from rays: all tracks at once, robust, with no gate that depends on where the cameras came from."""

from __future__ import annotations

import numpy as np

from ...arrays import Bool, Float, Int
from ...geometry import centres
from .problem import Estimate, Problem
from .sensor.points import depth_unit, settled_points
from .tracks import Observations

__all__ = ["measured_depth", "ray_spread_deg", "reprojection_errors", "triangulate", "world_rays"]


_ITERATIONS = 5
_FINEST_RAD = 5e-4  # about half a pixel: residuals below are noise and share one weight


def world_rays(problem: Problem, estimate: Estimate, observations: Observations) -> tuple[Float, Float]:
    """Origins and unit directions (M, 3) of the observations' rays in the world; NaN for frames without a pose."""
    directions = np.empty((len(observations), 3))
    for camera_id, chosen in problem.by_camera(observations.frame):
        plane = estimate.cameras[camera_id].unproject(observations.xy[chosen])
        directions[chosen] = np.concatenate([plane, np.ones((len(plane), 1))], 1)
    pose = estimate.cam_from_world[observations.frame]
    directions = np.einsum("mji,mj->mi", pose[:, :, :3], directions)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return centres(estimate.cam_from_world)[observations.frame], directions


def triangulate(problem: Problem, estimate: Estimate, observations: Observations) -> Float:
    """(num_tracks, 3) points nearest to their rays, and where a sensor measured their depth, nearest to that, too; NaN
    for tracks with fewer than two posed observations.
    """
    points = _nearest_to_rays(problem, estimate, observations)
    depth = measured_depth(estimate, points, observations)
    if depth is None:
        return points
    origins, directions = world_rays(problem, estimate, observations)
    axes = estimate.cam_from_world[observations.frame, 2, :3]
    return settled_points(points, observations.track, origins, directions, axes, depth, problem.depth_sigma)


def measured_depth(estimate: Estimate, points: Float, observations: Observations) -> Float | None:
    """(M,) a sensor's depth in the world's unit, which is found from (num_tracks, 3) points; NaN where it says nothing.

    None where it never does, or no point is there.
    """
    if observations.depth is None:
        return None
    pose = estimate.cam_from_world[observations.frame, 2]
    depth = np.einsum("mj,mj->m", pose[:, :3], points[observations.track]) + pose[:, 3]
    unit = depth_unit(depth, observations.depth)
    return unit * observations.depth if np.isfinite(unit) else None


def _nearest_to_rays(problem: Problem, estimate: Estimate, observations: Observations) -> Float:
    """(num_tracks, 3) points nearest to their rays; NaN for tracks with fewer than two posed observations.

    Minimises the sum of weighted squared distances between point and rays, iteratively reweighted: 1/depth^2 turns
    distances into angles, a Cauchy weight at the scene's median angle holds wrong observations off. Each track is
    solved around the mean of its cameras' centres, so that it does not matter where in the world it lies.
    """
    origins, directions = world_rays(problem, estimate, observations)
    usable = np.isfinite(directions).all(1)
    track = observations.track[usable]
    origins, directions = origins[usable], directions[usable]
    points = np.full((observations.num_tracks, 3), np.nan)
    seen = np.bincount(track, minlength=observations.num_tracks)
    solvable = seen >= 2
    chosen = solvable[track]
    track, origins, directions = track[chosen], origins[chosen], directions[chosen]
    if not len(track):
        return points
    starts = np.flatnonzero(np.r_[True, track[1:] != track[:-1]])
    member = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(track)]))
    home = np.add.reduceat(origins, starts) / np.diff(np.r_[starts, len(track)])[:, None]
    origins = origins - home[member]
    projectors = np.eye(3) - directions[:, :, None] * directions[:, None, :]
    shifts = np.einsum("mij,mj->mi", projectors, origins)
    weights = np.ones(len(track))
    for _ in range(_ITERATIONS):
        solution = _weighted_midpoints(projectors, shifts, weights, starts)
        offset = solution[member] - origins
        depth = np.einsum("mi,mi->m", offset, directions)
        distance = np.linalg.norm(offset - depth[:, None] * directions, axis=1)
        reach = np.linalg.norm(offset, axis=1) + 1e-12
        angle = np.where(depth > 0, distance / reach, 1.0)
        scale = max(_FINEST_RAD, float(np.median(angle)))
        weights = 1 / (reach**2 * (1 + (angle / scale) ** 2))
    points[track[starts]] = home + solution
    return points


def reprojection_errors(problem: Problem, estimate: Estimate, points: Float, observations: Observations) -> Float:
    """(M,) distances in pixels between observation and projected point; inf without a pose or behind it."""
    pose = estimate.cam_from_world[observations.frame]
    in_camera = np.einsum("mij,mj->mi", pose[:, :, :3], points[observations.track]) + pose[:, :, 3]
    errors = np.full(len(observations), np.inf)
    for camera_id, chosen in problem.by_camera(observations.frame):
        projected = estimate.cameras[camera_id].project(np.nan_to_num(in_camera[chosen], nan=-1.0))
        errors[chosen] = np.linalg.norm(projected - observations.xy[chosen], axis=1)
    return np.where(np.isnan(errors), np.inf, errors)


def ray_spread_deg(observations: Observations, origins: Float, points: Float, keep: Bool) -> Float:
    """(num_tracks,) widest angle under which kept observations see their point; 0 with fewer than two.

    Found in two sweeps (the ray farthest from the first, then the one farthest from that): exact for two rays and
    never under half of the true width.
    """
    spread = np.zeros(observations.num_tracks)
    track = observations.track[keep]
    if not len(track):
        return spread
    rays = points[track] - origins[keep]
    rays /= np.linalg.norm(rays, axis=1, keepdims=True) + 1e-300
    starts = np.flatnonzero(np.r_[True, track[1:] != track[:-1]])
    sizes = np.diff(np.r_[starts, len(track)])
    extreme = rays[starts]
    for _ in range(2):
        chord = np.linalg.norm(rays - np.repeat(extreme, sizes, axis=0), axis=1)
        order = np.lexsort((chord, track))
        last = order[np.cumsum(sizes) - 1]
        extreme = rays[last]
    spread[track[starts]] = np.degrees(2 * np.arcsin(np.clip(chord[last] / 2, 0, 1)))
    return spread


def _weighted_midpoints(projectors: Float, shifts: Float, weights: Float, starts: Int) -> Float:
    """(T, 3) from rays whose origins, in `shifts`, are told from a place near those of the track."""
    left = np.add.reduceat(projectors * weights[:, None, None], starts)
    right = np.add.reduceat(shifts * weights[:, None], starts)
    # Parallel rays leave one direction open; a whisper of regularisation keeps the solution finite there, near home.
    left += np.eye(3) * (1e-9 * np.trace(left, axis1=1, axis2=2) + 1e-300)[:, None, None]
    return np.linalg.solve(left, right[:, :, None])[:, :, 0]
