"""How far the solution depends on which part of the scene it saw: the block jackknife.

Errors of matches are alike where they lie close together: on a person who walks, on glass, on one of two equal windows.
Halves drawn track by track hold the same share of them and so agree. Where the cameras would go without each part of
the scene in turn scatters by the standard error of the whole, what parts have in common included (Künsch, The
jackknife and the bootstrap for general stationary observations, 1989). Where the distance between two pairs of
cameras hangs on few points, it moves with any of them.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.spatial.transform import Rotation

from ...arrays import Bool, Float, Int
from ...geometry import centres
from ..config import SolveConfig
from ..solve.problem import Estimate, Problem
from ..solve.rounds import Fit
from .newton import linearised

__all__ = ["Scatter", "block_jackknife"]

_PARTS = 20
_DRAWS = 8  # of the parts, of few views: one alone moved the scatter by a third
_DRAWN_VIEWS = 96  # in all draws: of forty views two draws repeat within a twentieth
_FEWEST_TRACKS = 60
_WORST_DEG = 5.0


@dataclass(frozen=True)
class Scatter:
    """One standard error, degrees, of each pair i < j of F frames (P,): their relative rotation, and the direction in
    the first to the other's centre. frames (P, 2): their numbers."""

    frames: Int
    rotation_deg: Float
    direction_deg: Float

    @property
    def pair_deg(self) -> Float:
        """(P,) the larger of both: what the area under the curve of pose errors is made from."""
        return np.maximum(self.rotation_deg, self.direction_deg)

    @property
    def mean_deg(self) -> float:
        """Over pairs, each up to 5 degrees: a fifth of it is what the area under the curve up to there would lack."""
        return float(np.minimum(self.pair_deg, _WORST_DEG).mean())

    def of_frames(self, num_frames: int) -> Float:
        """(num_frames,) the mean over each frame's pairs; NaN of others."""
        sums = sum(np.bincount(side, self.pair_deg, num_frames) for side in self.frames.T)
        counts = np.bincount(self.frames.ravel(), minlength=num_frames)
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def block_jackknife(
    problem: Problem, estimate: Estimate, frames: Bool, fit: Fit, config: SolveConfig, seed: int
) -> Scatter | None:
    """Of `frames` (N,), from where `estimate` would go without each part of the scene. fit: of the same problem.

    None where there are too few tracks.
    """
    observations = problem.observations
    placed = np.unique(observations.track[fit.kept])
    placed = placed[np.isfinite(fit.points[placed]).all(1)]
    if len(placed) < _FEWEST_TRACKS:
        return None
    solution, numbers = linearised(problem, estimate, fit, config), np.flatnonzero(frames)
    whole, _ = _relative(estimate.cam_from_world[frames])
    places, errors = centres(estimate.cam_from_world[frames]), []
    for draw in range(min(_DRAWS, max(2, _DRAWN_VIEWS // len(numbers)))):
        part = np.full(observations.num_tracks, -1)
        part[placed] = _parts(fit.points[placed], places, seed + draw)
        turns, directions = zip(*(_relative(poses[frames]) for poses in solution.without_each(part)), strict=True)
        vectors = [Rotation.from_matrix(turned @ np.swapaxes(whole, 1, 2)).as_rotvec() for turned in turns]
        errors.append((_standard_error(np.stack(vectors)), _standard_error(np.stack(directions))))
    rotation, direction = np.degrees(np.sqrt(np.mean(np.square(errors), axis=0)))
    return Scatter(np.stack([numbers[side] for side in np.triu_indices(len(numbers), 1)], axis=1), rotation, direction)


def _relative(cam_from_world: Float) -> tuple[Float, Float]:
    """Of all pairs i < j: rotations (P, 3, 3) to j from i, and unit vectors (P, 3) in i to the centre of j."""
    first, second = np.triu_indices(len(cam_from_world), 1)
    rotations, places = cam_from_world[:, :, :3], centres(cam_from_world)
    offsets = np.einsum("pij,pj->pi", rotations[first], places[second] - places[first])
    lengths = np.linalg.norm(offsets, axis=1, keepdims=True)
    between = rotations[second] @ np.swapaxes(rotations[first], 1, 2)
    return between, offsets / np.maximum(lengths, np.finfo(float).tiny)


def _standard_error(without_each: Float) -> Float:
    """(P,) of values (K, P, 3), each without one of K parts."""
    parts = len(without_each)
    apart = without_each - without_each.mean(axis=0)
    return np.asarray(np.sqrt((parts - 1) / parts * (apart**2).sum(axis=(0, 2))))


def _parts(points: Float, places: Float, seed: int) -> Int:
    """(T,) the number of each point's part of the scene: what lies close together as the cameras at `places` see it.

    Clustered in space that is contracted from the median distance on, so that what is far counts by its direction.
    """
    offsets = points - places.mean(axis=0)
    distance = np.maximum(np.linalg.norm(offsets, axis=1, keepdims=True), np.finfo(float).tiny)
    near = np.median(distance)
    shrunk = np.where(distance > near, 2 - near / distance, distance / near)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of points that coincide: a part may be empty
        _, part = kmeans2(offsets / distance * shrunk, _PARTS, minit="++", seed=seed)
    return np.asarray(np.unique(part, return_inverse=True)[1])
