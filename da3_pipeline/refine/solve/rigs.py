"""Cameras that are bolted together: at every instant they stand to each other as at any other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from scipy.spatial.transform import Rotation

from ...arrays import Bool, Float, Int
from ...geometry import centres, compose, invert
from ...grouping import Groups
from ...types import Frame

__all__ = ["Rigs", "rigs_of"]

Key = TypeVar("Key", str, tuple[str, str])


@dataclass(frozen=True)
class Rigs:
    """The rigs of a capture. A sensor of a rig is a camera of its own, so that its camera_id names it.

    sensor, instant (N,): of each frame, -1 off rigs; instants are numbered over all rigs.
    rig (S,), cam_from_rig (S, 3, 4), fixed (S,), reference (S,): of each sensor. NaN where a relative pose is not known
    yet, `fixed` where it was given. The reference sensor's own is the identity.
    """

    sensor: Int
    instant: Int
    rig: Int
    cam_from_rig: Float
    fixed: Bool
    reference: Bool
    sensor_of_camera: dict[str, int]

    @property
    def num_rigs(self) -> int:
        return int(self.rig.max(initial=-1)) + 1

    def rig_of_frame(self, index: int) -> int:
        """The frame's rig, -1 where it has none or stands to the reference as nobody knows yet."""
        sensor = self.sensor[index]
        return int(self.rig[sensor]) if sensor >= 0 and np.isfinite(self.cam_from_rig[sensor]).all() else -1

    def reference_camera(self, rig: int) -> str:
        """The camera_id of the rig's reference sensor."""
        return next(name for name, s in self.sensor_of_camera.items() if self.rig[s] == rig and self.reference[s])

    def rig_from_world(self, cam_from_world: Float, frames: Sequence[int]) -> Float:
        """(3, 4) mean of what `frames`, taken at one instant, say of their rig's pose."""
        implied = compose(invert(self.cam_from_rig[self.sensor[list(frames)]]), cam_from_world[list(frames)])
        return _mean_pose(implied)

    def measured(self, cam_from_world: Float) -> Rigs:
        """With unknown relative poses taken from the frames' own poses: the robust mean over all instants."""
        poses = self.cam_from_rig.copy()
        for sensor, relative in self._relative(cam_from_world, ~self.fixed):
            poses[sensor] = _mean_pose(relative) if len(relative) else np.nan
        return replace(self, cam_from_rig=poses)

    def scale_to_world(self, cam_from_world: Float) -> float:
        """World units per unit of the given relative poses: the median over instants of the baselines' ratio, or 1."""
        ratios = []
        for sensor, relative in self._relative(cam_from_world, self.fixed & ~self.reference):
            given = float(np.linalg.norm(centres(self.cam_from_rig[sensor][None])))
            if given > 0 and len(relative):
                ratios += (np.linalg.norm(centres(relative), axis=1) / given).tolist()
        return float(np.median(ratios)) if ratios else 1.0

    def scaled(self, scale: float) -> Rigs:
        """With given relative poses in units `scale` times as small."""
        poses = self.cam_from_rig.copy()
        poses[self.fixed, :, 3] *= scale
        return replace(self, cam_from_rig=poses)

    def of_one_centre(self) -> Rigs | None:
        """The rigs alone whose sensors are all given, in one place: nothing of them hangs on the size of the world, so
        that they hold from the first guess on. None without any; frames of others are on no rig then."""
        apart = np.zeros(self.num_rigs, bool)
        apart[self.rig[~self.fixed | self.cam_from_rig[:, :, 3].any(axis=1)]] = True
        poses = np.where(apart[self.rig, None, None], np.nan, self.cam_from_rig)
        return None if apart.all() else replace(self, cam_from_rig=poses)

    def resized(self, scale: float) -> Rigs:
        """With all relative poses in units `scale` times as small."""
        poses = self.cam_from_rig.copy()
        poses[:, :, 3] *= scale
        return replace(self, cam_from_rig=poses)

    def completed(self, cam_from_world: Float) -> Float:
        """(N, 3, 4) poses moved onto the rigs; frames without one are placed by the others of their instant."""
        poses = cam_from_world.copy()
        known: Bool = np.asarray(np.isfinite(poses).all((1, 2)))
        at_instant = Groups.of(self.instant, int(self.instant.max(initial=-1)) + 1)
        for instant in range(len(at_instant)):
            together = [index for index in at_instant[instant].tolist() if self.rig_of_frame(index) >= 0]
            posed = [k for k in together if known[k]]
            if posed:
                body = self.rig_from_world(poses, posed)
                for index in together:
                    poses[index] = compose(self.cam_from_rig[self.sensor[index]], body)
        return poses

    def following(self, cam_from_world: Float, leaders: Int) -> Float:
        """(N, 3, 4) poses in which frames that are not of `leaders` are placed by those that are, of their instant."""
        led = np.full_like(cam_from_world, np.nan)
        led[leaders] = cam_from_world[leaders]
        led = self.completed(led)
        led[leaders] = cam_from_world[leaders]
        return np.where(np.isfinite(led), led, cam_from_world)

    def _relative(self, cam_from_world: Float, sensors: Bool) -> Iterator[tuple[int, Float]]:
        """Each of `sensors` (S,), and (K, 3, 4) cam_from_reference at every instant at which both have a pose."""
        posed: Bool = np.asarray(np.isfinite(cam_from_world).all((1, 2)))
        references = np.flatnonzero(self.reference)
        first = references[np.unique(self.rig[references], return_index=True)[1]]
        frames = np.flatnonzero(np.isin(self.sensor, first) & posed)
        reference_at = np.full(int(self.instant.max(initial=-1)) + 1, -1)
        reference_at[self.instant[frames]] = frames
        by_sensor = Groups.of(self.sensor, len(self.rig))
        for sensor in np.flatnonzero(sensors).tolist():
            mine = by_sensor[sensor]
            other = reference_at[self.instant[mine]]
            both = posed[mine] & (other >= 0)
            yield sensor, compose(cam_from_world[mine[both]], invert(cam_from_world[other[both]]))


