"""One bundle adjustment: poses, shared cameras and points against the kept observations, by Ceres through pycolmap."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pycolmap

from ...arrays import Bool, Float, Int
from ...geometry import Camera, Sim3, centres
from ...grouping import Groups
from ..config import AdjustmentConfig
from .priors import Priors, add_prior_terms
from .problem import Estimate, Problem
from .rigs import Rigs
from .sensor.terms import add_depth_terms
from .sharing import Sharing, shared_problem
from .tracks import Observations
from .triangulation import measured_depth, reprojection_errors

__all__ = ["Adjustment", "adjust", "focal_sigmas", "local_frame", "usable"]


_CAMERA = pycolmap.SensorType.CAMERA

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Adjustment:
    """How to adjust. `cauchy_px`: residual where an observation starts to lose its weight.

    fixed (N,): frames whose poses stay.
    priors: what is known beside the observations, in the world of the estimate. rigs: frames that move together; their
    fixed relative poses stay, the others are estimated.
    """

    cauchy_px: float
    limits: AdjustmentConfig
    refine_focal: bool = True
    refine_centre: bool = False
    fixed: Bool | None = None
    max_iterations: int = 25
    function_tolerance: float = 1e-4
    priors: Priors | None = None
    rigs: Rigs | None = None

    def moved(self, target_from_world: Sim3) -> Adjustment:
        """With what is told in the world's frame told in another, which is not turned against it."""
        return replace(
            self,
            priors=None if self.priors is None else self.priors.moved(target_from_world),
            rigs=None if self.rigs is None else self.rigs.resized(target_from_world.scale),
        )


def adjust(problem: Problem, estimate: Estimate, points: Float, keep: Bool, how: Adjustment) -> tuple[Estimate, Float]:
    """The estimate and points after adjusting to the problem's observations where `keep` (M,), lenses as one camera.

    Points (num_tracks, 3) with fewer than two usable observations, and poses and cameras of frames with too few, stay
    as they are. Solved around the cameras and at their size, wherever in the world they are. A step whose solution is
    unusable, or that shrinks the scene or leaves points behind the cameras, is refused: all stays as it was. On one
    thread, and so reproducible to the last bit, up to `parallel_from` residuals.
    """
    if problem.lenses is None:
        return _adjusted(problem, estimate, points, keep, how)
    sharing = Sharing.of(problem, problem.lenses)
    if how.priors is not None:
        how = replace(how, priors=sharing.priors(how.priors))
    found, moved = _adjusted(shared_problem(problem), sharing.estimate(estimate), points, keep, how)
    return sharing.back(found), moved


def _adjusted(
    problem: Problem, estimate: Estimate, points: Float, keep: Bool, how: Adjustment
) -> tuple[Estimate, Float]:
    used = usable(problem, estimate, keep, how.limits)
    if not used.any():
        return estimate, points
    chosen = problem.observations.where(used)
    local_from_world = local_frame(estimate, points, chosen)
    start = replace(estimate, cam_from_world=local_from_world.apply_to_cameras(estimate.cam_from_world))
    here = how.moved(local_from_world)
    found = _solved(problem, start, local_from_world.apply(points), chosen, here)
    if found is None or not _sound(problem, start, found, chosen, here):
        logger.debug("an adjustment of %d observations is refused", len(chosen))
        return estimate, points
    adjusted, moved = found
    world_from_local = local_from_world.inverse()
    seen = np.unique(chosen.frame)
    if how.fixed is not None:
        seen = seen[~how.fixed[seen]]
    poses, places = estimate.cam_from_world.copy(), points.copy()
    poses[seen] = world_from_local.apply_to_cameras(adjusted.cam_from_world[seen])
    if how.rigs is not None and how.fixed is None:
        poses = how.rigs.following(poses, seen)
    tracks = np.unique(chosen.track)
    places[tracks] = world_from_local.apply(moved[tracks])
    return Estimate(poses, adjusted.cameras), places


