"""What the refinement solves: cameras and poses that explain the tracks, in working pixels.

Photographs are taken in at the size at which their features were found, so that a pixel of error means the same
for a phone's 12 megapixels and for a small video, and with square pixels; solutions go back to original pixels at the
end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...arrays import Bool, Float, Int
from ...geometry import Camera
from ...grouping import Groups
from ...types import Frame, Prediction
from ..config import LensConfig
from ..matching.correspondences import Correspondences
from .lenses import Lenses, lenses_of
from .rigs import Rigs, rigs_of
from .tracks import Observations, build_tracks

__all__ = ["Estimate", "Matches", "Problem", "exif_focal_px", "pose_problem", "rigs_in_world", "with_trusted_tracks"]


@dataclass(frozen=True)
class Estimate:
    """A guess at the cameras: cam_from_world (N, 3, 4), NaN where unknown, and a camera for each camera_id."""

    cam_from_world: Float
    cameras: dict[str, Camera]

    @property
    def posed(self) -> Bool:
        """(N,) frames with a pose."""
        return np.asarray(np.isfinite(self.cam_from_world).all((1, 2)))


@dataclass(frozen=True)
class Matches:
    """All verified matches, pair after pair. pair (M,); frames (Q, 2) of each pair; xy_first, xy_second (M, 2)."""

    pair: Int
    frames: Int
    xy_first: Float
    xy_second: Float
    fundamental: Float
    homography_share: Float

    def __len__(self) -> int:
        return len(self.pair)


@dataclass(frozen=True)
class Problem:
    """Everything a solution is made from and judged by; pixels are working pixels.

    camera_names (C): the cameras in the order of their names; camera_index (N,): which of them took each frame.
    prior: the prediction's poses and cameras, or the poses that the user gave for all frames (`given_poses`).
    known_cameras keep their parameters. exif_focal_px: by camera_id, where known. scale (N, 2): working pixels per
    original pixel, x and y. size_px (N, 2): width and height. rigs: where frames are on any. lenses: cameras that are
    one lens and are adjusted as one. centred: cameras whose principal point stays in the middle. depth_sigma: of the
    observations' measured depth, relative.
    """

    observations: Observations
    matches: Matches
    camera_names: tuple[str, ...]
    camera_index: Int
    prior: Estimate
    known_cameras: frozenset[str]
    exif_focal_px: dict[str, float]
    given_poses: bool
    scale: Float
    size_px: Float
    rigs: Rigs | None = None
    lenses: Lenses | None = None
    centred: frozenset[str] = frozenset()
    depth_sigma: float = 1.0

    @property
    def num_frames(self) -> int:
        return len(self.camera_index)

    def camera_of(self, frame: int) -> str:
        """The camera_id of a frame."""
        return self.camera_names[self.camera_index[frame]]

    def frames_of(self, camera_id: str) -> Int:
        """Indices of the frames taken with this camera."""
        return np.flatnonzero(self.camera_index == self.camera_names.index(camera_id))

    def by_camera(self, frames: Int) -> Iterator[tuple[str, Int]]:
        """For elements seen in `frames` (K,): each camera that took any of them, and the indices of those it took."""
        groups = Groups.of(self.camera_index[frames], len(self.camera_names))
        for number in groups.filled:
            yield self.camera_names[number], groups[number]

    def focal_px(self, estimate: Estimate) -> Float:
        """(N,) focal length of each frame's camera in an estimate."""
        lengths = np.array([estimate.cameras[name].focal_px for name in self.camera_names])
        return lengths[self.camera_index]

    def of_pairs(self, pairs: Int) -> Problem:
        """With the matches of these pairs, given by ascending number, alone; observations as they are."""
        matches = self.matches
        number = np.full(len(matches.frames), -1)
        number[pairs] = np.arange(len(pairs))
        mine = np.flatnonzero(number[matches.pair] >= 0)
        return replace(
            self,
            matches=Matches(
                number[matches.pair[mine]],
                matches.frames[pairs],
                matches.xy_first[mine],
                matches.xy_second[mine],
                matches.fundamental[pairs],
                matches.homography_share[pairs],
            ),
        )

    def with_observations(self, observations: Observations) -> Problem:
        return replace(self, observations=observations)


