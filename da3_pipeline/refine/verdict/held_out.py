"""Errors on what the adjustment never saw: observations left out of their own point, of tracks left out of it all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import Bool, Float, Int
from ..solve.problem import Estimate, Problem
from ..solve.triangulation import reprojection_errors, triangulate

__all__ = ["HeldOut", "held_out_errors"]


@dataclass(frozen=True)
class HeldOut:
    """errors_px (H,): of the observations left out, inf behind the camera; frame (H,): whose they are."""

    errors_px: Float
    frame: Int


def held_out_errors(problem: Problem, estimate: Estimate, adjusted: Bool, seed: int) -> HeldOut:
    """Reprojection errors in working pixels, one of each usable track.

    adjusted (M,): observations whose tracks the adjustment used. Of every other track with three or more posed
    observations one, drawn at random, is left out, and the point triangulated from the rest projected into its frame.
    """
    observations = problem.observations
    fresh = ~adjusted & estimate.posed[observations.frame]
    lengths = np.bincount(observations.track[fresh], minlength=observations.num_tracks)
    fresh &= (lengths >= 3)[observations.track]
    if not fresh.any():
        return HeldOut(np.zeros(0), np.zeros(0, np.int64))
    chosen = observations.subset(fresh)
    starts = np.cumsum(chosen.lengths) - chosen.lengths
    drawn = starts + np.random.default_rng(seed).integers(0, chosen.lengths)
    left_out = np.zeros(len(chosen), bool)
    left_out[drawn] = True
    points = triangulate(problem, estimate, chosen.subset(~left_out))
    asked = chosen.subset(left_out)
    return HeldOut(reprojection_errors(problem, estimate, points, asked), asked.frame)
