"""Lenses that no polynomial around a pinhole describes: the same solution once more, through a fisheye model.

A network's prior is a pinhole camera, and k1, k2 follow a fisheye lens as far as some 100 degrees, at the price of
poses that are off. Whether the lens is one is decided by the matches: whichever model explains more of them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ....geometry import Camera
from ....progress import Progress
from ...config import FisheyeConfig, RefineConfig
from ...solve.problem import rigs_in_world
from ...solve.rounds import fit_points, polish
from ...solve.score import agreement
from ..solution import Solution, thinned

__all__ = ["as_fisheye", "through_fisheye"]


def through_fisheye(solution: Solution, config: RefineConfig, progress: Progress) -> Solution:
    """The solution with OPENCV_FISHEYE for the wide, bent lenses among its own, where that explains more matches."""
    problem, fit, held_by = solution.problem, solution.winner.fit, solution.winner.held_by
    unknown = fit.estimate.cameras.keys() - problem.known_cameras
    bent = {name for name in unknown if _is_bent(fit.estimate.cameras[name], config.fisheye)}
    if not bent or (problem.given_poses and config.solve.keeps_poses):
        return solution
    cameras = {name: as_fisheye(camera) if name in bent else camera for name, camera in fit.estimate.cameras.items()}
    if problem.lenses is not None:
        cameras = problem.lenses.with_shared(cameras)
    few = thinned(problem, config)
    rigs = rigs_in_world(problem, fit.estimate)
    other = fit_points(few, replace(fit.estimate, cameras=cameras), config.solve.min_ray_spread_deg)
    for _ in range(config.fisheye.rounds):
        other = polish(few, other, config.solve.model_copy(update={"strict_rounds": 1}), held_by, rigs)
    if not np.isfinite(other.median_px):
        return solution
    gain = agreement(problem, other.estimate) - agreement(problem, fit.estimate)
    sharper, least = other.median_px < config.fisheye.sharper * fit.median_px, config.fisheye.better
    better = gain > least or (gain > -least and sharper)
    return solution.won_by(other) if better else solution


def as_fisheye(camera: Camera) -> Camera:
    """The OPENCV_FISHEYE camera nearest to one of another model over the image, k3 and k4 zero, centred.

    The centre of the other is not taken over: what a wrong model makes of it is part of its error.
    Least squares over the radius r: r = f (theta + k1 theta^3 + k2 theta^5), linear in f, f k1 and f k2.
    """
    centre = np.array([camera.K[0, 2], camera.K[1, 2]])
    corner = np.maximum(centre, [camera.width - centre[0], camera.height - centre[1]])
    pixels = centre + np.linspace(0.02, 1.0, 50)[:, None] * corner
    radius_px = np.linalg.norm(pixels - centre, axis=1)
    theta = np.arctan(np.linalg.norm(camera.unproject(pixels), axis=1))
    powers = np.stack([theta, theta**3, theta**5], 1)
    focal_px, fk1, fk2 = np.linalg.lstsq(powers, radius_px, rcond=None)[0]
    middle = (camera.width / 2, camera.height / 2)
    params = (focal_px, focal_px, *middle, fk1 / focal_px, fk2 / focal_px, 0.0, 0.0)
    return replace(camera, model="OPENCV_FISHEYE", params=tuple(float(value) for value in params))


def _is_bent(camera: Camera, config: FisheyeConfig) -> bool:
    """Whether a lens is wide and its corners are drawn in, so that a fisheye model may fit it better."""
    if camera.model.endswith("FISHEYE"):
        return False
    corner = np.array([[0.0, 0.0]])
    plane = float(np.linalg.norm(camera.unproject(corner)))
    pinhole_px = plane * camera.focal_px
    radius_px = float(np.linalg.norm(corner[0] - camera.K[:2, 2]))
    wide = 2 * np.degrees(np.arctan(plane)) > config.wide_deg
    return bool(wide and radius_px < config.bent * pinhole_px)
