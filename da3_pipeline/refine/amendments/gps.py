"""GPS and gimbals in the last adjustment: over a long way they know what matches from frame to frame slowly forget.

A receiver is off by metres wherever it is; a reconstruction is exact from one frame to the next and drifts by any
amount over thousands. Positions with the weight of their noise straighten the one without harming the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...arrays import Bool, Float
from ...geometry import Sim3, centres
from ...geometry.gps_fit import GpsFit, fit_gps
from ...geometry.gravity import rotation_between, up_from_cameras, up_from_gimbals
from ...progress import Progress
from ...types import Frame
from ..config import GpsConfig, RefineConfig
from ..solve.adjustment import Adjustment, adjust
from ..solve.priors import Priors
from ..solve.problem import Estimate, Problem, rigs_in_world
from ..solve.rounds import Fit, fit_points, loose_cauchy_px
from .solution import Solution, settle, thinned

__all__ = ["with_gps"]


_RAYLEIGH_MEDIAN = 1.1774  # median length of a plane vector with unit sigma an axis
_UNKNOWN_M = 1e4  # sigma of a height that was not measured


def with_gps(solution: Solution, config: RefineConfig, progress: Progress) -> Solution:
    """The winner in metres east, north and up, bent to the GPS of its photographs, where that is certain to help.

    GPS takes part where its positions fit the scene as one, and where in a trial photographs that have no part in it
    come nearer to their positions, too, at no more cost to the matches than drift has: a scene that does not drift, or
    positions that are false, fail that, and the winner stays as it was. Where gimbals told which way is up, and
    agree with GPS, that takes part, too. Nothing happens in a world that the user or the prior has given.
    """
    frames, winner = solution.frames, solution.winner
    given = any(frame.known_cam_from_world is not None for frame in frames)
    located = np.array([frame.gps is not None for frame in frames]) & winner.fit.estimate.posed
    if not config.priors.gps or given or winner.held_by is not None or located.sum() < config.gps.fewest_places:
        return solution
    solution = solution.saying({"gps_in_adjustment": 0.0})
    ups = np.array([(np.nan,) * 3 if (up := frame.up_in_camera) is None else up for frame in frames], float)
    fit = _fit(frames, ups, winner.fit.estimate, located)
    if fit is None or not _consistent(fit, config.gps):
        return solution
    estimate, ups = _moved(winner.fit.estimate, fit, located, ups, config)
    few = thinned(solution.problem, config)
    tried, heard = _trial(few, estimate, fit, located, ups, config)
    before, after = (
        np.array([_off_m(some, fit, located, ~heard), _median(_off_deg(some, ups)[~heard])])
        for some in (estimate, tried)
    )
    gain = config.gps.trial_gain
    if not (after < gain * before).any() or (after > before / gain).any():
        return solution
    left = _off_m(tried, fit, located, located) / _RAYLEIGH_MEDIAN
    priors = replace(_priors(fit, located, max(config.priors.gps_sigma_m, left), config), up_in_camera=ups)
    bent, free = settle(few, tried, config, priors), settle(few, estimate, config)
    if _cost(free, bent, config.gps.cauchy_sigmas) > config.gps.cost * fit.used.sum():
        return solution
    figures = {
        "gps_in_adjustment": float(fit.used.sum()),
        "gps_held_back_before_m": float(before[0]),
        "gps_held_back_m": float(after[0]),
        "gps_sigma_m": float(priors.positions_sigma[located][fit.used, 0].min()),
        "gimbals_in_adjustment": float(np.isfinite(ups[:, 0]).sum()),
    }
    return solution.won_by(bent, figures)


def _fit(frames: Sequence[Frame], ups: Float, estimate: Estimate, located: Bool) -> GpsFit | None:
    positions = [gps for index in np.flatnonzero(located).tolist() if (gps := frames[index].gps) is not None]
    posed = estimate.cam_from_world[estimate.posed]
    up = up_from_gimbals(posed, ups[estimate.posed]) or up_from_cameras(posed)
    return fit_gps(estimate.cam_from_world[located], positions, up)


def _moved(estimate: Estimate, fit: GpsFit, located: Bool, ups: Float, config: RefineConfig) -> tuple[Estimate, Float]:
    """The estimate in metres east, north and up, and the ups of gimbals (N, 3) as far as they agree with GPS.

    Where they do the estimate is level by them: positions tilt a scene that is bent.
    """
    poses = fit.alignment.enu_from_scene.apply_to_cameras(estimate.cam_from_world)
    moved, up = replace(estimate, cam_from_world=poses), up_from_gimbals(poses, ups)
    if up is not None and up.direction[2] > np.cos(np.radians(config.gps.most_tilt_deg)):
        turn, middle = rotation_between(up.direction, np.array([0.0, 0.0, 1.0])), np.nanmean(centres(poses), axis=0)
        level = Sim3(1.0, turn, middle - turn @ middle).apply_to_cameras(poses)
        levelled = replace(estimate, cam_from_world=level)
        before, after = (_off_m(some, fit, located, located) for some in (moved, levelled))
        if after < max(config.gps.levelling_cost * before, 2 * config.priors.gps_sigma_m):
            return levelled, ups
    return moved, np.full_like(ups, np.nan)


def _consistent(fit: GpsFit, config: GpsConfig) -> bool:
    sure = fit.alignment.relative_sigma <= config.most_relative_sigma
    return sure and fit.places >= config.fewest_places and float(fit.used.mean()) >= config.used_share


def _priors(fit: GpsFit, located: Bool, sigma_m: float, config: RefineConfig) -> Priors:
    """Positions of the photographs whose GPS is not called false, with the noise that they state or else `sigma_m`.

    One that is repeated counts once, however many photographs have it.
    """
    count = len(located)
    positions, sigma = np.full((count, 3), np.nan), np.full((count, 3), np.nan)
    noise = np.where(np.isfinite(fit.stated_m), fit.stated_m, sigma_m)[:, None]
    noise = noise * np.array([1.0, 1.0, config.priors.gps_vertical_factor])
    known = np.isfinite(fit.metres)
    mine = np.flatnonzero(located)[fit.used]
    positions[mine] = np.nan_to_num(fit.metres)[fit.used]
    sigma[mine] = (np.where(known, noise, _UNKNOWN_M) * np.sqrt(fit.repeats)[:, None])[fit.used]
    nothing = np.full((count, 3, 4), np.nan)
    up_rad, robust = float(np.radians(config.priors.up_sigma_deg)), config.priors.robust_sigmas
    return Priors(nothing, 1.0, 1.0, positions, sigma, up_rad=up_rad, robust_sigmas=robust)


def _trial(
    problem: Problem, estimate: Estimate, fit: GpsFit, located: Bool, ups: Float, config: RefineConfig
) -> tuple[Estimate, Bool]:
    """The estimate bent to every other run of photographs, and which (N,) took part."""
    number = np.cumsum(located) - 1
    heard = located & (number // config.gps.trial_run % 2 == 0)
    priors = _priors(fit, located, config.priors.gps_sigma_m, config)
    priors = replace(
        priors,
        positions=np.where(heard[:, None], priors.positions, np.nan),
        up_in_camera=np.where(heard[:, None], ups, np.nan),
    )
    points = fit_points(problem, estimate, config.solve.min_ray_spread_deg)
    how = Adjustment(
        loose_cauchy_px(points, config.solve),
        config.solve.adjustment,
        max_iterations=config.solve.strict_iterations,
        function_tolerance=1e-6,
        priors=priors,
        rigs=rigs_in_world(problem, estimate),
    )
    return adjust(problem, points.estimate, points.points, points.kept, how)[0], heard


def _off_m(estimate: Estimate, fit: GpsFit, located: Bool, chosen: Bool) -> float:
    """Median horizontal distance of cameras from their used positions, over `chosen` (N,) of the located ones."""
    places = centres(estimate.cam_from_world[located])
    off = np.linalg.norm((places - fit.metres)[fit.used & chosen[located], :2], axis=1)
    return _median(off)


def _off_deg(estimate: Estimate, ups: Float) -> Float:
    """(N,) angle between +z and what gimbals have for up, NaN where they say nothing."""
    return np.degrees(np.arccos(np.clip((ups * estimate.cam_from_world[:, :, 2]).sum(axis=1), -1, 1)))


def _median(values: Float) -> float:
    """Of those that are numbers; NaN where none is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _cost(free: Fit, bent: Fit, cauchy_sigmas: float) -> float:
    """Robust squared sigmas that the observations kept by both lose, the noise taken from the free fit."""
    both = free.kept & bent.kept
    sigma = max(float(np.median(free.errors_px[both])) / _RAYLEIGH_MEDIAN, 1e-6) * cauchy_sigmas
    before, after = (np.log1p((fit.errors_px[both] / sigma) ** 2).sum() for fit in (free, bent))
    return float(cauchy_sigmas**2 * (after - before))
