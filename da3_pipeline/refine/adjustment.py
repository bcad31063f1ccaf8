"""One bundle adjustment: poses, shared cameras and points against the kept observations, by Ceres through pycolmap."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pycolmap
from numpy.typing import NDArray

from ..geometry import Camera
from .problem import Estimate, Problem

__all__ = ["Adjustment", "adjust"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

_FEWEST_TO_POSE = 6  # observations under which a frame's pose stays as it is
_FEWEST_TO_CALIBRATE = 3  # frames under which cameras stay as they are: two views do not fix a focal length


@dataclass(frozen=True)
class Adjustment:
    """How to adjust. `cauchy_px`: residual where an observation starts to lose its weight."""

    cauchy_px: float
    refine_focal: bool = True
    refine_centre: bool = False
    fixed_poses: bool = False
    max_iterations: int = 25
    function_tolerance: float = 1e-4


def adjust(problem: Problem, estimate: Estimate, points: Float, keep: Bool, how: Adjustment) -> tuple[Estimate, Float]:
    """The estimate and points after adjusting to the problem's observations where `keep` (M,).

    Points (num_tracks, 3) with fewer than two kept observations, and poses and cameras of frames with too few, stay
    as they are. Single-threaded, hence reproducible to the last bit.
    """
    observations = problem.observations
    per_frame = np.bincount(observations.frame[keep], minlength=problem.num_frames)
    moving = (per_frame >= _FEWEST_TO_POSE) & estimate.posed
    used = keep & moving[observations.frame]
    used &= (np.bincount(observations.track[used], minlength=len(points)) >= 2)[observations.track]
    frame, track, xy = observations.frame[used], observations.track[used], observations.xy[used]
    moving &= np.bincount(frame, minlength=problem.num_frames) > 0
    if not len(track):
        return estimate, points
    camera_ids = sorted({problem.camera_ids[k] for k in np.flatnonzero(moving)})
    model = _reconstruction(problem, estimate, camera_ids, frame, xy)
    point_ids = _add_points(model, points, track, frame)
    config = pycolmap.BundleAdjustmentConfig()
    for index in np.flatnonzero(moving):
        config.add_image(int(index) + 1)
        if how.fixed_poses:
            config.set_constant_rig_from_world_pose(int(index) + 1)
    for number, camera_id in enumerate(camera_ids, start=1):
        if camera_id in problem.known_cameras or moving.sum() < _FEWEST_TO_CALIBRATE:
            config.set_constant_cam_intrinsics(number)
    if not how.fixed_poses:
        config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    pycolmap.create_default_bundle_adjuster(_options(how), config, model).solve()
    return _read_back(estimate, points, model, camera_ids, point_ids)


def _options(how: Adjustment) -> pycolmap.BundleAdjustmentOptions:
    options = pycolmap.BundleAdjustmentOptions()
    options.print_summary = False
    options.refine_focal_length = options.refine_extra_params = how.refine_focal
    options.refine_principal_point = how.refine_centre
    options.ceres.loss_function_type = pycolmap.LossFunctionType.CAUCHY
    options.ceres.loss_function_scale = how.cauchy_px
    solver = options.ceres.solver_options
    solver.num_threads = 1
    solver.max_num_iterations = how.max_iterations
    solver.function_tolerance = how.function_tolerance
    return options


def _reconstruction(
    problem: Problem, estimate: Estimate, camera_ids: list[str], frame: Int, xy: Float
) -> pycolmap.Reconstruction:
    """Cameras 1.., images 1 + frame index with their observations as keypoints, in the order of `frame`."""
    model = pycolmap.Reconstruction()
    number = {camera_id: k for k, camera_id in enumerate(camera_ids, start=1)}
    for camera_id in camera_ids:
        model.add_camera_with_trivial_rig(estimate.cameras[camera_id].to_pycolmap(number[camera_id]))
    for index in np.unique(frame).tolist():
        image = pycolmap.Image(
            name=str(index),
            keypoints=xy[frame == index],
            camera_id=number[problem.camera_ids[index]],
            image_id=index + 1,
        )
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(estimate.cam_from_world[index]))
    return model


def _add_points(model: pycolmap.Reconstruction, points: Float, track: Int, frame: Int) -> dict[int, int]:
    """Adds a point for each track (sorted); returns track by point id."""
    order = np.argsort(frame, kind="stable")
    starts = np.searchsorted(frame[order], np.arange(frame.max() + 1))
    keypoint = np.empty(len(frame), np.int64)
    keypoint[order] = np.arange(len(frame)) - starts[frame[order]]
    elements = [pycolmap.TrackElement(i, k) for i, k in zip((frame + 1).tolist(), keypoint.tolist(), strict=True)]
    bounds = np.flatnonzero(np.r_[True, track[1:] != track[:-1], True]).tolist()
    ids = {}
    for start, end in pairwise(bounds):
        index = int(track[start])
        ids[model.add_point3D(points[index], pycolmap.Track(elements[start:end]))] = index
    return ids


def _read_back(
    estimate: Estimate,
    points: Float,
    model: pycolmap.Reconstruction,
    camera_ids: list[str],
    point_ids: dict[int, int],
) -> tuple[Estimate, Float]:
    poses = estimate.cam_from_world.copy()
    for image_id, image in model.images.items():
        poses[image_id - 1] = image.cam_from_world().matrix()
    cameras = dict(estimate.cameras)
    for number, camera_id in enumerate(camera_ids, start=1):
        cameras[camera_id] = Camera.from_pycolmap(model.cameras[number])
    moved = points.copy()
    for point_id, point in model.points3D.items():
        moved[point_ids[point_id]] = point.xyz
    sound = np.isfinite(poses[next(iter(model.images)) - 1]).all() and all(c.focal_px > 0 for c in cameras.values())
    return (Estimate(poses, cameras), moved) if sound else (estimate, points)