def pose_problem(
    prediction: Prediction, correspondences: Correspondences, max_long_side_px: int, lens: LensConfig | None = None
) -> Problem:
    """States the problem of `prediction`'s frames and their verified matches; `lens` says which cameras are one."""
    frames = prediction.frames.frames
    original = np.array([(frame.width, frame.height) for frame in frames], float)
    shrink = np.minimum(1.0, max_long_side_px / original.max(1))
    stretch = np.sqrt([frame.pixel_aspect for frame in frames])
    working = np.maximum(np.round(original * shrink[:, None] * np.stack([stretch, 1 / stretch], axis=1)), 1.0)
    scale = working / original
    cameras, known = {}, set()
    for index, frame in enumerate(frames):
        if frame.camera_id in cameras:
            continue
        width, height = (int(side) for side in working[index])
        camera = frame.known_camera or prediction.cameras[frame.camera_id]
        resized = camera.resized(width, height)
        if frame.known_camera is not None:
            known.add(frame.camera_id)
            cameras[frame.camera_id] = resized
        else:
            cameras[frame.camera_id] = Camera.pinhole(width, height, resized.focal_px)
    names = tuple(sorted(cameras))
    number = {name: k for k, name in enumerate(names)}
    observations = _scaled(build_tracks(correspondences), scale)
    given = [frame.known_cam_from_world for frame in frames if frame.known_cam_from_world is not None]
    all_given = len(given) == len(frames)
    poses = np.asarray(given if all_given else prediction.cam_from_world, float)
    return Problem(
        observations,
        _matches(correspondences, scale),
        names,
        np.array([number[frame.camera_id] for frame in frames], np.int64),
        Estimate(poses, cameras),
        frozenset(known),
        exif_focal_px(frames, scale),
        all_given,
        scale,
        working,
        rigs_of(frames),
        lenses_of(frames, lens or LensConfig()),
    )


def exif_focal_px(frames: Sequence[Frame], scale: Float) -> dict[str, float]:
    """By camera_id, in working pixels, where EXIF tells it: that of the camera's first frame. scale: see `Problem`."""
    first: dict[str, float] = {}
    told: dict[str, float] = {}
    for frame, (across, _) in zip(frames, scale.tolist(), strict=True):
        length = first.setdefault(frame.camera_id, (frame.exif_focal_px or 0.0) * across)
        if length:
            told[frame.camera_id] = length
    return told


def with_trusted_tracks(problem: Problem, correspondences: Correspondences, trusted: Bool) -> Problem:
    """The problem with tracks built from the `trusted` (M,) matches only, so that false ones no longer spoil any."""
    return problem.with_observations(_scaled(build_tracks(correspondences, trusted), problem.scale))


def rigs_in_world(problem: Problem, estimate: Estimate) -> Rigs | None:
    """The problem's rigs in the units of the estimate's world, relative poses that nobody gave taken from it."""
    if problem.rigs is None or not estimate.posed.any():
        return None
    scale = problem.rigs.scale_to_world(estimate.cam_from_world)
    return problem.rigs.scaled(scale).measured(estimate.cam_from_world)


def _scaled(observations: Observations, scale: Float) -> Observations:
    return replace(observations, xy=observations.xy * scale[observations.frame])


def _matches(correspondences: Correspondences, scale: Float) -> Matches:
    features, pairs = correspondences.features, correspondences.pairs
    if not pairs:
        nothing = np.zeros((0, 2))
        no_index = np.zeros(0, np.int64)
        return Matches(no_index, no_index.reshape(0, 2), nothing, nothing, np.zeros((0, 3, 3)), np.zeros(0))
    unscale = [np.diag([1 / x, 1 / y, 1.0]) for x, y in scale]
    return Matches(
        np.repeat(np.arange(len(pairs)), [len(pair.matches) for pair in pairs]),
        np.array([(pair.i, pair.j) for pair in pairs], np.int64),
        np.concatenate([features[pair.i].xy[pair.matches[:, 0]] * scale[pair.i] for pair in pairs]).astype(float),
        np.concatenate([features[pair.j].xy[pair.matches[:, 1]] * scale[pair.j] for pair in pairs]).astype(float),
        np.stack([unscale[pair.j] @ pair.fundamental @ unscale[pair.i] for pair in pairs]),
        np.array([pair.homography_share for pair in pairs]),
    )
