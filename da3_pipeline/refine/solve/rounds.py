"""From a rough estimate to adjusted cameras: triangulate everything again, keep what fits, adjust, repeat.

The basin of attraction comes from two things: no gate is tied to where the cameras started, only to the current
median error; and every track gets a new chance in every round.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...arrays import Bool, Float
from ..config import SolveConfig
from .adjustment import Adjustment, adjust
from .lens_model import LADDER, fully_free, plausible, widen_models
from .parts import joined_in_size, share_held, torn_in_size
from .priors import Priors
from .problem import Estimate, Problem
from .registration import register, strays
from .rigs import Rigs
from .triangulation import ray_spread_deg, reprojection_errors, triangulate, world_rays

__all__ = [
    "Fit",
    "adjust_held",
    "calibrate",
    "fit_points",
    "judge",
    "loose_cauchy_px",
    "polish",
    "refine_estimate",
    "resettle",
    "strict_cauchy_px",
]


@dataclass(frozen=True)
class Fit:
    """An estimate with the points that it implies.

    points (num_tracks, 3). errors_px (M,), inf where a point does not exist or lies behind. kept (M,) observations
    good enough to adjust on. median_px: over all observations of posed frames, wrong ones included.
    """

    estimate: Estimate
    points: Float
    errors_px: Float
    kept: Bool
    median_px: float


def fit_points(problem: Problem, estimate: Estimate, least_spread_deg: float, gate_px: float | None = None) -> Fit:
    """Triangulates all tracks and keeps observations under the gate, of points with enough parallax.

    The gate is max(4 px, 6 medians) unless given."""
    observations = problem.observations
    points = triangulate(problem, estimate, observations)
    return judge(problem, estimate, points, least_spread_deg, gate_px)


def judge(
    problem: Problem, estimate: Estimate, points: Float, least_spread_deg: float, gate_px: float | None = None
) -> Fit:
    """As `fit_points`, for points already known."""
    observations = problem.observations
    errors = reprojection_errors(problem, estimate, points, observations)
    posed = estimate.posed[observations.frame]
    median = float(np.median(errors[posed])) if posed.any() else float("inf")
    finite = errors[np.isfinite(errors)]
    # Where most points lie behind the cameras the median of the others has to serve.
    typical = median if np.isfinite(median) else float(np.median(finite)) if len(finite) else 0.0
    gate = max(4.0, 6.0 * typical) if gate_px is None else gate_px
    gate = min(gate, float(problem.size_px.max()))
    kept = np.isfinite(errors) & (errors < gate)
    origins, _ = world_rays(problem, estimate, observations)
    spread = ray_spread_deg(observations, origins, points, kept)
    kept &= (spread > least_spread_deg)[observations.track]
    return Fit(estimate, points, errors, kept, median)


def loose_cauchy_px(fit: Fit, config: SolveConfig) -> float:
    """Residual from which observations lose weight while a solution still moves: half the median one."""
    return max(config.coarse_cauchy_px, min(fit.median_px, 100.0) / 2)


def strict_cauchy_px(fit: Fit, config: SolveConfig) -> float:
    """As that, in last passes, in which twice the median one is noise."""
    return min(config.coarse_cauchy_px, max(config.finest_cauchy_px, 2 * fit.median_px))


def refine_estimate(
    problem: Problem, start: Estimate, config: SolveConfig, seed: int, priors: Priors | None = None
) -> Fit:
    """Up to `config.max_rounds` rounds from `start`, stray cameras registered anew, parts of unlike size joined, and
    strict last passes.

    Gives up early, with the fit as it is then, on a start from which the error does not come down. `priors` are in
    the world of `start`, and hold it there. Views of one centre move together from the start on.
    """
    rigs = None if problem.rigs is None else problem.rigs.of_one_centre()
    fit = fit_points(problem, _on_rigs(start, rigs), config.min_ray_spread_deg)
    registrations, previous = 0, float("inf")
    for number in range(config.max_rounds):
        if number == config.hopeless_after_rounds and fit.median_px > config.hopeless_median_px:
            return fit
        fit = _round(problem, fit, config, number, priors, rigs)
        settled = fit.median_px > config.settled * previous
        previous = fit.median_px
        if number < config.focal_free_from_round or not settled:
            continue
        how = config.registration
        off_px = max(how.strays_from_px, how.strays_medians * fit.median_px)
        stray = strays(problem, fit.estimate, fit.errors_px, off_px, how)
        if len(stray) and registrations < config.max_registrations:
            registrations += 1
            within_px = max(how.found_within_px, how.found_medians * fit.median_px)
            anew = register(problem, fit.estimate, stray, within_px, how, seed + number)
            fit = fit_points(problem, _on_rigs(anew, rigs), config.min_ray_spread_deg)
            previous = float("inf")
        elif fit.median_px < config.good_median_px:
            joined = fit if priors else _joined(problem, fit, config, number, seed, rigs)
            if joined is fit:
                break
            fit, previous = joined, float("inf")
    return polish(problem, fit, config, priors, rigs) if fit.median_px < config.good_median_px else fit


def calibrate(problem: Problem, estimate: Estimate, config: SolveConfig) -> Fit:
    """Cameras and points under poses that are known and stay."""
    fit = fit_points(problem, estimate, config.min_ray_spread_deg)
    for _ in range(config.strict_rounds + 1):
        how = Adjustment(
            loose_cauchy_px(fit, config),
            config.adjustment,
            fixed=np.ones(problem.num_frames, bool),
            max_iterations=config.max_iterations,
        )
        cameras, _ = adjust(problem, fit.estimate, fit.points, fit.kept, how)
        fit = fit_points(problem, cameras, config.min_ray_spread_deg)
    return fit


def adjust_held(problem: Problem, estimate: Estimate, priors: Priors, fixed: Bool, config: SolveConfig) -> Estimate:
    """The estimate with the frames that are not `fixed` (N,) adjusted to their observations and `priors` together.

    Cameras stay: they are known from the fixed frames. Points need no parallax here: the prior gives the distance.
    """
    for _ in range(config.held_rounds):
        fit = fit_points(problem, estimate, 0.0)
        how = Adjustment(
            loose_cauchy_px(fit, config),
            config.adjustment,
            refine_focal=False,
            fixed=fixed,
            max_iterations=config.max_iterations,
            priors=priors,
        )
        estimate, _ = adjust(problem, estimate, fit.points, fit.kept, how)
    return estimate


def resettle(
    problem: Problem,
    estimate: Estimate,
    config: SolveConfig,
    priors: Priors | None = None,
    rigs: Rigs | None = None,
    fixed: Bool | None = None,
) -> Fit:
    """A good estimate adjusted to what further holds it: `priors` in its world, and poses that are `fixed` (N,)."""
    for _ in range(config.resettling_rounds):
        fit = fit_points(problem, estimate, config.min_ray_spread_deg)
        how = Adjustment(
            loose_cauchy_px(fit, config),
            config.adjustment,
            fixed=fixed,
            max_iterations=config.resettling_iterations,
            function_tolerance=1e-6,
            priors=priors,
            rigs=rigs,
        )
        estimate, _ = adjust(problem, fit.estimate, fit.points, fit.kept, how)
    fit = fit_points(problem, estimate, config.min_ray_spread_deg, config.strict_gate_px)
    return polish(problem, fit, config, priors, rigs, fixed)


def polish(
    problem: Problem,
    fit: Fit,
    config: SolveConfig,
    priors: Priors | None = None,
    rigs: Rigs | None = None,
    fixed: Bool | None = None,
) -> Fit:
    """Strict passes at a fixed gate, with the richest lens model that the observations can carry and keep sane.

    Cameras on `rigs` move together, from where the fit has them; `fixed` (N,) poses stay."""
    for richest in LADDER[LADDER.index(config.max_lens) :: -1]:
        polished = fit
        for _ in range(config.strict_rounds):
            polished = _strict_round(problem, polished, config, richest, priors, rigs, fixed)
        if all(plausible(camera, config.lens) for camera in polished.estimate.cameras.values()):
            return polished
    return fit


def _strict_round(
    problem: Problem,
    fit: Fit,
    config: SolveConfig,
    richest: str,
    priors: Priors | None,
    rigs: Rigs | None,
    fixed: Bool | None,
) -> Fit:
    estimate = widen_models(problem, fit.estimate, fit.kept, richest, config.lens)
    fit = fit_points(problem, estimate, config.min_ray_spread_deg, config.strict_gate_px)
    how = Adjustment(
        strict_cauchy_px(fit, config),
        config.adjustment,
        refine_centre=fully_free(problem, estimate, config.lens),
        fixed=fixed,
        max_iterations=config.strict_iterations,
        function_tolerance=1e-6,
        priors=priors,
        rigs=rigs,
    )
    estimate, points = adjust(problem, estimate, fit.points, fit.kept, how)
    return judge(problem, estimate, points, config.min_ray_spread_deg, config.strict_gate_px)


def _on_rigs(estimate: Estimate, rigs: Rigs | None) -> Estimate:
    """With the frames of an instant brought together, those without a pose, too."""
    return estimate if rigs is None else replace(estimate, cam_from_world=rigs.completed(estimate.cam_from_world))


def _joined(problem: Problem, fit: Fit, config: SolveConfig, number: int, seed: int, rigs: Rigs | None) -> Fit:
    """The fit, or another with parts joined in size, two by two, while that holds the points that both see."""
    for _ in range(config.parts.most_seams):
        seam = torn_in_size(problem, fit.estimate, fit.kept, config.parts)
        if seam is None:
            break
        joined = joined_in_size(problem, fit.estimate, seam, config, config.registration.strays_from_px, seed)
        if joined is None:
            break
        start = fit_points(problem, _on_rigs(joined, rigs), config.min_ray_spread_deg)
        settled = _round(problem, start, config, number, None, rigs)
        if share_held(problem.observations, settled.kept, seam) < config.parts.least_held:
            break
        fit = settled
    return fit


def _round(
    problem: Problem, fit: Fit, config: SolveConfig, number: int, priors: Priors | None, rigs: Rigs | None
) -> Fit:
    estimate = fit.estimate
    if number > config.focal_free_from_round and fit.median_px < config.lens_free_below_px:
        estimate = widen_models(problem, estimate, fit.kept, "SIMPLE_RADIAL", config.lens)
    free_focal = number >= config.focal_free_from_round
    most_px = float(problem.size_px.max()) / 10
    cauchy_px = max(config.coarse_cauchy_px, fit.median_px / 2) if np.isfinite(fit.median_px) else most_px
    how = Adjustment(
        cauchy_px,
        config.adjustment,
        refine_focal=free_focal,
        max_iterations=config.max_iterations,
        priors=priors,
        rigs=rigs,
    )
    estimate, _ = adjust(problem, estimate, fit.points, fit.kept, how)
    return fit_points(problem, estimate, config.min_ray_spread_deg)