def rigs_of(frames: Sequence[Frame]) -> Rigs | None:
    """The rigs that the frames say they are on; None where there is none, or a rig of one camera only.

    Of a rig whose reference took none of the frames another sensor becomes the reference.
    """
    places = [frame.rig for frame in frames]
    sensors = _numbered({(place.rig, place.sensor) for place in places if place is not None})
    instants = _numbered({(place.rig, place.instant) for place in places if place is not None})
    if len(sensors) < 2:
        return None
    names = _numbered({rig for rig, _ in sensors})
    poses = np.full((len(sensors), 3, 4), np.nan)
    reference, camera = np.zeros(len(sensors), bool), {}
    sensor, instant = np.full(len(frames), -1), np.full(len(frames), -1)
    for index, (frame, place) in enumerate(zip(frames, places, strict=True)):
        if place is None:
            continue
        number = sensors[place.rig, place.sensor]
        sensor[index], instant[index] = number, instants[place.rig, place.instant]
        reference[number], camera[frame.camera_id] = place.reference, number
        if place.reference:
            poses[number] = np.eye(3, 4)
        elif place.cam_from_rig is not None:
            poses[number] = place.cam_from_rig
    rig_of_sensor = np.array([names[rig] for rig, _ in sensors])
    of_rig = Groups.of(rig_of_sensor, len(names))
    for rig in range(len(names)):
        members = of_rig[rig]
        if not reference[members].any():
            _rebase(poses, reference, members)
    return Rigs(sensor, instant, rig_of_sensor, poses, np.isfinite(poses).all((1, 2)), reference, camera)


def _numbered(keys: Collection[Key]) -> dict[Key, int]:
    """Keys in their order, each with its place."""
    return {key: number for number, key in enumerate(sorted(keys))}


def _rebase(poses: Float, reference: Bool, members: Int) -> None:
    """Makes the first of `members`, one with a given pose where any has one, the reference of the others' poses."""
    known = members[np.isfinite(poses[members]).all((1, 2))]
    chosen = int((known if len(known) else members)[0])
    if len(known):
        poses[members] = compose(poses[members], invert(poses[chosen]))
    poses[chosen], reference[chosen] = np.eye(3, 4), True


def _mean_pose(poses: Float) -> Float:
    """(3, 4) pose with the median centre of (K, 3, 4), and the mean of the rotations near their own mean."""
    place = np.median(centres(poses), axis=0)
    rotations = Rotation.from_matrix(poses[:, :, :3])
    for _ in range(3):
        mean = rotations.mean()
        angle = (mean.inv() * rotations).magnitude()
        rotations = rotations[angle <= 2 * np.median(angle) + 1e-9]
    rotation = mean.as_matrix()
    return np.concatenate([rotation, -(rotation @ place)[:, None]], 1)
