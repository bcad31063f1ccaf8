"""How far the solution depends on which tracks it saw: adjusted to either half of them, the cameras should agree.

The spread between halves is the uncertainty that the residuals hide: weak geometry fits any half of its tracks well,
each with other cameras. Nothing else holds the halves: what a prior decides would be decided alike in both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ...arrays import Bool, Float, Int
from ...geometry import align_cameras, centres, rotation_angle_deg
from ..config import SolveConfig
from ..solve.adjustment import Adjustment, adjust
from ..solve.lens_model import fully_free
from ..solve.problem import Estimate, Problem
from ..solve.rounds import fit_points, strict_cauchy_px

__all__ = ["Spread", "readjusted", "split_halves"]


_FEWEST_TRACKS = 60
_MOST_PAIRS = 20_000


@dataclass(frozen=True)
class Spread:
    """Differences between the two solutions at their ninetieth percentile.

    rotation_deg: of the relative rotations of pairs; position: of the centres after a similarity, as a share of the
    cameras' extent, inf where that is nothing. turned_deg, moved (F,): those of each compared frame, the
    former the median over its pairs.
    """

    rotation_deg: float
    position: float
    turned_deg: Float
    moved: Float


def split_halves(problem: Problem, estimate: Estimate, frames: Bool, config: SolveConfig, seed: int) -> Spread | None:
    """The spread of `frames` (N,) between two adjustments from `estimate`, each to half of the problem's tracks.

    None where there are too few frames or tracks to compare.
    """
    observations = problem.observations
    if frames.sum() < 3 or observations.num_tracks < _FEWEST_TRACKS:
        return None
    rng = np.random.default_rng(seed)
    first = rng.permutation(observations.num_tracks) % 2 == 0
    one, other = (
        readjusted(problem.with_observations(observations.subset(half[observations.track])), estimate, config)
        for half in (first, ~first)
    )
    poses, others = one.cam_from_world[frames], other.cam_from_world[frames]
    moved = align_cameras(poses, others).apply_to_cameras(poses)
    extent = float(np.linalg.norm(np.ptp(centres(others), axis=0)))
    i, j = _pairs(len(poses), rng)
    between, between_others = (some[j, :, :3] @ np.swapaxes(some[i, :, :3], 1, 2) for some in (poses, others))
    turned_deg = rotation_angle_deg(between, between_others)
    rotation_deg = float(np.quantile(turned_deg, 0.9))
    ends = np.concatenate([i, j])
    asked, of_frames = np.unique(ends), np.full(len(poses), np.nan)  # drawn pairs may leave a frame out
    of_frames[asked] = ndimage.median(np.tile(turned_deg, 2), ends, asked)
    shifts = np.linalg.norm(centres(moved) - centres(others), axis=1)
    moved_shares = shifts / extent if extent > 0 else np.full(len(shifts), np.inf)
    position = float(np.quantile(shifts, 0.9)) / extent if extent > 0 else float("inf")
    return Spread(rotation_deg, position, of_frames, moved_shares)


def readjusted(problem: Problem, estimate: Estimate, config: SolveConfig) -> Estimate:
    """Where the problem's tracks take `estimate`, with nothing else to hold it."""
    fit = fit_points(problem, estimate, config.min_ray_spread_deg, config.strict_gate_px)
    how = Adjustment(
        strict_cauchy_px(fit, config),
        config.adjustment,
        refine_centre=fully_free(problem, estimate, config.lens),
        max_iterations=config.strict_iterations,
        function_tolerance=1e-6,
    )
    return adjust(problem, estimate, fit.points, fit.kept, how)[0]


def _pairs(count: int, rng: np.random.Generator) -> tuple[Int, Int]:
    """All pairs of so many frames, or as many drawn ones as a large capture needs for a percentile."""
    if count * (count - 1) // 2 <= _MOST_PAIRS:
        first, second = np.triu_indices(count, 1)
        return first, second
    first = rng.integers(0, count, _MOST_PAIRS)
    return first, (first + rng.integers(1, count, _MOST_PAIRS)) % count
