"""How good poses are, in the figures that every table shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import Float
from ...geometry.metrics.poses import pose_errors

__all__ = ["PoseScore", "score_poses"]


@dataclass(frozen=True)
class PoseScore:
    """images posed, of all; AUC in percent over all pairs, 180 degrees off where an image has no pose."""

    images: int
    posed: int
    auc_1: float
    auc_3: float
    auc_5: float
    auc_30: float


def score_poses(truth: Float, estimate: Float) -> PoseScore:
    """The score of `estimate` (N, 3, 4) cam_from_world, NaN where an image has no pose, against `truth` (N, 3, 4)."""
    errors = pose_errors(truth, estimate)
    auc_1, auc_3, auc_5, auc_30 = (errors.auc(limit_deg) for limit_deg in (1, 3, 5, 30))
    posed = int(np.isfinite(estimate).all(axis=(1, 2)).sum())
    return PoseScore(len(truth), posed, auc_1, auc_3, auc_5, auc_30)
