"""Pairs of frames that look alike and are not: their matches fit a geometry, but not the one that the prior knows of.

Facades with repeated windows give dozens of consistent false matches. Among many frames the true pairs outvote them;
among few nothing does, except a prior whose rotations are known to be good to a few degrees.
"""

from __future__ import annotations

import numpy as np

from ...arrays import Bool
from ...geometry import rotation_angle_deg
from ...progress import Progress
from ..config import RefineConfig
from ..initialisation.two_view import relative_poses
from ..solve.problem import Problem
from .solution import Solution

__all__ = ["not_contradicted", "without_doppelgangers"]


def without_doppelgangers(solution: Solution, config: RefineConfig, progress: Progress) -> Solution:
    """Of few frames, the problem without the matches of pairs that a proven prior contradicts."""
    problem = solution.problem
    if problem.num_frames > config.priors.few_frames or problem.given_poses or not solution.trust.poses:
        return solution
    uncontradicted = not_contradicted(problem, config)
    return solution.restated(config, correspondences=solution.correspondences.where(uncontradicted))


def not_contradicted(problem: Problem, config: RefineConfig) -> Bool:
    """(M,) matches of pairs that the prior does not contradict; all where it contradicts more than it explains.

    A pair is contradicted when the rotation of its own essential matrix is further from the prior's than both
    frames' errors can explain. A prior that says nothing contradicts most pairs, and is not listened to.
    """
    matches, prior = problem.matches, problem.prior
    everything = np.ones(len(matches), bool)
    if not len(matches) or not prior.posed.all():
        return everything
    relative = relative_poses(problem, prior.cameras, config.initialisation.two_view, config.seed)
    first, second = (prior.cam_from_world[side, :, :3] for side in relative.frames.T)
    error_deg = rotation_angle_deg(second @ np.swapaxes(first, 1, 2), relative.second_from_first[:, :, :3])
    contradicted = {
        tuple(pair)
        for pair, error in zip(relative.frames.tolist(), error_deg, strict=True)
        if error > config.priors.contradicted_sigmas * np.sqrt(2) * config.priors.rotation_sigma_deg
    }
    wrong = np.array([tuple(pair) in contradicted for pair in matches.frames.tolist()], bool)[matches.pair]
    return ~wrong if wrong.sum() < 0.5 * len(wrong) else everything
