"""Poses and intrinsics that came with the capture: told to the network, and kept in the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..arrays import Float, Int
from ..geometry import PixelMap, centres
from ..geometry.robust_alignment import distance_ratio, robust_alignment
from ..types import Frame
from .cameras import plausible_focal
from .config import CameraConfig
from .views import RawViews

__all__ = ["GivenCameras", "given_cameras", "in_given_world", "known_poses", "onto_known_poses"]


@dataclass(frozen=True)
class GivenCameras:
    """cam_from_world (N, 3, 4) and intrinsics (N, 3, 3) in network pixels, for every frame."""

    cam_from_world: Float
    intrinsics: Float

    def subset(self, indices: Int) -> GivenCameras:
        return GivenCameras(self.cam_from_world[indices], self.intrinsics[indices])


def given_cameras(frames: Sequence[Frame], pixel_maps: Sequence[PixelMap], config: CameraConfig) -> GivenCameras | None:
    """What the network can be conditioned on: only if all have a pose and a known camera or EXIF focal length."""
    poses, matrices = [], []
    for frame, pixel_map in zip(frames, pixel_maps, strict=True):
        K = _intrinsics(frame, config)
        if frame.known_cam_from_world is None or K is None:
            return None
        poses.append(frame.known_cam_from_world)
        matrices.append(pixel_map.intrinsics_to_network(K))
    return GivenCameras(np.array(poses), np.array(matrices)) if poses else None


def known_poses(frames: Sequence[Frame]) -> dict[int, Float]:
    """cam_from_world (3, 4) of the frames that have one, by index."""
    return {
        index: np.asarray(frame.known_cam_from_world, np.float64)
        for index, frame in enumerate(frames)
        if frame.known_cam_from_world is not None
    }


def in_given_world(views: RawViews, given: GivenCameras, told_scale: float, config: CameraConfig) -> RawViews:
    """A conditioned prediction in the given world: the given cameras, and depth in their units.

    `told_scale` is what one unit of the network's world was when the poses were given to it. The depth scale is
    that of the predicted cameras against the given ones; it falls back to `told_scale` where the cameras are not
    apart (one view, a pure rotation) or where the two differ beyond reason.
    """
    usable = views.usable()
    found = distance_ratio(centres(views.cam_from_world[usable]), centres(given.cam_from_world[usable]))
    trust = config.scale_trust
    scale = found if found and 1 / trust <= found / told_scale <= trust else told_scale
    # A view that came out non-finite keeps its non-finite pose, so that it is dropped like any other.
    finite = np.asarray(np.isfinite(views.cam_from_world).all((1, 2)))
    poses = np.where(finite[:, None, None], given.cam_from_world, views.cam_from_world)
    return replace(views, depth=views.depth * np.float32(scale), cam_from_world=poses, intrinsics=given.intrinsics)


def onto_known_poses(views: RawViews, frames: Sequence[Frame]) -> RawViews:
    """Bring a prediction into the world of the frames whose poses are known; those frames get their known poses.

    One known pose fixes rotation and position but no scale, which then stays the prediction's.
    """
    by_frame = known_poses(frames)
    if not by_frame:
        return views
    known, given = list(by_frame), np.stack(list(by_frame.values()))
    moved = views.moved(robust_alignment(views.cam_from_world[known], given))
    poses = moved.cam_from_world.copy()
    poses[known] = given
    return replace(moved, cam_from_world=poses)


def _intrinsics(frame: Frame, config: CameraConfig) -> Float | None:
    if frame.known_camera is not None:
        return frame.known_camera.K
    focal_px = frame.exif_focal_px
    if focal_px is None or not plausible_focal(focal_px, frame.width, frame.height, config):
        return None
    return np.array([[focal_px, 0, frame.width / 2], [0, focal_px, frame.height / 2], [0, 0, 1.0]])
