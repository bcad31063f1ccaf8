"""Poses that are known beside the matches have the last word, or a say: they hold what matches leave open.

Candidates compete in worlds of their own, for matches are to decide who is right. The winner is then moved into the
world of what is known, and adjusted once more with it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...arrays import Float
from ...geometry import centres, rotation_angle_deg
from ...geometry.robust_alignment import robust_alignment
from ...progress import Progress
from ...types import Frame
from ..config import RefineConfig
from ..solve.priors import Priors, extent
from ..solve.problem import Estimate
from ..solve.rounds import fit_points
from ..solve.score import agreement
from .solution import Solution, settle, thinned

__all__ = ["with_known_poses"]


logger = logging.getLogger(__name__)


def with_known_poses(solution: Solution, config: RefineConfig, progress: Progress) -> Solution:
    """The winner in the world of the poses that the user gave, adjusted with these fixed or as priors.

    Where matches contradict them, the winner is moved there and keeps its shape, with a warning. Nothing happens where
    no pose is known, where all are and stay, and where the prior, which given poses are part of, holds few frames.
    """
    problem, winner = solution.problem, solution.winner
    known = _known(solution.frames)
    both = np.isfinite(known).all((1, 2)) & winner.fit.estimate.posed
    fixed = config.solve.keeps_poses
    if not both.any() or (fixed and problem.given_poses) or (not fixed and winner.held_by is not None):
        return solution
    estimate = winner.fit.estimate
    moved = robust_alignment(estimate.cam_from_world[both], known[both]).apply_to_cameras(estimate.cam_from_world)
    estimate = replace(estimate, cam_from_world=moved)
    few = thinned(problem, config)
    if fixed:
        further = None if winner.held_by is None else winner.held_by.only_for(~both)
        start = replace(estimate, cam_from_world=np.where(both[:, None, None], known, moved))
        fit = settle(few, start, config, further, both)
    else:
        fit = settle(few, estimate, config, _as_priors(estimate, known, config))
    held = agreement(problem, fit.estimate) > agreement(problem, estimate) - config.priors.given_cost
    if not held:
        logger.warning("matches contradict the given poses of %d frames: they are not held to them", both.sum())
        fit = fit_points(few, estimate, config.solve.min_ray_spread_deg, config.solve.strict_gate_px)
    off_deg, off = _deviation(fit.estimate.cam_from_world[both], known[both])
    figures = {"known_poses": float(both.sum()), "known_poses_held": float(both.sum() * held)}
    return solution.won_by(fit, figures | {"known_poses_off_deg": off_deg, "known_poses_off": off})


def _known(frames: Sequence[Frame]) -> Float:
    """(N, 3, 4), NaN where no pose is given."""
    nothing = np.full((3, 4), np.nan)
    return np.array([nothing if (pose := frame.known_cam_from_world) is None else pose for frame in frames], float)


def _as_priors(estimate: Estimate, known: Float, config: RefineConfig) -> Priors:
    nothing = np.full((len(known), 3), np.nan)
    return Priors(
        known,
        np.radians(config.priors.given_rotation_sigma_deg),
        config.priors.given_position_sigma * extent(estimate),
        nothing,
        nothing,
        robust_sigmas=config.priors.robust_sigmas,
    )


def _deviation(found: Float, known: Float) -> tuple[float, float]:
    """Median angle in degrees, and median distance of centres, between (K, 3, 4) poses."""
    angle = rotation_angle_deg(found[:, :, :3], known[:, :, :3])
    return float(np.median(angle)), float(np.median(np.linalg.norm(centres(found) - centres(known), axis=1)))
