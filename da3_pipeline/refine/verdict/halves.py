"""How far the solution depends on which tracks it saw: adjusted to either half of them, the cameras should agree.

The spread between halves is the uncertainty that the residuals hide: weak geometry fits any half of its tracks well,
each with other cameras.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import Bool
from ...geometry import align_cameras, centres
from ...geometry.pose_metrics import pose_errors
from ..config import SolveConfig
from ..solve.adjustment import Adjustment, adjust
from ..solve.lens_model import fully_free
from ..solve.priors import Priors
from ..solve.problem import Estimate, Problem
from ..solve.rounds import fit_points

__all__ = ["Spread", "split_halves"]


_FEWEST_TRACKS = 60


@dataclass(frozen=True)
class Spread:
    """Differences between the two solutions at their ninetieth percentile.

    rotation_deg: of the relative rotations of all pairs; position: of the centres after a similarity, as a share of
    the cameras' extent; focal: largest relative difference of a camera's focal length. NaN where halves could not be
    compared.
    """

    rotation_deg: float = float("nan")
    position: float = float("nan")
    focal: float = float("nan")


def split_halves(
    problem: Problem, estimate: Estimate, frames: Bool, config: SolveConfig, seed: int, priors: Priors | None = None
) -> Spread:
    """The spread of `frames` (N,) between two adjustments from `estimate`, each to half of the problem's tracks."""
    observations = problem.observations
    if frames.sum() < 3 or observations.num_tracks < _FEWEST_TRACKS:
        return Spread()
    first = np.random.default_rng(seed).permutation(observations.num_tracks) % 2 == 0
    solutions = [
        _solved(problem.with_observations(observations.subset(half[observations.track])), estimate, config, priors)
        for half in (first, ~first)
    ]
    one, other = (solution.cam_from_world[frames] for solution in solutions)
    moved = align_cameras(one, other).apply_to_cameras(one)
    extent = float(np.linalg.norm(np.ptp(centres(other), axis=0)))
    rotation = pose_errors(other, one).rotation_deg
    shift = np.linalg.norm(centres(moved) - centres(other), axis=1)
    position = float(np.quantile(shift, 0.9)) / extent if extent > 0 else float("nan")
    focal = [
        abs(camera.focal_px / solutions[1].cameras[name].focal_px - 1) for name, camera in solutions[0].cameras.items()
    ]
    return Spread(float(np.quantile(rotation, 0.9)), position, float(max(focal)))


def _solved(problem: Problem, estimate: Estimate, config: SolveConfig, priors: Priors | None) -> Estimate:
    fit = fit_points(problem, estimate, config.min_ray_spread_deg, config.strict_gate_px)
    how = Adjustment(
        min(1.0, max(0.3, 2 * fit.median_px)),
        refine_centre=fully_free(problem, estimate),
        max_iterations=config.strict_iterations,
        function_tolerance=1e-6,
        priors=priors,
    )
    return adjust(problem, estimate, fit.points, fit.kept, how)[0]
