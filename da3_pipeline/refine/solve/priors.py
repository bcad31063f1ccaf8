"""What is known of cameras beside their matches, as terms of the adjustment with robust weights.

Where matches are few an adjustment can make good poses worse: two views leave the focal length open, three that share
no point leave a scale open, and noise decides. A prior holds what the observations do not, and hardly moves what
they do: hundreds of observations fix a pose to a hundredth of a degree, against the prior's few degrees.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pycolmap

from ...arrays import Bool, Float
from ...geometry import Sim3, centres
from ...geometry.gravity import rotation_between
from ..config import PriorConfig
from .problem import Estimate, Problem

__all__ = ["Priors", "add_prior_terms", "extent", "priors_of"]


_WIDE = 1e12  # variance of what a term says nothing about
_ANY_TURN_RAD = 1e3


@dataclass(frozen=True)
class Priors:
    """Terms in the world of the estimate that is adjusted; NaN where nothing is known.

    cam_from_world (N, 3, 4), one sigma `rotation_rad` about each axis of the camera and `position` along each of the
    world. positions (N, 3) of camera centres alone, with `positions_sigma` (N, 3). focal_px: length and relative sigma
    by camera_id. up_in_camera (N, 3): where the world's +z points in each camera, one sigma `up_rad`.
    """

    cam_from_world: Float
    rotation_rad: float
    position: float
    positions: Float
    positions_sigma: Float
    focal_px: dict[str, tuple[float, float]] = field(default_factory=dict)
    up_in_camera: Float | None = None
    up_rad: float = 1.0
    robust_sigmas: float = 2.0

    @property
    def hold_the_gauge(self) -> bool:
        """Whether position, orientation and scale of the world follow from the terms.

        Two poses with a distance between them do, and so do three places that are not on a line.
        """
        posed = centres(self.cam_from_world)
        if _dimensions(posed) >= 1:
            return True
        return _dimensions(np.where(np.isfinite(self.positions), self.positions, posed)) >= 2

    def moved(self, target_from_world: Sim3) -> Priors:
        """In another world, which is not turned against this one: up stays where it is."""
        return replace(
            self,
            cam_from_world=target_from_world.apply_to_cameras(self.cam_from_world),
            position=target_from_world.scale * self.position,
            positions=target_from_world.apply(self.positions),
            positions_sigma=target_from_world.scale * self.positions_sigma,
        )

    def only_for(self, frames: Bool) -> Priors:
        """The pose terms of `frames` (N,) alone; positions and focal lengths as they are."""
        return replace(self, cam_from_world=np.where(frames[:, None, None], self.cam_from_world, np.nan))


def _dimensions(places: Float) -> int:
    """Of (N, 3) places, those that are known: 0 for one place, 1 for a line, 2 or 3 for more."""
    known = places[np.isfinite(places).all(1)]
    if len(known) < 2:
        return 0
    extents = np.linalg.svd(known - known.mean(axis=0), compute_uv=False)
    return int((extents > 1e-6 * max(extents[0], 1e-300)).sum()) if extents[0] > 0 else 0


def priors_of(problem: Problem, config: PriorConfig) -> Priors:
    """The prior's poses, or those that the user gave, and focal lengths, in that world, with the sigmas of `config`.

    EXIF's focal length stands in for the prior's where there is one; known cameras need none.
    """
    poses = problem.prior.cam_from_world
    focal = {}
    for camera_id, camera in problem.prior.cameras.items():
        if camera_id in problem.exif_focal_px:
            focal[camera_id] = (problem.exif_focal_px[camera_id], config.exif_focal_sigma)
        elif camera_id not in problem.known_cameras:
            focal[camera_id] = (camera.focal_px, config.focal_sigma)
    nothing = np.full((problem.num_frames, 3), np.nan)
    rotation_deg, position = config.rotation_sigma_deg, config.position_sigma
    if problem.given_poses:
        rotation_deg, position = config.given_rotation_sigma_deg, config.given_position_sigma
    return Priors(
        poses,
        np.radians(rotation_deg),
        position * extent(problem.prior),
        nothing,
        nothing,
        focal,
        robust_sigmas=config.robust_sigmas,
    )


def extent(estimate: Estimate) -> float:
    """Largest distance between two camera centres along an axis; 1 where all are in one place."""
    known = centres(estimate.cam_from_world[estimate.posed])
    size = float(np.linalg.norm(np.ptp(known, axis=0))) if len(known) > 1 else 0.0
    return size or 1.0


def add_prior_terms(
    adjuster: pycolmap.CeresBundleAdjuster,
    model: pycolmap.Reconstruction,
    priors: Priors,
    camera_numbers: dict[str, int],
) -> list[object]:
    """Adds a term for every prior whose pose or camera the adjuster has; image 1 + k of `model` is frame k.

    Returns what must live as long as the adjuster, which does not own it.
    """
    import pyceres  # before the cost functions, which are made of its types
    from pycolmap import cost_functions

    problem = adjuster.problem
    loss, plain = pyceres.CauchyLoss(priors.robust_sigmas), pyceres.TrivialLoss()
    alive: list[object] = [loss, plain]
    for image_id, image in model.images.items():
        index = image_id - 1
        block = image.frame.rig_from_world.params
        if not image.is_ref_in_frame() or not problem.has_parameter_block(block):
            continue
        pose = priors.cam_from_world[index]
        if np.isfinite(pose).all():
            target = pycolmap.Rigid3d(pose)
            covariance = _pose_covariance(pose, priors.rotation_rad, priors.position)
            cost = cost_functions.AbsolutePosePriorCost(covariance, target)
            problem.add_residual_block(cost, loss, [block])
            alive.append(cost)
        place, sigma = priors.positions[index], priors.positions_sigma[index]
        if np.isfinite(place).all():
            cost = cost_functions.AbsolutePosePositionPriorCost(np.diag(sigma**2), place)
            problem.add_residual_block(cost, loss, [block])
            alive.append(cost)
        if priors.up_in_camera is not None and np.isfinite(priors.up_in_camera[index]).all():
            now = image.frame.rig_from_world.matrix()
            cost = cost_functions.AbsolutePosePriorCost(*_up_prior(now, priors.up_in_camera[index], priors.up_rad))
            problem.add_residual_block(cost, loss, [block])
            alive.append(cost)
    for camera_id, (focal_px, relative) in priors.focal_px.items():
        number = camera_numbers.get(camera_id)
        if number is None:
            continue
        camera = model.cameras[number]
        if problem.has_parameter_block(camera.params):
            target = camera.params.copy()
            variance = np.full(len(target), _WIDE)
            for place_of_focal in camera.focal_length_idxs():
                target[place_of_focal], variance[place_of_focal] = focal_px, (relative * focal_px) ** 2
            term = pyceres.factors.NormalPrior(target, np.diag(variance))
            problem.add_residual_block(term, plain, [camera.params])
            alive.append(term)
    return alive


def _up_prior(pose: Float, up: Float, sigma_rad: float) -> tuple[Float, pycolmap.Rigid3d]:
    """Covariance (6, 6) and pose of a prior that knows of a camera, now at `pose`, only where the world's +z points.

    The rotation is the nearest to the present one that fits; about the vertical, and in place, it may go anywhere.
    """
    rotation = rotation_between(pose[:, 2] / np.linalg.norm(pose[:, 2]), up) @ pose[:, :3]
    covariance = _WIDE * np.eye(6)
    covariance[:3, :3] = sigma_rad**2 * np.eye(3) + _ANY_TURN_RAD**2 * np.outer(up, up)
    return covariance, pycolmap.Rigid3d(np.concatenate([rotation, pose[:, 3:]], axis=1))


def _pose_covariance(pose: Float, rotation_rad: float, position: float) -> Float:
    """(6, 6): rotation about the camera's axes, then translation, of an isotropic error of the camera's centre."""
    covariance = np.zeros((6, 6))
    covariance[:3, :3] = rotation_rad**2 * np.eye(3)
    covariance[3:, 3:] = position**2 * np.eye(3)
    return covariance
