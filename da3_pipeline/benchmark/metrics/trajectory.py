"""Absolute and relative errors of a trajectory (Sturm et al. 2012), with the conventions of the package evo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...arrays import Float
from ...geometry import Sim3, centres, compose, invert, rotation_angle_deg
from .alignment import align_trajectories

__all__ = ["TrajectoryErrors", "measure_trajectory"]

Alignment = Literal["none", "se3", "sim3"]


@dataclass(frozen=True)
class TrajectoryErrors:
    """ate (N,): distances of camera centres, in units of the truth, after alignment. rpe (M,) and rpe_deg (M,): what
    is left of each motion over `delta` frames, in the same units and in degrees."""

    ate: Float
    rpe: Float
    rpe_deg: Float

    @property
    def ate_rmse(self) -> float:
        return _rms(self.ate)

    @property
    def rpe_rmse(self) -> float:
        return _rms(self.rpe)

    @property
    def rpe_rmse_deg(self) -> float:
        return _rms(self.rpe_deg)


def measure_trajectory(
    truth: Float, estimate: Float, alignment: Alignment = "sim3", delta: int = 1, overlapping: bool = False
) -> TrajectoryErrors:
    """Errors of `estimate` against `truth`, both (N, 3, 4) cam_from_world in the order of time.

    NaN poses are left out of both, and the rest counts as consecutive, as evo does with what it cannot associate.
    Motions begin every `delta` frames, or at every frame where they may be `overlapping`.
    """
    posed = np.isfinite(estimate).all(axis=(1, 2))
    truth, estimate = truth[posed], estimate[posed]
    if not len(truth):
        return TrajectoryErrors(np.zeros(0), np.zeros(0), np.zeros(0))
    moved = _alignment(truth, estimate, alignment).apply_to_cameras(estimate)
    ate = np.linalg.norm(centres(moved) - centres(truth), axis=1)
    begin = np.arange(0, len(truth) - delta, 1 if overlapping else delta)
    wanted, found = (compose(poses[begin], invert(poses[begin + delta])) for poses in (truth, moved))
    left = compose(invert(wanted), found)
    return TrajectoryErrors(
        ate, np.linalg.norm(left[:, :, 3], axis=1), rotation_angle_deg(found[:, :, :3], wanted[:, :, :3])
    )


def _alignment(truth: Float, estimate: Float, alignment: Alignment) -> Sim3:
    if alignment == "none":
        return Sim3.identity()
    best = align_trajectories(estimate, truth)
    if alignment == "sim3":
        return best
    shift = centres(truth).mean(0) - best.rotation @ centres(estimate).mean(0)
    return Sim3(1.0, best.rotation, shift)


def _rms(errors: Float) -> float:
    return float(np.sqrt(np.mean(errors**2))) if len(errors) else float("nan")
