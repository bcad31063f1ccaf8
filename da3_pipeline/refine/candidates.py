"""Solutions compete: each starts from another guess at the poses, and the one that most matches agree with wins."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..geometry import Camera, centres
from ..progress import Progress
from ..types import CandidateScore
from .averaging import average_rotations, position_globally
from .config import RefineConfig
from .problem import Estimate, Problem
from .rounds import Fit, fit_points, refine_estimate
from .score import agreement
from .tracks import spread_subset
from .two_view import RelativePoses, relative_poses, vote_focal_px

__all__ = ["Candidate", "compete"]

_OBSERVATIONS_TO_POSITION = 150  # a frame; global positioning needs no more, and its time grows with them


@dataclass(frozen=True)
class Candidate:
    """A fit of the thinned problem, and what it scores on all matches."""

    fit: Fit
    score: CandidateScore


def compete(problem: Problem, config: RefineConfig, progress: Progress) -> tuple[Candidate, ...]:
    """All candidates that were tried, the winner first; empty when none has two poses.

    They run one after another, the cheapest first, and the contest ends with the first convincing one. All work on
    the same thinned tracks; the score counts all verified matches.
    """
    thinned = problem.with_observations(
        spread_subset(problem.observations, config.solve.observations_per_frame, problem.size_px)
    )
    candidates: list[Candidate] = []
    began = time.perf_counter()
    for number, (name, start) in enumerate(_starts(thinned, config.seed)):
        progress.step(number, number + 1, f"adjusting, candidate {name}")
        if start.posed.sum() >= 2:
            fit = refine_estimate(thinned, start, config.solve, config.seed)
            score = agreement(problem, fit.estimate)
            registered = int(fit.estimate.posed.sum())
            seconds = time.perf_counter() - began
            candidates.append(Candidate(fit, CandidateScore(name, score, registered, fit.median_px, seconds)))
            if score >= config.solve.convincing_score and fit.median_px < config.solve.good_median_px:
                break
        began = time.perf_counter()
    if candidates:
        candidates.append(_unrefined(problem, thinned, config))
    candidates.sort(key=lambda candidate: (-round(candidate.score.score, 3), candidate.score.median_error_px))
    return tuple(
        replace(candidate, score=replace(candidate.score, chosen=rank == 0))
        for rank, candidate in enumerate(candidates)
    )


def _unrefined(problem: Problem, thinned: Problem, config: RefineConfig) -> Candidate:
    """The prior as it is: refinement may not replace it by something worse."""
    fit = fit_points(thinned, problem.prior, config.solve.min_ray_spread_deg)
    score = agreement(problem, problem.prior)
    return Candidate(fit, CandidateScore("prior, unrefined", score, int(problem.prior.posed.sum()), fit.median_px, 0.0))


def _starts(problem: Problem, seed: int) -> Iterator[tuple[str, Estimate]]:
    """Names and starting points of the candidates, each made when it is asked for."""
    yield "prior", problem.prior
    averaged, relative = _averaged(problem, seed)
    few = problem.with_observations(spread_subset(problem.observations, _OBSERVATIONS_TO_POSITION, problem.size_px))
    yield "two-view geometry", position_globally(few, averaged, relative, seed)
    prior_centres = centres(problem.prior.cam_from_world)
    yield "two-view rotations, prior positions", position_globally(few, averaged, relative, seed, prior_centres)


def _averaged(problem: Problem, seed: int) -> tuple[Estimate, RelativePoses]:
    """Rotations from two-view geometry with centres at the origin, and the relative poses that agree with them."""
    cameras = {camera_id: _guessed_camera(problem, camera_id) for camera_id in problem.prior.cameras}
    relative = relative_poses(problem, cameras, seed)
    guess = Estimate(problem.prior.cam_from_world, cameras)
    rotations, agree = average_rotations(problem, guess, relative, seed)
    poses = np.concatenate([rotations, np.where(np.isfinite(rotations[:, :, :1]), 0.0, np.nan)], 2)
    return Estimate(poses, cameras), relative.subset(agree)


def _guessed_camera(problem: Problem, camera_id: str) -> Camera:
    """Known camera, else EXIF's focal length, else the one that the fundamental matrices vote for, else the prior's."""
    prior = problem.prior.cameras[camera_id]
    if camera_id in problem.known_cameras:
        return prior
    focal_px = problem.exif_focal_px.get(camera_id) or vote_focal_px(problem, camera_id) or prior.focal_px
    return Camera.pinhole(prior.width, prior.height, focal_px)
