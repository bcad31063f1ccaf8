"""Tracks built again from the matches that agree with the winner, and the winner polished on them, while that helps.

One false match ruins a track that it joins to another; now that false ones are known, many tracks come back. They hold
cameras that hardly any track held before, other matches agree with those, and so on: where every photograph has a
camera of its own that takes several looks. Frames on rigs move together from here on, once the rigs are known.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...progress import Progress
from ..config import RefineConfig
from ..solve.problem import rigs_in_world, with_trusted_tracks
from ..solve.registration import register, strays
from ..solve.rounds import fit_points, polish
from ..solve.score import AGREE_PX, agreement, frame_agreement, match_errors_px
from .solution import Solution, thinned

__all__ = ["second_look"]


def second_look(solution: Solution, config: RefineConfig, progress: Progress) -> Solution:
    """The solution on tracks of trusted matches; poses that are given and fixed are not polished."""
    solve = config.solve
    if solution.problem.given_poses and solve.keeps_poses:
        return _on_trusted_tracks(solution)
    score, in_vain = agreement(solution.problem, solution.winner.fit.estimate), 0
    for number in range(solve.most_looks):
        progress.step(number, solve.most_looks, "looking again")
        looked = _looked(solution, config)
        gained = agreement(looked.problem, looked.winner.fit.estimate) - score
        if gained <= -solve.second_look_cost:
            return solution if number else _on_trusted_tracks(solution)
        solution, score = looked, score + gained
        in_vain = 0 if gained >= solve.worthwhile_look else in_vain + 1
        if in_vain > (solve.looks_in_vain if _some_disagree(solution, config) else 0):
            break
    return solution


def _some_disagree(solution: Solution, config: RefineConfig) -> bool:
    """Whether the worst tenth of the frames agree with few of their own matches: cameras that are not found yet."""
    errors_px = match_errors_px(solution.problem, solution.winner.fit.estimate)
    agree = frame_agreement(solution.problem, errors_px)
    return bool(np.nanquantile(agree, 0.1) < config.solve.found_frame_agreement) if np.isfinite(agree).any() else False


def _on_trusted_tracks(solution: Solution) -> Solution:
    """With its tracks built from the matches that agree with the winner, which stays, and from those of frames that
    it has no pose for."""
    problem, estimate = solution.problem, solution.winner.fit.estimate
    both_posed = np.asarray(estimate.posed[problem.matches.frames].all(axis=1))
    unknown = ~both_posed[problem.matches.pair]
    trusted = (match_errors_px(problem, estimate) < AGREE_PX) | unknown
    return replace(solution, problem=with_trusted_tracks(solution.problem, solution.correspondences, trusted))


def _looked(solution: Solution, config: RefineConfig) -> Solution:
    """With the winner polished on such tracks, and with frames that strayed or had no pose registered to them."""
    solve, estimate = config.solve, solution.winner.fit.estimate
    solution = _on_trusted_tracks(solution)
    few = thinned(solution.problem, config)
    rigs = rigs_in_world(solution.problem, estimate)
    if rigs is not None:
        estimate = replace(estimate, cam_from_world=rigs.completed(estimate.cam_from_world))
    fit = fit_points(few, estimate, solve.min_ray_spread_deg, solve.strict_gate_px)
    how = solve.registration
    lost = strays(few, fit.estimate, fit.errors_px, how.strays_from_px, how)
    if len(lost) and not few.given_poses:
        anew = register(few, fit.estimate, lost, how.found_within_px, how, config.seed)
        fit = fit_points(few, anew, solve.min_ray_spread_deg, solve.strict_gate_px)
    return solution.won_by(
        polish(few, fit, solve.model_copy(update={"strict_rounds": 1}), solution.winner.held_by, rigs)
    )
