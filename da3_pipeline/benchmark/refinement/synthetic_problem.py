"""Large adjustments with known truth: cameras on a path, points that a few near frames see, noise and false places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from ...arrays import Float, Int
from ...geometry import Camera, centres, compose, invert
from ...refine.solve.problem import Estimate, Matches, Problem
from ...refine.solve.tracks import Observations
from ..truth.prior_noise import PriorNoise, perturbed_poses

__all__ = ["CapturePath", "ProblemSize", "SyntheticProblem", "synthetic_problem"]

CapturePath = Literal["orbit", "walk"]

_WIDTH, _HEIGHT, _FOCAL_PX = 1024, 768, 850.0
_TRACKS_PER_FRAME = 300
_FOCAL_SPREAD = 0.15  # of the focal length, between cameras
_SEEN_IN = (3, 10)  # frames that see a point
_NEAR = 16  # frames, the nearest of which see it,
_MATCHED = 4  # and the nearest that each is matched with, beside the next one
_GAZE_DEG = 40.0  # between frames that see one point
_PIXEL_NOISE = 0.5
_FALSE_SHARE = 0.05  # of the observations lie anywhere in the image
_VIEWS_PER_TURN, _ORBIT_RADIUS, _ORBIT_HEIGHT = 70, 8.0, 4.0
_STEP = 0.4


@dataclass(frozen=True)
class ProblemSize:
    """cameras: distinct ones, which take turns along the path. tracks: about so many; 300 a frame unless told."""

    frames: int
    cameras: int = 1
    tracks: int | None = None

    @property
    def tracks_per_frame(self) -> int:
        return _TRACKS_PER_FRAME if self.tracks is None else max(1, round(self.tracks / self.frames))


@dataclass(frozen=True)
class SyntheticProblem:
    """problem: its prior is off by the asked noise. cam_from_world (N, 3, 4), and cameras by camera_id: the truth."""

    problem: Problem
    cam_from_world: Float
    cameras: dict[str, Camera]

    @property
    def truth(self) -> Estimate:
        return Estimate(self.cam_from_world, self.cameras)


def synthetic_problem(size: ProblemSize, path: CapturePath, noise: PriorNoise, seed: int) -> SyntheticProblem:
    """A capture of that size: an 'orbit' of rising turns around an object, or a 'walk' around a block."""
    rng, frames = np.random.default_rng(seed), size.frames
    names = [f"camera {k:05d}" for k in range(size.cameras)]
    focal_px = _FOCAL_PX * (1 + _FOCAL_SPREAD * np.sin(np.arange(size.cameras)))
    taken_by = np.arange(frames) % size.cameras
    cameras = [Camera.pinhole(_WIDTH, _HEIGHT, float(focal)) for focal in focal_px]
    truth = _orbit(frames) if path == "orbit" else _walk(frames, rng)
    observations = _observed(truth, [cameras[k] for k in taken_by], size.tracks_per_frame, rng)
    factor = (1 + noise.focal) ** rng.choice([-1, 1], size.cameras)
    guessed = [Camera.pinhole(_WIDTH, _HEIGHT, float(focal)) for focal in focal_px * factor]
    problem = Problem(
        observations,
        _neighbour_matches(truth, np.stack([cameras[k].K for k in taken_by]), observations),
        tuple(names),
        taken_by.astype(np.int64),
        Estimate(perturbed_poses(truth, noise, rng)[0], dict(zip(names, guessed, strict=True))),
        frozenset(),
        {},
        False,
        np.ones((frames, 2)),
        np.tile([float(_WIDTH), float(_HEIGHT)], (frames, 1)),
    )
    return SyntheticProblem(problem, truth, dict(zip(names, cameras, strict=True)))


def _orbit(frames: int) -> Float:
    turns = max(1.0, round(frames / _VIEWS_PER_TURN))
    place = np.arange(frames) / frames
    angle = 2 * np.pi * turns * place
    height = _ORBIT_HEIGHT * (0.5 - place) if turns > 1 else 0.3 * np.sin(3 * angle)
    centre = np.stack([_ORBIT_RADIUS * np.sin(angle), height, -_ORBIT_RADIUS * np.cos(angle)], 1)
    return _looking(centre, -centre)


def _walk(frames: int, rng: np.random.Generator) -> Float:
    """Once around a block, the camera turned 35 degrees from the path to the outside, with the sway of a hand."""
    radius = _STEP * frames / (2 * np.pi)
    angle = 2 * np.pi * np.arange(frames) / frames
    centre = np.stack([radius * np.sin(angle), 0.05 * np.sin(1.7 * np.arange(frames)), -radius * np.cos(angle)], 1)
    heading = angle + np.radians(-35 + 5 * np.sin(0.3 * np.arange(frames)))
    gaze = np.stack([np.cos(heading), 0.05 * rng.normal(size=frames), np.sin(heading)], 1)
    return _looking(centre, gaze)


def _looking(centre: Float, gaze: Float) -> Float:
    """(N, 3, 4) upright cameras (world y points down)."""
    forward = gaze / np.linalg.norm(gaze, axis=1, keepdims=True)
    right = np.cross(np.array([0.0, 1.0, 0.0]), forward)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    rotation = np.stack([right, np.cross(forward, right), forward], 1)
    return np.concatenate([rotation, -rotation @ centre[:, :, None]], 2)


def _observed(truth: Float, cameras: Sequence[Camera], new_points: int, rng: np.random.Generator) -> Observations:
    """Every frame adds points at depths of 4 to 12, seen by the nearest frames that look the same way and have them."""
    tracks, frames, pixels, count = [], [], [], 0
    for frame, (pose, near) in enumerate(zip(truth, _near_frames(truth, _NEAR), strict=True)):
        plane = cameras[frame].unproject(rng.uniform(0, [_WIDTH, _HEIGHT], (new_points, 2)))
        in_camera = np.column_stack([plane, np.ones(len(plane))]) * rng.uniform(4, 12, (len(plane), 1))
        points = (in_camera - pose[:, 3]) @ pose[:, :3]
        xy = np.stack([cameras[k].project(points @ truth[k, :, :3].T + truth[k, :, 3]) for k in near])
        inside = (np.nan_to_num(xy, nan=-1) > 0).all(2) & (np.nan_to_num(xy, nan=-1) < [_WIDTH, _HEIGHT]).all(2)
        wanted = rng.integers(_SEEN_IN[0], _SEEN_IN[1] + 1, len(points))
        seen = inside & (np.cumsum(inside, 0) <= wanted)
        seen &= seen.sum(0) >= _SEEN_IN[0]
        which, point = np.nonzero(seen)
        _, number = np.unique(point, return_inverse=True)
        tracks.append(count + number)
        frames.append(near[which])
        pixels.append(xy[which, point])
        count += len(np.unique(point))
    track, frame_of, xy = np.concatenate(tracks), np.concatenate(frames), np.concatenate(pixels)
    order = np.lexsort((frame_of, track))
    return _as_measured(track[order], frame_of[order], xy[order], rng)


def _near_frames(truth: Float, most: int) -> list[Int]:
    """Of each frame the nearest, itself first, that look the same way."""
    gaze, tree = truth[:, 2, :3], cKDTree(centres(truth))
    nearest = tree.query(tree.data, min(most, len(truth)))[1].reshape(len(truth), -1)
    alike = np.einsum("nkj,nj->nk", gaze[nearest], gaze) > np.cos(np.radians(_GAZE_DEG))
    return [near[keep] for near, keep in zip(nearest, alike, strict=True)]


def _as_measured(track: Int, frame: Int, xy: Float, rng: np.random.Generator) -> Observations:
    measured = xy + rng.normal(0, _PIXEL_NOISE, xy.shape)
    false = rng.random(len(xy)) < _FALSE_SHARE
    measured[false] = rng.uniform(0, [_WIDTH, _HEIGHT], (int(false.sum()), 2))
    by_frame = np.argsort(frame, kind="stable")
    keypoint = np.empty(len(frame), np.int64)
    keypoint[by_frame] = np.arange(len(frame)) - np.searchsorted(frame[by_frame], frame[by_frame])
    return Observations(track.astype(np.int64), frame.astype(np.int64), keypoint, measured)


def _neighbour_matches(truth: Float, K: Float, observations: Observations) -> Matches:
    """Matches of consecutive and of near frames, with the fundamental matrices of the true poses and K (N, 3, 3)."""
    near = [(k, int(other)) for k, others in enumerate(_near_frames(truth, 1 + _MATCHED)) for other in others[1:]]
    both = np.array(near + [(k, k + 1) for k in range(len(truth) - 1)])
    pairs = np.unique(np.sort(both, axis=1), axis=0)
    shape = (len(truth), observations.num_tracks)
    row = csr_matrix((np.arange(1, len(observations) + 1), (observations.frame, observations.track)), shape=shape)
    firsts, seconds = [], []
    for one, other in pairs.tolist():
        _, first, second = np.intersect1d(row[[one]].indices, row[[other]].indices, return_indices=True)
        firsts.append(row[[one]].data[first] - 1)
        seconds.append(row[[other]].data[second] - 1)
    i, j = pairs.T
    relative = compose(truth[j], invert(truth[i]))
    to_plane = np.linalg.inv(K)
    across = np.swapaxes(np.cross(np.eye(3), relative[:, None, :, 3]), 1, 2)
    return Matches(
        np.repeat(np.arange(len(pairs)), [len(first) for first in firsts]),
        pairs,
        observations.xy[np.concatenate(firsts)],
        observations.xy[np.concatenate(seconds)],
        np.swapaxes(to_plane[j], 1, 2) @ across @ relative[:, :, :3] @ to_plane[i],
        np.full(len(pairs), 0.3),
    )