def focal_sigmas(
    problem: Problem, estimate: Estimate, points: Float, keep: Bool, limits: AdjustmentConfig
) -> dict[str, float]:
    """Of each camera that the usable kept observations (M,) show, one sigma of its focal length over that length, where
    observations have a sigma of one pixel; inf where they do not determine it.

    The covariance of the adjustment without priors, at `estimate`, with two cameras as the gauge.
    """
    if problem.lenses is not None:
        sharing = Sharing.of(problem, problem.lenses)
        of_lens = focal_sigmas(shared_problem(problem), sharing.estimate(estimate), points, keep, limits)
        firsts = {name: sharing.lenses.first(name) for name in problem.camera_names}
        return {name: of_lens[first] for name, first in firsts.items() if first in of_lens}
    used = usable(problem, estimate, keep, limits)
    if not used.any():
        return {}
    chosen = problem.observations.where(used)
    local_from_world = local_frame(estimate, points, chosen)
    start = replace(estimate, cam_from_world=local_from_world.apply_to_cameras(estimate.cam_from_world))
    names = sorted({problem.camera_of(int(k)) for k in np.unique(chosen.frame)})
    model = _reconstruction(problem, start, names, chosen, None)
    _add_points(model, local_from_world.apply(points), chosen)
    config = pycolmap.BundleAdjustmentConfig()
    for image_id in sorted(model.images):
        config.add_image(image_id)
    config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    adjuster = pycolmap.create_default_ceres_bundle_adjuster(_options(Adjustment(1.0, limits)), config, model)
    options = pycolmap.BACovarianceOptions()
    options.params = pycolmap.BACovarianceOptionsParams.ALL
    covariance = pycolmap.estimate_ba_covariance(options, model, adjuster)
    sigmas = dict.fromkeys(names, float("inf"))
    for number, name in enumerate(names, start=1):
        found = None if covariance is None else covariance.get_other_params_cov(model.cameras[number].params)
        if found is not None and np.isfinite(found).all():
            sigmas[name] = float(np.sqrt(found[0, 0])) / estimate.cameras[name].focal_px
    del covariance, adjuster  # before the model whose parameters they point to
    return sigmas


def usable(problem: Problem, estimate: Estimate, keep: Bool, limits: AdjustmentConfig) -> Bool:
    """(M,) of the kept observations those of posed frames with enough of them, of tracks that two such frames see.

    Either may fall short because the other was left out, so both are asked until nothing changes: a frame that is
    left with a single observation would turn anywhere.
    """
    observations = problem.observations
    used = keep & estimate.posed[observations.frame]
    while True:
        enough = np.bincount(observations.frame[used], minlength=problem.num_frames) >= limits.fewest_to_pose
        fewer = used & enough[observations.frame]
        shared = np.bincount(observations.track[fewer], minlength=observations.num_tracks) >= 2
        fewer &= shared[observations.track]
        if fewer.sum() == used.sum():
            return used
        used = fewer


def local_frame(estimate: Estimate, points: Float, observations: Observations) -> Sim3:
    """local_from_world with the cameras around the origin, nine tenths of them within one unit."""
    places = centres(estimate.cam_from_world[np.unique(observations.frame)])
    middle = np.median(places, axis=0)
    size = float(np.quantile(np.linalg.norm(places - middle, axis=1), 0.9))
    if size <= 1e-9 * max(1.0, float(np.abs(middle).max())):  # one place: the points give the size
        seen = points[np.unique(observations.track)]
        size = float(np.median(np.linalg.norm(seen - middle, axis=1)))
    scale = 1 / size if np.isfinite(size) and size > 0 else 1.0
    return Sim3(scale, np.eye(3), -scale * middle)


def _solved(
    problem: Problem, estimate: Estimate, points: Float, observations: Observations, how: Adjustment
) -> tuple[Estimate, Float] | None:
    """What Ceres makes of it; None where it says that its solution cannot be used."""
    names = sorted({problem.camera_of(int(k)) for k in np.unique(observations.frame)})
    model = _reconstruction(problem, estimate, names, observations, how.rigs)
    point_ids = _add_points(model, points, observations)
    depth = measured_depth(estimate, points, observations)
    config = _configuration(problem, model, names, how, depth is not None)
    if how.priors is None and depth is None:
        summary = pycolmap.create_default_bundle_adjuster(_options(how), config, model).solve()
    else:
        adjuster = pycolmap.create_default_ceres_bundle_adjuster(_options(how), config, model)
        alive: list[object] = []
        if how.priors is not None:
            alive += add_prior_terms(adjuster, model, how.priors, {name: k for k, name in enumerate(names, start=1)})
        if depth is not None:
            alive += _depth_terms(adjuster, model, depth, observations, point_ids, problem.depth_sigma)
        summary = adjuster.solve()
        del adjuster, alive
    if not summary.is_solution_usable():
        logger.debug("%s", summary.brief_report())
        return None
    return _read_back(estimate, points, model, names, point_ids)


def _depth_terms(
    adjuster: pycolmap.CeresBundleAdjuster,
    model: pycolmap.Reconstruction,
    depth: Float,
    observations: Observations,
    track_of_point: dict[int, int],
    sigma: float,
) -> list[object]:
    point_of_track = np.zeros(observations.num_tracks, np.int64)
    point_of_track[list(track_of_point.values())] = list(track_of_point)
    told = np.flatnonzero(np.isfinite(depth))
    frame, points = observations.frame[told], point_of_track[observations.track[told]]
    return add_depth_terms(adjuster, model, frame, points, depth[told], sigma)


