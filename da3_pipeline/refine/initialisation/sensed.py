"""Poses from measured depth and matches: what one picture's sensor measured, found in the other, needs no third view.

Two-view geometry tells no distances: centres follow only from points that three pictures see. Where a sensor measured
the points, each pair has its relative pose in one unit by itself (perspective-n-point), and pairs make a chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pycolmap
import scipy.sparse as sp
from scipy.sparse.linalg import lsqr

from ...arrays import Float
from ...geometry import Camera, invert
from ...progress import Progress
from ...types import Frame
from ..config import RefineConfig
from ..solve.problem import Estimate, Problem
from ..solve.sensor.readings import readings
from .averaging import average_rotations
from .two_view import RelativePoses, ransac_options

__all__ = ["start_from_depth"]

_PASSES = 5  # of reweighting (chosen)
_TRIALS, _FEW_TRIALS = 1000, 100  # of three matches each: 1000 find a pose of which 19 % are, 100 one of 41 %
_ASKED = 4  # pairs, with the most depth, for a focal length (chosen)
_REACH, _STEPS = (2.0, 1.12), 13  # a factor, coarsely and then finely (chosen)


@dataclass(frozen=True)
class _Sensed:
    """A problem with (M,) depths at the first and second ends of its matches; pair k's are those of spans[k]."""

    problem: Problem
    depth: tuple[Float, Float]
    spans: tuple[slice, ...]
    config: RefineConfig

    @staticmethod
    def of(problem: Problem, frames: Sequence[Frame], config: RefineConfig, progress: Progress) -> _Sensed:
        matches, how = problem.matches, config.measured_depth
        ends = np.searchsorted(matches.pair, np.arange(len(matches.frames) + 1)).tolist()
        first, second = (
            readings(problem, frames, matches.frames[matches.pair, side], xy, how, progress)
            for side, xy in enumerate((matches.xy_first, matches.xy_second))
        )
        return _Sensed(problem, (first, second), tuple(slice(*each) for each in pairwise(ends)), config)

    def resected(self, pair: int, cameras: dict[str, Camera], trials: int = _TRIALS) -> tuple[int, float, Float]:
        """How many matches agree with a pose of the second from the first, how exactly (the sum of 1 - (error / limit)²
        of these), and that pose (3, 4) in the sensor's unit; 0 for none.

        Points of the one whose depth places more of them are found in the other.
        """
        matches, span, how = self.problem.matches, self.spans[pair], self.config.measured_depth
        seen = (matches.xy_first[span], matches.xy_second[span])
        own = [cameras[self.problem.camera_of(frame)] for frame in matches.frames[pair].tolist()]
        options = pycolmap.AbsolutePoseEstimationOptions()
        options.ransac = ransac_options(self.config.initialisation.two_view, self.config.seed)
        options.ransac.max_error = how.resection_px
        options.ransac.min_num_trials, options.ransac.max_num_trials = min(trials, _FEW_TRIALS), trials
        best = (0, 0.0, np.full((3, 4), np.nan))
        for one, other in ((0, 1), (1, 0)):
            depth = self.depth[one][span]
            told = np.isfinite(depth)
            if told.sum() < how.fewest_matches:
                continue
            points = np.column_stack([own[one].unproject(seen[one][told]), np.ones(told.sum())]) * depth[told, None]
            answer = pycolmap.estimate_absolute_pose(seen[other][told], points, own[other].to_pycolmap(), options)
            if answer is not None and answer["num_inliers"] > best[0]:
                pose = answer["cam_from_world"].matrix()
                error = own[other].project(points @ pose[:, :3].T + pose[:, 3]) - seen[other][told]
                close = np.maximum(1 - (error**2).sum(axis=1) / how.resection_px**2, 0.0)
                best = (int(answer["num_inliers"]), float(np.nansum(close)), pose if one == 0 else invert(pose))
        return best

    def placed(self, pair: int) -> int:
        """How many of a pair's matches have depth at an end."""
        return max(int(np.isfinite(depth[self.spans[pair]]).sum()) for depth in self.depth)


