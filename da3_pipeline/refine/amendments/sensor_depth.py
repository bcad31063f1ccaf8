"""Depth that a sensor measured, in the adjustment: where cameras hardly move, it tells how far they did.

Over a few centimetres matches leave focal length, motion and the shape of the scene open to each other: all of them fit
within a fraction of a pixel. Points that are where a sensor saw them settle it, as in RGB-D odometry.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from ...arrays import Bool, Float
from ...progress import Progress
from ..config import RefineConfig
from ..solve.problem import Estimate, Problem
from ..solve.rounds import Fit, fit_points
from ..solve.score import agreement
from ..solve.sensor.readings import readings
from ..solve.triangulation import measured_depth
from .solution import Solution, settle, thinned

__all__ = ["with_sensor_depth"]

logger = logging.getLogger(__name__)


def with_sensor_depth(solution: Solution, config: RefineConfig, progress: Progress) -> Solution:
    """The winner adjusted to its matches and to measured depth together, which holds in all that follows.

    One factor takes the sensor's unit into that of the world. Where matches contradict the depth, by what they lose or
    because points stay elsewhere, the winner stays as it was, and it is said. Given poses stay; points move.
    """
    how = config.measured_depth
    if not how.use or all(frame.depth is None for frame in solution.frames):
        return solution
    problem = solution.problem
    depth = readings(problem, solution.frames, problem.observations.frame, problem.observations.xy, how, progress)
    if np.isfinite(depth).sum() < how.fewest_observations:
        return solution
    problem = replace(problem, observations=replace(problem.observations, depth=depth), depth_sigma=how.sigma)
    before = solution.winner.fit.estimate
    kept = problem.given_poses and config.solve.keeps_poses
    few = thinned(problem, config)
    fit = _settled(few, before, config, solution, before.posed if kept else None)
    lost = agreement(problem, before) - agreement(problem, fit.estimate)
    off = _off(few, fit)
    near = float((np.abs(off) < how.within).mean()) if len(off) else 0.0
    figures = {"sensor_depth_near": near, "sensor_depth_cost": lost}
    if lost > how.cost or near < how.least_near:
        remark = f"matches contradict the sensor's depth ({100 * near:.0f} % of their points are where it saw them)"
        off = _off(few, fit_points(few, before, config.solve.min_ray_spread_deg, config.solve.strict_gate_px))
        return _doubting(solution, off).saying({**figures, "sensor_depths": 0.0}, remark)
    figures["sensor_depths"] = float(np.isfinite(depth).sum())
    trust = replace(solution.trust, depth=True)
    return _doubting(replace(solution, problem=problem, trust=trust), off).won_by(fit, figures)


def _doubting(solution: Solution, off: Float) -> Solution:
    """With the sensor's metres as uncertain as points are `off` (K,): frames that all agree on a scale may agree on a
    scene that is twisted."""
    metric = solution.prediction.metric
    if metric is None or not metric.measured:
        return solution
    spread = 1.4826 * float(np.median(np.abs(off - np.median(off)))) if len(off) else np.inf
    return replace(solution, prediction=replace(solution.prediction, metric=replace(metric, relative_sigma=spread)))


def _settled(problem: Problem, start: Estimate, config: RefineConfig, solution: Solution, fixed: Bool | None) -> Fit:
    """Adjusted until it no longer moves: a focal length that depth corrects is a long way off."""
    estimate = start
    for _ in range(config.measured_depth.most_passes):
        fit = settle(problem, estimate, config, solution.winner.held_by, fixed)
        moved = max(
            abs(np.log(fit.estimate.cameras[name].focal_px / estimate.cameras[name].focal_px))
            for name in estimate.cameras
        )
        estimate = fit.estimate
        if moved < config.measured_depth.settled:
            break
    return fit


def _off(problem: Problem, fit: Fit) -> Float:
    """(K,) logarithms of the depth of points over that which the sensor measured, of the observations that it did."""
    observations, estimate = problem.observations, fit.estimate
    measured = measured_depth(estimate, fit.points, observations)
    if measured is None:
        return np.zeros(0)
    pose = estimate.cam_from_world[observations.frame, 2]
    depth = np.einsum("mj,mj->m", pose[:, :3], fit.points[observations.track]) + pose[:, 3]
    told = np.isfinite(measured) & (depth > 0)
    return np.asarray(np.log(depth[told] / measured[told]))
