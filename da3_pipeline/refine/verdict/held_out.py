"""Errors on what the adjustment never saw: observations left out of their own point, of tracks left out of it all."""

from __future__ import annotations

import numpy as np

from ...arrays import Bool, Float
from ..solve.problem import Estimate, Problem
from ..solve.triangulation import reprojection_errors, triangulate

__all__ = ["held_out_errors"]


def held_out_errors(problem: Problem, estimate: Estimate, adjusted: Bool, seed: int) -> Float:
    """(H,) reprojection errors in working pixels, one of each usable track; inf behind the camera.

    adjusted (M,): observations whose tracks the adjustment used. Of every other track with three or more posed
    observations one, drawn at random, is left out, and the point triangulated from the rest projected into its frame.
    """
    observations = problem.observations
    fresh = ~adjusted & estimate.posed[observations.frame]
    lengths = np.bincount(observations.track[fresh], minlength=observations.num_tracks)
    fresh &= (lengths >= 3)[observations.track]
    if not fresh.any():
        return np.zeros(0)
    chosen = observations.subset(fresh)
    starts = np.cumsum(chosen.lengths) - chosen.lengths
    drawn = starts + np.random.default_rng(seed).integers(0, chosen.lengths)
    left_out = np.zeros(len(chosen), bool)
    left_out[drawn] = True
    points = triangulate(problem, estimate, chosen.subset(~left_out))
    return reprojection_errors(problem, estimate, points, chosen.subset(left_out))
