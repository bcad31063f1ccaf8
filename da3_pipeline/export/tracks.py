"""Which measured tracks and observations go into the data set, and where they lie in its images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..arrays import Bool, Float
from ..geometry import transform_points
from ..types import Scene, Tracks
from .depth.sky import observed_in_sky
from .ignored import IgnoredPixels
from .undistortion import Undistortion

__all__ = ["reprojection_errors_px", "tracks_seen_in", "undistorted_tracks", "usable_tracks"]


def usable_tracks(scene: Scene, ignored: IgnoredPixels) -> Tracks:
    """The tracks of things that are wanted, as seen where images are used.

    A track goes that lies in the sky (clouds, mostly) or under masks in more than half of its observations. The others
    lose those under masks or cropped away, and go when fewer than two are left. Errors of what lost some are measured
    again.
    """
    tracks = scene.tracks
    point = tracks.observation_point
    masked, cropped = _ignored_observations(scene, ignored)
    count = np.bincount(point, minlength=len(tracks))
    unwanted = np.bincount(point, observed_in_sky(scene) | masked, minlength=len(tracks))
    kept = (unwanted * 2 <= count)[point] & ~masked & ~cropped
    left = np.bincount(point, kept, minlength=len(tracks))
    kept &= (left >= np.minimum(count, 2))[point]
    return _chosen(scene, kept)


def tracks_seen_in(scene: Scene, frames: Sequence[int]) -> Tracks:
    """The tracks as those frames see them; points that none of them sees are left out.

    A point that one of them sees and a pose-only frame confirms stays. Errors of what lost observations are measured
    again.
    """
    return _chosen(scene, np.isin(scene.tracks.observation_frame, np.asarray(frames, dtype=np.int64)))


def undistorted_tracks(scene: Scene, tracks: Tracks, measured: Bool, lenses: Mapping[str, Undistortion]) -> Tracks:
    """The tracks with their observations, and the errors of `measured` points (P,), in undistorted images."""
    if all(lens.is_identity for lens in lenses.values()):
        return tracks
    pixels = tracks.observation_xy.copy()
    by_frame = tracks.by_frame(len(scene.frames))
    for frame in by_frame.filled:
        mine = by_frame[frame]
        pixels[mine] = lenses[scene.frames[frame].camera_id].undistorted(pixels[mine])
    moved = replace(tracks, observation_xy=pixels)
    pinholes = {name: lens.pinhole for name, lens in lenses.items()}
    errors_px = _mean_errors_px(replace(scene, cameras=pinholes, tracks=moved))
    return replace(moved, point_error_px=np.where(measured, errors_px, tracks.point_error_px))


def reprojection_errors_px(scene: Scene) -> Float:
    """(K,) distance between each observation and the projection of its point; NaN without a pose."""
    tracks = scene.tracks
    errors_px = np.full(len(tracks.observation_frame), np.nan)
    by_frame = tracks.by_frame(len(scene.frames))
    for frame in by_frame.filled:
        mine, camera = by_frame[frame], scene.cameras.get(scene.frames[frame].camera_id)
        if camera is not None:
            points_cam = transform_points(scene.cam_from_world[frame], tracks.points[tracks.observation_point[mine]])
            pixels = camera.project(points_cam)
            errors_px[mine] = np.linalg.norm(pixels - tracks.observation_xy[mine], axis=1)
    return errors_px


def _mean_errors_px(scene: Scene) -> Float:
    """(P,) mean reprojection error of each point over the observations that have one; 0 where none has."""
    errors_px, point = reprojection_errors_px(scene), scene.tracks.observation_point
    known = np.isfinite(errors_px)
    total = np.bincount(point[known], errors_px[known], minlength=len(scene.tracks))
    return total / np.maximum(np.bincount(point[known], minlength=len(scene.tracks)), 1)


def _ignored_observations(scene: Scene, ignored: IgnoredPixels) -> tuple[Bool, Bool]:
    """(K,) whether an observation is under a mask, and whether it is cropped away."""
    tracks = scene.tracks
    masked, cropped = (np.zeros(len(tracks.observation_frame), bool) for _ in range(2))
    by_frame = tracks.by_frame(len(scene.frames))
    for frame in by_frame.filled:
        mine = by_frame[frame]
        masked[mine], cropped[mine] = ignored.at(frame, tracks.observation_xy[mine])
    return masked, cropped


def _chosen(scene: Scene, kept: Bool) -> Tracks:
    """The tracks with the observations (K,) `kept`, and the points that have any; with errors of what is left."""
    tracks, point = scene.tracks, scene.tracks.observation_point
    points, renumbered = np.unique(point[kept], return_inverse=True)
    chosen = Tracks(
        tracks.points[points],
        tracks.colours[points],
        tracks.point_error_px[points],
        renumbered.astype(np.int64),
        tracks.observation_frame[kept],
        tracks.observation_xy[kept],
    )
    if kept.all():
        return chosen
    lost_some = np.bincount(point[~kept], minlength=len(tracks))[points] > 0
    errors_px = np.where(lost_some, _mean_errors_px(replace(scene, tracks=chosen)), chosen.point_error_px)
    return replace(chosen, point_error_px=errors_px)