def _sound(
    problem: Problem, start: Estimate, found: tuple[Estimate, Float], observations: Observations, how: Adjustment
) -> bool:
    """Whether a solution is finite, about as large as its start was, and has its points before the cameras.

    COLMAP gives observations behind a camera no residual, so that a scene which collapses, or turns inside out, may
    cost less than the right one.
    """
    estimate, points = found
    frames = np.unique(observations.frame)
    if not np.isfinite(estimate.cam_from_world[frames]).all():
        return False
    if not all(camera.focal_px > 0 and np.isfinite(camera.params).all() for camera in estimate.cameras.values()):
        return False
    before, after = (_spread(some.cam_from_world[frames]) for some in (start, estimate))
    free = how.fixed is None and not (how.priors and how.priors.hold_the_gauge) and observations.depth is None
    if free and after < how.limits.least_size * before:
        return False
    ahead = np.isfinite(reprojection_errors(problem, estimate, points, observations))
    return bool(ahead.mean() >= how.limits.least_ahead)


def _spread(cam_from_world: Float) -> float:
    """Root of the mean squared distance of the centres from their mean."""
    return float(np.sqrt(centres(cam_from_world).var(axis=0).sum()))


def _configuration(
    problem: Problem, model: pycolmap.Reconstruction, camera_ids: list[str], how: Adjustment, measured: bool
) -> pycolmap.BundleAdjustmentConfig:
    """What moves: poses and cameras as far as they are not known, and no gauge beside what the priors hold.

    measured: whether depth holds the scale.
    """
    config = pycolmap.BundleAdjustmentConfig()
    fixed = np.zeros(problem.num_frames, bool) if how.fixed is None else how.fixed
    for image_id in sorted(model.images):
        config.add_image(image_id)
        if fixed[image_id - 1]:
            config.set_constant_rig_from_world_pose(model.images[image_id].frame_id)
    focal_held = how.priors.focal_px if how.priors else {}
    for number, camera_id in enumerate(camera_ids, start=1):
        too_few = len(model.images) < how.limits.fewest_to_calibrate and camera_id not in focal_held
        if camera_id in problem.known_cameras or too_few:
            config.set_constant_cam_intrinsics(number)
    for rig in model.rigs.values():
        for sensor in rig.non_ref_sensors:
            if how.rigs is not None and how.rigs.fixed[how.rigs.sensor_of_camera[camera_ids[sensor.id - 1]]]:
                config.set_constant_sensor_from_rig_pose(sensor)
    if not fixed.any() and not (how.priors and how.priors.hold_the_gauge):
        if measured:
            config.set_constant_rig_from_world_pose(model.images[min(model.images)].frame_id)
        else:
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
    solver.num_threads = -1
    options.ceres.min_num_residuals_for_cpu_multi_threading = how.limits.parallel_from
    options.ceres.max_num_images_direct_sparse_cpu_solver = how.limits.direct_up_to
    solver.max_num_iterations = how.max_iterations
    solver.function_tolerance = how.function_tolerance
    return options


def _reconstruction(
    problem: Problem, estimate: Estimate, camera_ids: list[str], observations: Observations, rigs: Rigs | None
) -> pycolmap.Reconstruction:
    """Cameras 1.., images 1 + frame index with their observations as keypoints, in the order of the observations."""
    model = pycolmap.Reconstruction()
    number = {camera_id: k for k, camera_id in enumerate(camera_ids, start=1)}
    by_frame = Groups.of(observations.frame, problem.num_frames)
    on_rig = _add_rigs(model, problem, estimate, number, np.array(by_frame.filled), rigs)
    for camera_id in camera_ids:
        if number[camera_id] not in model.cameras:
            model.add_camera_with_trivial_rig(estimate.cameras[camera_id].to_pycolmap(number[camera_id]))
    for index in by_frame.filled:
        image = pycolmap.Image(
            name=str(index),
            keypoints=observations.xy[by_frame[index]],
            camera_id=number[problem.camera_of(index)],
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
    of_rig = Groups.of(np.array([rigs.rig_of_frame(index) for index in frames.tolist()]), rigs.num_rigs)
    for rig in of_rig.filled:
        members = frames[of_rig[rig]]
        used = {problem.camera_of(index) for index in members.tolist()}
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
        at_instant = Groups.of(rigs.instant[members], int(rigs.instant.max()) + 1)
        for instant in at_instant.filled:
            together = members[at_instant[instant]].tolist()
            frame = pycolmap.Frame()
            frame.frame_id, frame.rig_id = problem.num_frames + 1 + instant, body.rig_id
            for index in together:
                sensor = pycolmap.sensor_t(type=_CAMERA, id=number[problem.camera_of(index)])
                frame.add_data_id(pycolmap.data_t(sensor, index + 1))
                on_rig[index] = frame.frame_id
            frame.rig_from_world = pycolmap.Rigid3d(rigs.rig_from_world(estimate.cam_from_world, together))
            model.add_frame(frame)
    return on_rig


def _add_points(model: pycolmap.Reconstruction, points: Float, observations: Observations) -> dict[int, int]:
    """Adds a point for each track (sorted); returns track by point id."""
    track, frame = observations.track, observations.frame
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
    return Estimate(poses, cameras), moved
