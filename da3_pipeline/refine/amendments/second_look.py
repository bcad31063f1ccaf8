"""Tracks built again from the matches that agree with the winner, and the winner polished on them.

One false match ruins a track that it joins to another; now that false ones are known, many tracks come back. Frames
on rigs move together from here on, once the rigs are known.
"""

from __future__ import annotations

from dataclasses import replace

from ...progress import Progress
from ..config import RefineConfig
from ..solve.problem import rigs_in_world, with_trusted_tracks
from ..solve.rounds import fit_points, polish
from ..solve.score import AGREE_PX, agreement, match_errors_px
from .solution import Solution, thinned

__all__ = ["second_look"]


def second_look(solution: Solution, config: RefineConfig, progress: Progress) -> Solution:
    """The solution on tracks of trusted matches; poses that are given and fixed are not polished."""
    solve, estimate = config.solve, solution.winner.fit.estimate
    trusted = match_errors_px(solution.problem, estimate) < AGREE_PX
    problem = with_trusted_tracks(solution.problem, solution.correspondences, trusted)
    solution = replace(solution, problem=problem)
    if problem.given_poses and solve.poses_as == "fixed":
        return solution
    few = thinned(problem, config)
    rigs = rigs_in_world(problem, estimate)
    if rigs is not None:
        estimate = replace(estimate, cam_from_world=rigs.completed(estimate.cam_from_world))
    fit = fit_points(few, estimate, solve.min_ray_spread_deg, solve.strict_gate_px)
    polished = polish(few, fit, solve.model_copy(update={"strict_rounds": 1}), solution.winner.held_by, rigs)
    before = agreement(problem, solution.winner.fit.estimate)
    better = agreement(problem, polished.estimate) > before - solve.second_look_cost
    return solution.won_by(polished) if better else solution
