"""What the matches of few views leave open: how uncertain focal lengths are, and what moves when the prior lets go.

A few views are explained by a whole family of cameras almost equally well, and a prior picks one of them. Residuals
say nothing of that. The covariance of the adjustment does, as far as it is linear; and the adjustment without the
prior shows what the prior had decided.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...arrays import Bool, Float
from ...geometry.metrics.poses import pose_errors
from ..config import SolveConfig
from ..solve.adjustment import Adjustment, adjust, focal_sigmas
from ..solve.lens_model import LADDER, fully_free
from ..solve.problem import Estimate, Problem
from ..solve.rounds import Fit, fit_points, strict_cauchy_px

__all__ = ["LetGo", "focal_uncertainty", "let_bend", "let_go"]

_RAYLEIGH_MEDIAN = 1.1774  # median length of a plane vector with unit sigma an axis
_FINEST_PX = 0.05  # sigma of an observation at least: residuals of two views are smaller than their noise
_PASSES, _ITERATIONS = 3, 100  # weak directions converge last


@dataclass(frozen=True)
class LetGo:
    """How far cameras move: their relative rotations at most, and focal lengths as the largest |log ratio|.

    turned_deg (F,): the median over each frame's pairs; camera: whose focal length that is, empty without any frames.
    explained: share of the squared errors that are gone then.
    """

    rotation_deg: float
    focal: float
    turned_deg: Float
    camera: str
    explained: float = 0.0


def focal_uncertainty(problem: Problem, fit: Fit, config: SolveConfig) -> float | None:
    """One sigma, relative, of the focal length that the fit's kept observations determine least; inf where one not at
    all; None where every focal length is given.

    From the covariance of the adjustment without any prior, times the variance that the residuals show.
    """
    sigmas = focal_sigmas(problem, fit.estimate, fit.points, fit.kept, config.adjustment)
    open_ones = [sigma for name, sigma in sigmas.items() if name not in problem.known_cameras]
    if not open_ones:
        return None
    return max(open_ones) * max(fit.median_px / _RAYLEIGH_MEDIAN, _FINEST_PX)


def let_go(problem: Problem, estimate: Estimate, frames: Bool, config: SolveConfig) -> LetGo:
    """Of `frames` (N,), between `estimate`, which a prior holds, and where their matches alone take them from there."""
    return _moved(problem, estimate, _settled(problem, estimate, config), frames)


def _moved(problem: Problem, held: Estimate, free: Estimate, frames: Bool) -> LetGo:
    turned = pose_errors(held.cam_from_world[frames], free.cam_from_world[frames]).rotation_deg
    count = int(frames.sum())
    between = np.full((count, count), np.nan)
    first, second = np.triu_indices(count, 1)
    between[first, second] = between[second, first] = turned
    used = sorted({problem.camera_of(int(frame)) for frame in np.flatnonzero(frames)})
    focal = {name: abs(float(np.log(free.cameras[name].focal_px / held.cameras[name].focal_px))) for name in used}
    camera = max(focal, key=focal.__getitem__, default="")
    of_frames = np.nanmedian(between, axis=1) if count > 1 else np.zeros(count)
    return LetGo(float(turned.max(initial=0.0)), focal.get(camera, 0.0), of_frames, camera)


def let_bend(problem: Problem, estimate: Estimate, frames: Bool, config: SolveConfig) -> LetGo | None:
    """How far `frames` (N,) turn when every lens may bend as it likes, by k1 and k2; None where each is known, or does
    already.

    A lens model that is too poor bends the scene instead, alike in any half of the tracks, and errors are the smaller
    for a better one (`explained`). Where they are not, it is the matches that leave the cameras open.
    """
    poor = {
        name: camera
        for name, camera in estimate.cameras.items()
        if camera.model in LADDER[:-1] and name not in problem.known_cameras
    }
    if not poor:
        return None
    bent = {
        name: replace(camera, model=LADDER[-1], params=(*camera.params, 0.0, 0.0)[:5]) for name, camera in poor.items()
    }
    free = _settled(problem, replace(estimate, cameras=estimate.cameras | bent), config, centre=False)
    before, after = (
        fit_points(problem, cameras, config.min_ray_spread_deg, config.strict_gate_px) for cameras in (estimate, free)
    )
    both = before.kept & after.kept
    squares, left = (float((fit.errors_px[both] ** 2).sum()) for fit in (before, after))
    moved = _moved(problem, estimate, free, frames)
    return replace(moved, explained=1 - left / squares if squares > 0 else 0.0)


def _settled(problem: Problem, estimate: Estimate, config: SolveConfig, centre: bool = True) -> Estimate:
    """Where matches alone take an estimate. centre: whether principal points may move, where they are determined."""
    free = estimate
    for _ in range(_PASSES):
        fit = fit_points(problem, free, config.min_ray_spread_deg, config.strict_gate_px)
        how = Adjustment(
            strict_cauchy_px(fit, config),
            config.adjustment,
            refine_centre=centre and fully_free(problem, free, config.lens),
            max_iterations=_ITERATIONS,
            function_tolerance=1e-9,
        )
        free, _ = adjust(problem, free, fit.points, fit.kept, how)
    return free
