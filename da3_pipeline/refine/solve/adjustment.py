"""One bundle adjustment: poses, shared cameras and points against the kept observations, by Ceres through pycolmap."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pycolmap

from ...arrays import Bool, Float, Int
from ...geometry import Camera
from .priors import Priors, add_prior_terms
from .problem import Estimate, Problem
from .rigs import Rigs

__all__ = ["Adjustment", "adjust"]


_FEWEST_TO_POSE = 6  # observations under which a frame's pose stays as it is
_FEWEST_TO_CALIBRATE = 3  # frames under which cameras stay as they are: two views do not fix a focal length
_CAMERA = pycolmap.SensorType.CAMERA


@dataclass(frozen=True)
class Adjustment:
    """How to adjust. `cauchy_px`: residual where an observation starts to lose its weight.

    fixed (N,): frames whose poses stay.
    priors: what is known beside the observations, in the world of the estimate. rigs: frames that move together; their
    fixed relative poses stay, the others are estimated.
    """

    cauchy_px: float
    refine_focal: bool = True
    refine_centre: bool = False
    fixed: Bool | None = None
    max_iterations: int = 25
    function_tolerance: float = 1e-4
    priors: Priors | None = None
    rigs: Rigs | None = None


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
    model = _reconstruction(problem, estimate, camera_ids, (frame, xy), how.rigs)
    point_ids = _add_points(model, points, track, frame)
    config = _configuration(problem, model, camera_ids, how)
    if how.priors is None:
        pycolmap.create_default_bundle_adjuster(_options(how), config, model).solve()
    else:
        adjuster = pycolmap.create_default_ceres_bundle_adjuster(_options(how), config, model)
        numbers = {name: k for k, name in enumerate(camera_ids, start=1)}
        alive = add_prior_terms(adjuster, model, how.priors, numbers)
        adjuster.solve()
        del adjuster, alive
    return _read_back(estimate, points, model, camera_ids, point_ids)


def _configuration(
    problem: Problem, model: pycolmap.Reconstruction, camera_ids: list[str], how: Adjustment
) -> pycolmap.BundleAdjustmentConfig:
    """What moves: poses and cameras as far as they are not known, and no gauge beside what the priors hold."""
    config = pycolmap.BundleAdjustmentConfig()
    fixed = np.zeros(problem.num_frames, bool) if how.fixed is None else how.fixed
    for image_id in sorted(model.images):
        config.add_image(image_id)
        if fixed[image_id - 1]:
            config.set_constant_rig_from_world_pose(model.images[image_id].frame_id)
    focal_held = how.priors.focal_px if how.priors else {}
    for number, camera_id in enumerate(camera_ids, start=1):
        too_few = len(model.images) < _FEWEST_TO_CALIBRATE and camera_id not in focal_held
        if camera_id in problem.known_cameras or too_few:
            config.set_constant_cam_intrinsics(number)
    for rig in model.rigs.values():
        for sensor in rig.non_ref_sensors:
            if how.rigs is not None and how.rigs.fixed[how.rigs.sensor_of_camera[camera_ids[sensor.id - 1]]]:
                config.set_constant_sensor_from_rig_pose(sensor)
    if not fixed.any() and not (how.priors and how.priors.hold_the_gauge):
        config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    return config


def _options(how: Adjustment) -> pycolmap.BundleAdjustmentOptions:
    options = pycolmap.BundleAdjustmentOptions()
    options.print_summary = False
    options.refine_focal_length = options.refine_extra_params = how.refine_focal
    options.refine_principal_point = how.refine_centre
    options.refine_sensor_from_rig = True
    options.ceres.loss_function_type = pycolmap.LossFunctionType.CAUCHY
    options.ceres.loss_function_scale = how.cauchy_px
    solver = options.ceres.solver_options
    solver.num_threads = 1
    solver.max_num_iterations = how.max_iterations
    solver.function_tolerance = how.function_tolerance
    return options


def _reconstruction(
    problem: Problem, estimate: Estimate, camera_ids: list[str], seen: tuple[Int, Float], rigs: Rigs | None
) -> pycolmap.Reconstruction:
    """Cameras 1.., images 1 + frame index with their observations as keypoints, in the order of `seen`: frame, xy."""
    model = pycolmap.Reconstruction()
    number = {camera_id: k for k, camera_id in enumerate(camera_ids, start=1)}
    on_rig = _add_rigs(model, problem, estimate, number, np.unique(seen[0]), rigs)
    for camera_id in camera_ids:
        if number[camera_id] not in model.cameras:
            model.add_camera_with_trivial_rig(estimate.cameras[camera_id].to_pycolmap(number[camera_id]))
    for index in np.unique(seen[0]).tolist():
        image = pycolmap.Image(
            name=str(index),
            keypoints=seen[1][seen[0] == index],
            camera_id=number[problem.camera_ids[index]],
            image_id=index + 1,
        )
        if index in on_rig:
            image.frame_id = on_rig[index]
            model.add_image(image)
        else:
            model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(estimate.cam_from_world[index]))
    for frame_id in sorted(set(on_rig.values())):
        model.register_frame(frame_id)
    return model


def _add_rigs(
    model: pycolmap.Reconstruction,
    problem: Problem,
    estimate: Estimate,
    number: dict[str, int],
    frames: Int,
    rigs: Rigs | None,
) -> dict[int, int]:
    """Adds cameras, rigs and frames for the frames that rigs carry; returns the frame's id by frame index."""
    on_rig: dict[int, int] = {}
    if rigs is None:
        return on_rig
    for rig in range(rigs.num_rigs):
        members = [int(index) for index in frames if rigs.rig_of_frame(index) == rig]
        used = {problem.camera_ids[index] for index in members}
        reference = rigs.reference_camera(rig)
        if len(used) < 2 or reference not in used:
            continue
        body = pycolmap.Rig()
        body.rig_id = len(number) + 1 + rig
        body.add_ref_sensor(pycolmap.sensor_t(type=_CAMERA, id=number[reference]))
        for camera_id in sorted(used):
            model.add_camera(estimate.cameras[camera_id].to_pycolmap(number[camera_id]))
            if camera_id != reference:
                pose = rigs.cam_from_rig[rigs.sensor_of_camera[camera_id]]
                body.add_sensor(pycolmap.sensor_t(type=_CAMERA, id=number[camera_id]), pycolmap.Rigid3d(pose))
        model.add_rig(body)
        for instant in sorted({int(rigs.instant[index]) for index in members}):
            together = [index for index in members if rigs.instant[index] == instant]
            frame = pycolmap.Frame()
            frame.frame_id, frame.rig_id = problem.num_frames + 1 + instant, body.rig_id
            for index in together:
                sensor = pycolmap.sensor_t(type=_CAMERA, id=number[problem.camera_ids[index]])
                frame.add_data_id(pycolmap.data_t(sensor, index + 1))
                on_rig[index] = frame.frame_id
            frame.rig_from_world = pycolmap.Rigid3d(rigs.rig_from_world(estimate.cam_from_world, together))
            model.add_frame(frame)
    return on_rig


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
