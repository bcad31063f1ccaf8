"""Camera paths for videos, from the capture's own cameras: a loop around what they look at, a flight along them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ..arrays import Float
from ..geometry import centres, nearest_rotation, rotation_angle_deg

__all__ = ["centre_of_attention", "flight_path", "orbit_path"]


_DEPTH_WEIGHT = 0.05  # of the points at the typical depth, beside the axes' intersection: decides for parallel axes
_ALL_AROUND_RAD = np.radians(90)  # cameras with no wider gap between their directions go all the way around
_LEAST_SWING_RAD = np.radians(4)
_STEEPEST_RAD = np.radians(75)


def centre_of_attention(cam_from_world: Float, depth: float) -> Float:
    """(3,) the point nearest to the optical axes of (N, 3, 4) cameras, in the sense of least squares.

    Where the axes do not meet in a point (parallel, or a single one), the places at `depth`, the typical z-depth of
    the scene, decide along them.
    """
    origins, axes = centres(cam_from_world), cam_from_world[:, 2, :3]
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    typical = origins + depth * axes
    left = across.sum(axis=0) + _DEPTH_WEIGHT * len(axes) * np.eye(3)
    right = np.einsum("nij,nj->i", across, origins) + _DEPTH_WEIGHT * typical.sum(axis=0)
    return np.asarray(np.linalg.solve(left, right))


def orbit_path(cam_from_world: Float, depth: float, frames: int) -> Float:
    """(F, 3, 4) cam_from_world of a closed, smooth loop that starts where the cameras are.

    Around the centre of attention, at the cameras' median distance, level with their mean up: a full circle where
    they saw the scene from all around, else an oval within the angles that they span. Cameras that look away from
    their common centre, as in a room seen from its middle, give a path that looks outwards, too. `depth` as in
    `centre_of_attention`.
    """
    focus = centre_of_attention(cam_from_world, depth)
    axes, offsets = cam_from_world[:, 2, :3], centres(cam_from_world) - focus
    outwards = float(np.median((axes * offsets).sum(axis=1))) > 0
    level = _Level.of(cam_from_world)
    angles = level.angles(axes if outwards else -axes)
    radius = float(np.median(np.linalg.norm(offsets, axis=1)))
    azimuth, elevation = _loop(angles, np.linspace(0, 2 * np.pi, frames, endpoint=False))
    away = level.directions(azimuth, np.clip(elevation, -_STEEPEST_RAD, _STEEPEST_RAD))
    return _looking(focus + radius * away, away if outwards else -away, level.up)


def flight_path(cam_from_world: Float, frames: int, smoothing: float = 1.5) -> Float:
    """(F, 3, 4) poses along the cameras in their order, at an even pace, smoothed over about `smoothing` of them."""
    poses = np.asarray(cam_from_world, np.float64)
    places = gaussian_filter1d(centres(poses), smoothing, axis=0, mode="nearest")
    turns = nearest_rotation(gaussian_filter1d(poses[:, :, :3], smoothing, axis=0, mode="nearest"))
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    angles = rotation_angle_deg(turns[1:], turns[:-1])
    pace = steps / max(float(steps.sum()), 1e-12) + angles / max(float(angles.sum()), 1e-12)
    time = np.concatenate([[0.0], np.cumsum(pace + 1e-9)])
    at = np.linspace(0, time[-1], frames)
    before = np.clip(np.searchsorted(time, at, side="right") - 1, 0, max(len(time) - 2, 0))
    after = np.minimum(before + 1, len(time) - 1)
    share = ((at - time[before]) / np.maximum(time[after] - time[before], 1e-12))[:, None]
    centre = (1 - share) * places[before] + share * places[after]
    rotation = nearest_rotation((1 - share[..., None]) * turns[before] + share[..., None] * turns[after])
    return np.concatenate([rotation, -rotation @ centre[:, :, None]], axis=2)


@dataclass(frozen=True)
class _Level:
    """Spherical coordinates about the cameras' mean up."""

    up: Float
    east: Float
    north: Float

    @classmethod
    def of(cls, cam_from_world: Float) -> _Level:
        up = -cam_from_world[:, 1, :3].mean(axis=0)
        length = float(np.linalg.norm(up))
        up = up / length if length > 1e-6 else -cam_from_world[0, 1, :3]
        other = np.eye(3)[np.abs(up).argmin()]
        east = np.cross(other, up)
        east = east / np.linalg.norm(east)
        return cls(up, east, np.cross(up, east))

    def angles(self, directions: Float) -> Float:
        """(N, 2) azimuth and elevation of unit directions, radians."""
        azimuth = np.arctan2(directions @ self.north, directions @ self.east)
        return np.stack([azimuth, np.arcsin(np.clip(directions @ self.up, -1, 1))], axis=1)

    def directions(self, azimuth: Float, elevation: Float) -> Float:
        level = np.cos(azimuth)[:, None] * self.east + np.sin(azimuth)[:, None] * self.north
        return np.cos(elevation)[:, None] * level + np.sin(elevation)[:, None] * self.up


def _loop(angles: Float, phase: Float) -> tuple[Float, Float]:
    """Azimuth and elevation at phases 0..2 pi of a circle, or of an oval through the middle of what is spanned."""
    sorted_azimuth = np.sort(angles[:, 0])
    gaps = np.diff(sorted_azimuth, append=sorted_azimuth[0] + 2 * np.pi)
    widest = int(gaps.argmax())
    middle = float(np.median(angles[:, 1]))
    if gaps[widest] < _ALL_AROUND_RAD:
        return angles[0, 0] + phase, np.full_like(phase, middle)
    start = float(sorted_azimuth[(widest + 1) % len(gaps)])
    half = max((2 * np.pi - float(gaps[widest])) / 2, _LEAST_SWING_RAD)
    centre = start + (2 * np.pi - float(gaps[widest])) / 2
    rise = max(float(np.ptp(angles[:, 1])) / 2, _LEAST_SWING_RAD / 2)
    height = (float(angles[:, 1].max()) + float(angles[:, 1].min())) / 2
    return centre + half * np.sin(phase), height + rise * np.cos(phase)


def _looking(places: Float, forward: Float, up: Float) -> Float:
    """(F, 3, 4) poses at (F, 3) places that look along (F, 3) unit directions, upright."""
    right = np.cross(forward, up)
    right = right / np.linalg.norm(right, axis=1, keepdims=True)
    rotation = np.stack([right, np.cross(forward, right), forward], axis=1)
    return np.concatenate([rotation, -rotation @ places[:, :, None]], axis=2)
