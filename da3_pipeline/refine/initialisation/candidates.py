"""Solutions compete: each starts from another guess at the poses; the one with which matches agree best wins."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...geometry import align_cameras, centres, rotation_angle_deg
from ...progress import Progress
from ...types import CandidateScore, Frame, PriorTrust
from ..config import InitialisationConfig, RefineConfig
from ..solve.priors import Priors, priors_of
from ..solve.problem import Estimate, Problem
from ..solve.rounds import Fit, calibrate, fit_points, refine_estimate
from ..solve.score import AGREE_PX, frame_agreement, match_errors_px, precision
from ..solve.tracks import spread_subset
from .averaging import average_rotations, position_globally
from .colmap_mapper import map_with_colmap
from .one_centre import relative_poses_of_centres
from .sensed import start_from_depth
from .two_view import RelativePoses, guessed_cameras, relative_poses

__all__ = ["Candidate", "compete"]


@dataclass(frozen=True)
class Candidate:
    """A fit of the thinned problem, and what it scores on all matches.

    weakest_agreement: the score of the frame whose matches agree least; NaN when no frame has any. held_by: what
    held it beside its matches, in its world.
    """

    fit: Fit
    score: CandidateScore
    weakest_agreement: float
    held_by: Priors | None = None


def compete(
    problem: Problem,
    config: RefineConfig,
    progress: Progress,
    trust: PriorTrust | None = None,
    frames: Sequence[Frame] = (),
) -> tuple[Candidate, ...]:
    """All candidates that were tried, the winner first; empty when none has two poses. frames: whose sensors' depth
    may be a start.

    They run one after another, the cheapest first, and the contest ends with the first convincing one. All work on
    the same thinned tracks; the score counts all verified matches. Given poses do not compete: they are kept. Of few
    frames, whose matches leave much open, those that a proven prior holds win unless matches contradict them.
    """
    each = config.solve.observations_in_contest(problem.num_frames)
    thinned = problem.with_observations(spread_subset(problem.observations, each, problem.size_px))
    if problem.given_poses and config.solve.keeps_poses:
        fit = calibrate(thinned, problem.prior, config.solve)
        return (_entered("given", problem, fit, 0.0, chosen=True),)
    candidates: list[Candidate] = []
    began = time.perf_counter()
    for number, (name, start) in enumerate(_starts(thinned, config, candidates, frames, progress)):
        progress.step(number, number + 1, f"adjusting, candidate {name}")
        if start.posed.sum() >= 2:
            fit = refine_estimate(thinned, start, config.solve, config.seed)
            candidates.append(_entered(name, problem, fit, time.perf_counter() - began))
            if _convincing(candidates, config):
                break
        began = time.perf_counter()
    if candidates:
        # Refinement may not replace the prior by something worse.
        unrefined = fit_points(thinned, problem.prior, config.solve.min_ray_spread_deg)
        candidates.append(_entered("prior, unrefined", problem, unrefined, 0.0))
    candidates.sort(key=lambda candidate: (-round(candidate.score.precision, 3), candidate.score.median_error_px))
    if candidates and trust is not None and trust.poses and problem.num_frames <= config.priors.few_frames:
        candidates = _with_held(thinned, problem, candidates, config)
    return tuple(
        replace(candidate, score=replace(candidate.score, chosen=rank == 0))
        for rank, candidate in enumerate(candidates)
    )


def _with_held(
    thinned: Problem, problem: Problem, candidates: list[Candidate], config: RefineConfig
) -> list[Candidate]:
    """The ranking with two more, held by the prior: one from the prior itself, one from the best of the others."""
    priors = priors_of(problem, config.priors)
    best = _in_world_of_prior(problem, candidates[0].fit.estimate)
    held = []
    for name, start in (("held by the prior", problem.prior), ("best of these, held by the prior", best)):
        began = time.perf_counter()
        if start.posed.sum() >= 2:
            fit = refine_estimate(thinned, start, config.solve, config.seed, priors)
            entered = _entered(name, problem, fit, time.perf_counter() - began)
            held.append(replace(entered, held_by=priors))
    held.sort(key=lambda candidate: (-round(candidate.score.score, 2), candidate.score.median_error_px))
    wins = bool(held) and held[0].score.score >= candidates[0].score.score - config.priors.margin
    return [*held, *candidates] if wins else [*candidates, *held]


def _in_world_of_prior(problem: Problem, estimate: Estimate) -> Estimate:
    """The estimate moved onto the prior's cameras; frames that it has no pose for take the prior's."""
    prior = problem.prior.cam_from_world
    both = estimate.posed & problem.prior.posed
    if not both.any():
        return problem.prior
    moved = align_cameras(estimate.cam_from_world[both], prior[both]).apply_to_cameras(estimate.cam_from_world)
    return replace(estimate, cam_from_world=np.where(estimate.posed[:, None, None], moved, prior))


def _entered(name: str, problem: Problem, fit: Fit, seconds: float, chosen: bool = False) -> Candidate:
    errors_px = match_errors_px(problem, fit.estimate)
    score = float((errors_px < AGREE_PX).mean()) if len(errors_px) else 0.0
    weakest = float(np.nanmin(frame_agreement(problem, errors_px))) if len(errors_px) else float("nan")
    registered = int(fit.estimate.posed.sum())
    entry = CandidateScore(name, score, precision(errors_px), registered, fit.median_px, seconds, chosen)
    return Candidate(fit, entry, weakest)


def _convincing(candidates: list[Candidate], config: RefineConfig) -> bool:
    """Whether the last candidate ends the contest: it explains nearly all matches, or as many as an earlier one.

    Nearly all is not enough where some frame's own matches disagree: few frames in a wrong place cost the total little.
    Repeated structure leaves false matches that no true solution explains; then two starts that end alike decide.
    """
    last, solve = candidates[-1].score, config.solve
    if last.median_error_px > solve.good_median_px:
        return False
    alike = [c for c in candidates[:-1] if abs(c.score.score - last.score) < config.initialisation.alike_score]
    convincing = last.score >= solve.convincing_score and not (
        candidates[-1].weakest_agreement < solve.convincing_frame_agreement
    )
    return convincing or (last.score >= solve.desperate_score and bool(alike))


def _starts(
    problem: Problem, config: RefineConfig, candidates: list[Candidate], frames: Sequence[Frame], progress: Progress
) -> Iterator[tuple[str, Estimate]]:
    """Names and starting points, each made when it is asked for; `candidates` are those tried by then.

    A prior that is not believed is a start all the same: without a second opinion a frame of a tower stayed 20 degrees
    off.
    """
    seed, how = config.seed, config.initialisation
    if how.start == "incremental":
        cameras = guessed_cameras(problem, how.two_view)
        yield "COLMAP incremental mapper", map_with_colmap(problem, cameras, seed, incremental=True)
        return
    yield "prior", problem.prior
    averaged, relative = _averaged(problem, how, seed)
    few = problem.with_observations(spread_subset(problem.observations, how.observations_to_position, problem.size_px))
    yield "two-view geometry", position_globally(few, averaged, relative, seed)
    if _rotations_agree(problem.prior, relative, how.usable_prior_deg):
        prior_centres = centres(problem.prior.cam_from_world)
        yield "two-view rotations, prior positions", position_globally(few, averaged, relative, seed, prior_centres)
    if config.measured_depth.use and problem.rigs is None and any(frame.depth is not None for frame in frames):
        yield "sensor depth", start_from_depth(problem, averaged.cameras, frames, config, progress)
    if max((candidate.score.score for candidate in candidates), default=0.0) < config.solve.desperate_score:
        yield "COLMAP global mapper", map_with_colmap(problem, averaged.cameras, seed)


def _averaged(problem: Problem, config: InitialisationConfig, seed: int) -> tuple[Estimate, RelativePoses]:
    """Rotations from two-view geometry with centres at the origin, and the relative poses that agree with them."""
    cameras = guessed_cameras(problem, config.two_view)
    rigs = None if problem.rigs is None else problem.rigs.of_one_centre()
    if rigs is None:
        relative = relative_poses(problem, cameras, config.two_view, seed)
    else:
        relative = relative_poses_of_centres(problem, cameras, rigs, config.two_view, seed)
    guess = Estimate(problem.prior.cam_from_world, cameras)
    rotations, agree = average_rotations(problem, guess, relative, config.consistent_deg, seed)
    poses = np.concatenate([rotations, np.where(np.isfinite(rotations[:, :, :1]), 0.0, np.nan)], 2)
    return Estimate(poses, cameras), relative.subset(agree)


def _rotations_agree(prior: Estimate, relative: RelativePoses, within_deg: float) -> bool:
    """Whether the prior's rotations are so near those of two-view geometry, for half of the pairs."""
    if not prior.posed.all() or not len(relative.frames):
        return False
    first, second = (prior.cam_from_world[side, :, :3] for side in relative.frames.T)
    error = rotation_angle_deg(second @ np.swapaxes(first, 1, 2), relative.second_from_first[:, :, :3])
    distinct = np.ptp(centres(prior.cam_from_world), axis=0).max() > 0
    return bool(distinct and np.median(error) < within_deg)
