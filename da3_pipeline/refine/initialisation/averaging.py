"""Absolute poses from relative ones, without any prior: rotation averaging, then global positioning of the centres."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pycolmap

from ...arrays import Bool, Float
from ...geometry import rotation_angle_deg
from ...grouping import Groups
from ..solve.problem import Estimate, Problem
from ..solve.tracks import Observations
from .two_view import RelativePoses

__all__ = ["average_rotations", "position_globally"]


def average_rotations(
    problem: Problem, estimate: Estimate, relative: RelativePoses, consistent_deg: float, seed: int
) -> tuple[Float, Bool]:
    """(N, 3, 3) cam_from_world rotations, NaN outside the largest component, and which relative poses (Q,) agree.

    Maximum spanning tree, L1, then IRLS with the Geman-McClure weight (Chatterjee & Govindu 2013), as COLMAP does.
    Relative rotations more than `consistent_deg` off the result do not agree.
    """
    rotations = np.full((problem.num_frames, 3, 3), np.nan)
    if not len(relative.frames):
        return rotations, np.zeros(0, bool)
    model = _bare_model(problem, estimate, problem.observations)
    options = pycolmap.RotationEstimatorOptions(random_seed=seed, max_rotation_error_deg=consistent_deg)
    if pycolmap.run_rotation_averaging(options, _pose_graph(relative), model, []):
        for image_id, image in model.images.items():
            if image.has_pose:
                rotations[image_id - 1] = image.cam_from_world().rotation.matrix()
    first, second = relative.frames.T
    implied = rotations[second] @ np.swapaxes(rotations[first], 1, 2)
    error = rotation_angle_deg(implied, relative.second_from_first[:, :, :3])
    return rotations, np.nan_to_num(error, nan=180.0) < consistent_deg


def position_globally(
    problem: Problem, estimate: Estimate, relative: RelativePoses, seed: int, start: Float | None = None
) -> Estimate:
    """`estimate`, whose rotations must be right, with centres solved from the directions of all rays at once.

    Points and centres together (GLOMAP, Pan et al. 2024, eq. 3), from random centres or from `start` (N, 3).
    """
    observations = problem.observations.subset(estimate.posed[problem.observations.frame])
    observations = observations.subset((observations.lengths >= 3)[observations.track])
    poses = estimate.cam_from_world.copy()
    if start is not None:
        start = _centred(start)
    model = _bare_model(problem, estimate, observations)
    for index in np.flatnonzero(estimate.posed).tolist():
        rotation = poses[index, :, :3]
        centre = np.zeros(3) if start is None else start[index]
        pose = pycolmap.Rigid3d(np.concatenate([rotation, -(rotation @ centre)[:, None]], 1))
        image = model.images[index + 1]
        image.frame.set_cam_from_world(image.camera_id, pose)
        model.register_frame(image.frame_id)
    _add_tracks(model, observations)
    options = pycolmap.GlobalPositionerOptions(random_seed=seed, use_gpu=False)
    options.generate_random_positions = start is None
    if not len(observations) or not pycolmap.run_global_positioning(options, _pose_graph(relative), model):
        return Estimate(np.full_like(poses, np.nan), estimate.cameras)
    # Frames that no long track reaches keep their random start: they are not positioned.
    reached = np.flatnonzero(np.bincount(observations.frame, minlength=problem.num_frames))
    found = _on_grid(np.array([model.images[k + 1].projection_center() for k in reached.tolist()]))
    poses[:, :, 3] = np.nan
    poses[reached, :, 3] = -np.einsum("nij,nj->ni", poses[reached, :, :3], found)
    poses[~np.isfinite(poses).all((1, 2))] = np.nan
    return Estimate(poses, estimate.cameras)


def _centred(places: Float) -> Float:
    """(N, 3) places around their median, at a median distance of one from it."""
    middle = np.nanmedian(places, axis=0)
    size = float(np.nanmedian(np.linalg.norm(places - middle, axis=1)))
    return (places - middle) / (size or 1.0)


def _on_grid(found: Float) -> Float:
    """(N, 3) centres around their middle, rounded to a ten-thousandth of their median distance from it.

    The positioner's threads sum in any order. That shows in the last bits of the shape, and in where in space and how
    large it comes out, which nothing holds: two runs were found half an extent apart. As a start neither is worth
    anything, and without them two runs are the same.
    """
    return np.asarray(np.round(_centred(found) * 1e4) / 1e4)


def _bare_model(problem: Problem, estimate: Estimate, observations: Observations) -> pycolmap.Reconstruction:
    """Cameras and images without poses; image 1 + frame index holds the frame's observations in their order."""
    model = pycolmap.Reconstruction()
    number = {camera_id: k for k, camera_id in enumerate(sorted(estimate.cameras), start=1)}
    for camera_id, k in number.items():
        model.add_camera_with_trivial_rig(estimate.cameras[camera_id].to_pycolmap(k))
    by_frame = Groups.of(observations.frame, problem.num_frames)
    for index in range(problem.num_frames):
        camera_id, xy = problem.camera_of(index), observations.xy[by_frame[index]]
        model.add_image_with_trivial_frame(
            pycolmap.Image(name=str(index), keypoints=xy, camera_id=number[camera_id], image_id=index + 1)
        )
    return model


def _pose_graph(relative: RelativePoses) -> pycolmap.PoseGraph:
    graph = pycolmap.PoseGraph()
    for (i, j), pose, support in zip(
        relative.frames.tolist(), relative.second_from_first, relative.support.tolist(), strict=True
    ):
        edge = pycolmap.PoseGraphEdge(pycolmap.Rigid3d(pose))
        edge.num_matches = support
        graph.add_edge(i + 1, j + 1, edge)
    return graph


def _add_tracks(model: pycolmap.Reconstruction, observations: Observations) -> None:
    seen = np.zeros(int(observations.frame.max(initial=0)) + 1, np.int64)
    elements = []
    for frame in observations.frame.tolist():
        elements.append(pycolmap.TrackElement(frame + 1, int(seen[frame])))
        seen[frame] += 1
    bounds = np.searchsorted(observations.track, np.arange(observations.num_tracks + 1)).tolist()
    for begin, end in pairwise(bounds):
        model.add_point3D(np.zeros(3), pycolmap.Track(elements[begin:end]))