def start_from_depth(
    problem: Problem, cameras: dict[str, Camera], frames: Sequence[Frame], config: RefineConfig, progress: Progress
) -> Estimate:
    """Poses in the sensor's unit of the frames that pairs with measured depth join; NaN for the others."""
    sensed = _Sensed.of(problem, frames, config, progress)
    cameras = _focal_lengths(sensed, cameras)
    relative = _relative(sensed, cameras)
    guess = Estimate(problem.prior.cam_from_world, cameras)
    rotations, agree = average_rotations(problem, guess, relative, config.initialisation.consistent_deg, config.seed)
    if not agree.any():
        return Estimate(np.full((problem.num_frames, 3, 4), np.nan), cameras)
    places = _places(rotations, relative.subset(agree))
    poses = np.concatenate([rotations, -np.einsum("nij,nj->ni", rotations, places)[:, :, None]], axis=2)
    poses[~np.isfinite(poses).all((1, 2))] = np.nan
    return Estimate(poses, cameras)


def _focal_lengths(sensed: _Sensed, cameras: dict[str, Camera]) -> dict[str, Camera]:
    """The cameras; those of which nobody tells the focal length by the factor with which matches agree best."""
    told = sensed.problem.known_cameras | set(sensed.problem.exif_focal_px)
    counts = [sensed.placed(pair) for pair in range(len(sensed.spans))]
    asked = np.argsort(counts, kind="stable")[::-1][:_ASKED].tolist()
    if not set(cameras) - told or not asked:
        return cameras

    def by(factor: float) -> dict[str, Camera]:
        return {
            name: camera if name in told else Camera.pinhole(camera.width, camera.height, factor * camera.focal_px)
            for name, camera in cameras.items()
        }

    best = 1.0
    for reach in _REACH:
        factors = best * np.geomspace(1 / reach, reach, _STEPS)
        best = max(
            factors.tolist(),
            key=lambda factor: sum(sensed.resected(pair, by(factor), _FEW_TRIALS)[1] for pair in asked),
        )
    return by(best)


def _relative(sensed: _Sensed, cameras: dict[str, Camera]) -> RelativePoses:
    """As `relative_poses`, with translations in the sensor's unit, of pairs of which either picture has depth."""
    how, least = sensed.config.measured_depth, sensed.config.initialisation.two_view.least_support
    found = [sensed.resected(pair, cameras) for pair in range(len(sensed.spans))]
    support = np.array([count for count, _, _ in found], np.int64)
    placed = np.array([sensed.placed(pair) for pair in range(len(found))])
    kept = np.flatnonzero((support >= how.fewest_matches) & (support >= least * placed))
    poses = np.array([found[pair][2] for pair in kept.tolist()], float).reshape(-1, 3, 4)
    return RelativePoses(sensed.problem.matches.frames[kept], poses, support[kept])


def _places(rotations: Float, relative: RelativePoses) -> Float:
    """(N, 3) centres between which pairs lie as they say, by least absolute distances; NaN of frames without a pair.

    c_j - c_i = -R_j^T t_ij for x_j = R_ij x_i + t_ij. The first frame of the first pair is the origin.
    """
    told = -np.einsum("qji,qj->qi", rotations[relative.frames[:, 1]], relative.second_from_first[:, :, 3])
    frames, number = np.unique(relative.frames, return_inverse=True)
    number = number.reshape(-1, 2)
    rows = np.arange(len(told))
    ones = np.ones(len(told))
    difference = sp.csr_matrix(
        (np.concatenate([ones, -ones]), (np.tile(rows, 2), np.concatenate([number[:, 1], number[:, 0]])))
    )
    weight = np.sqrt(relative.support.astype(float))
    around = np.zeros((len(frames), 3))
    trust = weight
    for _ in range(_PASSES):
        system = sp.diags(trust) @ difference
        around = np.column_stack([lsqr(system, trust * told[:, axis], damp=1e-9)[0] for axis in range(3)])
        off = np.linalg.norm(difference @ around - told, axis=1)
        trust = weight / np.sqrt(np.maximum(off, 1e-3 * (np.median(off) + 1e-12)))
    places = np.full((len(rotations), 3), np.nan)
    places[frames] = around - around[number[0, 0]]
    return places
