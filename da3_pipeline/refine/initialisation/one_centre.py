"""Relative poses of views that share a centre, a panorama's, from the matches of all of them together.

What one view shows of another's neighbour is little, and of views of one centre there is nothing to triangulate. All
matches between two centres, on the sphere around each, are one pair of pictures that look everywhere at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pycolmap

from ...arrays import Float, Int
from ...geometry import Camera, compose, invert
from ...geometry.equirectangular import Equirectangular
from ...grouping import Groups
from ..config import TwoViewConfig
from ..solve.problem import Problem
from ..solve.rigs import Rigs
from .two_view import RelativePoses, ransac_options, relative_poses

__all__ = ["relative_poses_of_centres"]


def relative_poses_of_centres(
    problem: Problem, cameras: dict[str, Camera], rigs: Rigs, config: TwoViewConfig, seed: int
) -> RelativePoses:
    """As `relative_poses`, where both views of a pair are on `rigs` (of one centre) from all matches of two centres.

    Pairs of which too few matches agree with their centres are left out. Views of one centre are paired with the first
    of them, as given and without a translation, and support each other more than all matches could.
    """
    frames = problem.matches.frames
    on_rig = np.array([rigs.rig_of_frame(index) >= 0 for index in range(problem.num_frames)])
    instant = np.where(on_rig, rigs.instant, -1)
    both = np.asarray((instant[frames] >= 0).all(axis=1))
    apart = both & (instant[frames[:, 0]] != instant[frames[:, 1]])
    alone = relative_poses(problem.of_pairs(np.flatnonzero(~both)), cameras, config, seed)
    parts = [alone, _within(rigs, instant, len(problem.matches))]
    if apart.any():
        parts.append(_between(problem.of_pairs(np.flatnonzero(apart)), cameras, rigs, config, seed))
    return RelativePoses(
        np.concatenate([part.frames for part in parts]),
        np.concatenate([part.second_from_first for part in parts]),
        np.concatenate([part.support for part in parts]),
    )


def _between(
    problem: Problem, cameras: dict[str, Camera], rigs: Rigs, config: TwoViewConfig, seed: int
) -> RelativePoses:
    """Of pairs that are all between views of two centres."""
    matches = problem.matches
    sides = rigs.instant[matches.frames]
    back = sides[:, 0] > sides[:, 1]  # from the later centre to the earlier one
    _, group = np.unique(np.sort(sides, axis=1), axis=0, return_inverse=True)
    of_centres = Groups.of(group.reshape(-1)[matches.pair], int(group.max()) + 1)
    sphere = _sphere([cameras[problem.camera_of(index)] for index in np.unique(matches.frames).tolist()])
    camera = pycolmap.Camera(model="EQUIRECTANGULAR", width=sphere.width, height=sphere.height)
    camera.params = [sphere.width, sphere.height]
    first, second = (
        _on_sphere(problem, cameras, rigs, sphere, matches.frames[matches.pair, side], xy)
        for side, xy in enumerate((matches.xy_first, matches.xy_second))
    )
    turned = back[matches.pair, None]
    earlier, later = np.where(turned, second, first), np.where(turned, first, second)
    bodies, agree = np.full((len(matches.frames), 3, 4), np.nan), np.zeros(len(matches), bool)
    for number in of_centres.filled:
        mine = of_centres[number]
        answer = pycolmap.estimate_relative_pose(
            camera, earlier[mine], camera, later[mine], ransac_options(config, seed)
        )
        if answer is not None:
            bodies[np.unique(matches.pair[mine])] = answer["cam2_from_cam1"].matrix()
            agree[mine] = answer["inlier_mask"]
    count = len(matches.frames)
    support = np.bincount(matches.pair[agree], minlength=count)
    enough = support >= config.least_support * np.bincount(matches.pair, minlength=count)
    kept = np.flatnonzero(enough & np.isfinite(bodies).all((1, 2)))
    second_from_first = np.where(back[kept, None, None], invert(bodies[kept]), bodies[kept])
    one, other = (rigs.cam_from_rig[rigs.sensor[matches.frames[kept, side]]] for side in (0, 1))
    return RelativePoses(matches.frames[kept], compose(compose(other, second_from_first), invert(one)), support[kept])


def _within(rigs: Rigs, instant: Int, support: int) -> RelativePoses:
    """Each view of a centre from the first one there; instant (N,): -1 where a frame is on no rig."""
    at_instant = Groups.of(instant, int(instant.max(initial=-1)) + 1)
    kept = [(int(at_instant[k][0]), other) for k in at_instant.filled for other in at_instant[k][1:].tolist()]
    frames = np.array(kept, np.int64).reshape(-1, 2)
    one, other = (rigs.cam_from_rig[rigs.sensor[frames[:, side]]] for side in (0, 1))
    return RelativePoses(frames, compose(other, invert(one)), np.full(len(frames), max(support, 1)))


def _sphere(cameras: Sequence[Camera]) -> Equirectangular:
    """One that is as fine as most of the cameras are in their middle."""
    focal_px = float(np.median([camera.focal_px for camera in cameras]))
    half = max(1, round(np.pi * focal_px))
    return Equirectangular.whole(2 * half, half)


def _on_sphere(
    problem: Problem, cameras: dict[str, Camera], rigs: Rigs, sphere: Equirectangular, frames: Int, xy: Float
) -> Float:
    """(M, 2) pixels of the sphere around the rig at which pixels (M, 2) of views of `frames` (M,) look."""
    places = np.empty_like(xy)
    for name, members in problem.by_camera(frames):
        plane = cameras[name].unproject(xy[members])
        rays = np.column_stack([plane, np.ones(len(plane))])
        places[members] = sphere.project(rays @ rigs.cam_from_rig[rigs.sensor_of_camera[name], :, :3])
    return places
