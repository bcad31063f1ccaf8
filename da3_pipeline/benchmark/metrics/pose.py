"""How right poses are, pair by pair: free of any choice of world frame or scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import Float
from ...geometry.metrics.poses import area_under_recall, pose_errors
from .published_pose import published_pair_errors

__all__ = ["THRESHOLDS_DEG", "PoseMetrics", "measure_pose"]

THRESHOLDS_DEG = (1, 3, 5, 15, 30)


@dataclass(frozen=True)
class PoseMetrics:
    """Percent by threshold in degrees, over all pairs of images; an image without a pose is 180 degrees off.

    auc: of max(rotation, translation direction) of the true relative pose, the direction's sign forgiven; strict_auc:
    not forgiven; published_auc: by the published code's own formula. rra, rta: shares of pairs whose rotation, and
    whose direction of translation with its sign forgiven, are off by less. NaN where there are no pairs.
    """

    images: int
    registered: int
    auc: dict[int, float]
    strict_auc: dict[int, float]
    published_auc: dict[int, float]
    rra: dict[int, float]
    rta: dict[int, float]

    @property
    def registered_share(self) -> float:
        """Percent of the images that have a pose."""
        return 100 * self.registered / self.images


def measure_pose(truth: Float, estimate: Float) -> PoseMetrics:
    """`estimate` (N, 3, 4) cam_from_world, NaN where an image has no pose, against `truth` (N, 3, 4), N > 0."""
    errors = pose_errors(truth, estimate)
    strict_deg = np.maximum(errors.rotation_deg, errors.translation_deg)
    return PoseMetrics(
        images=len(truth),
        registered=int(np.isfinite(estimate).all(axis=(1, 2)).sum()),
        auc=_areas(errors.pair_deg),
        strict_auc=_areas(strict_deg),
        published_auc=_areas(published_pair_errors(truth, estimate)),
        rra=_shares(errors.rotation_deg),
        rta=_shares(errors.folded_deg),
    )


def _areas(errors_deg: Float) -> dict[int, float]:
    return {limit: area_under_recall(errors_deg, limit) for limit in THRESHOLDS_DEG}


def _shares(errors_deg: Float) -> dict[int, float]:
    if not len(errors_deg):
        return dict.fromkeys(THRESHOLDS_DEG, float("nan"))
    return {limit: float(100 * np.mean(errors_deg < limit)) for limit in THRESHOLDS_DEG}
