"""Pose accuracy from relative poses: free of any choice of world frame or scale (VGGT's and DA3's AUC)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import Float
from ..alignment import umeyama
from ..poses import centres, compose, invert, rotation_angle_deg

__all__ = ["PoseErrors", "area_under_recall", "centre_rmse", "pose_errors"]


@dataclass(frozen=True)
class PoseErrors:
    """Errors of all pairs i < j, (P,) degrees; 180 where a pose of the pair is missing.

    `translation_deg` is the angle between the true and the estimated direction of motion (0..180);
    `folded_deg` ignores its sign, as the published benchmarks do.
    """

    rotation_deg: Float
    translation_deg: Float

    @property
    def folded_deg(self) -> Float:
        missing = self.rotation_deg == 180.0
        return np.where(missing, 180.0, np.minimum(self.translation_deg, 180.0 - self.translation_deg))

    @property
    def pair_deg(self) -> Float:
        """max(rotation, folded translation direction): what the AUC is computed from."""
        return np.maximum(self.rotation_deg, self.folded_deg)

    def auc(self, threshold_deg: int) -> float:
        """AUC@threshold in percent."""
        return area_under_recall(self.pair_deg, threshold_deg)


def pose_errors(truth: Float, estimate: Float) -> PoseErrors:
    """Errors of `estimate` against `truth`, both (N, 3, 4) cam_from_world; NaN poses count as missing.

    A pair for which no motion is predicted although there is some has a translation error of 90 degrees,
    so that folding the sign cannot reward it.
    """
    first, second = np.triu_indices(len(truth), 1)
    relative_truth = compose(truth[second], invert(truth[first]))
    relative = compose(estimate[second], invert(estimate[first]))
    missing = np.asarray(~np.isfinite(relative).all(axis=(1, 2)))
    relative = np.where(missing[:, None, None], np.eye(3, 4), relative)
    rotation_deg = rotation_angle_deg(relative_truth[:, :, :3], relative[:, :, :3])
    translation_deg = _direction_angle_deg(relative_truth[:, :, 3], relative[:, :, 3])
    unmoved = np.linalg.norm(relative_truth[:, :, 3], axis=1) < 1e-9 * np.linalg.norm(truth[:, :, 3], axis=1).max()
    translation_deg = np.where(unmoved, 0.0, translation_deg)  # no direction is right, and none is wrong
    return PoseErrors(np.where(missing, 180.0, rotation_deg), np.where(missing, 180.0, translation_deg))


def _direction_angle_deg(truth: Float, estimate: Float) -> Float:
    angle = np.degrees(
        np.arctan2(np.linalg.norm(np.cross(truth, estimate), axis=-1), np.einsum("ni,ni->n", truth, estimate))
    )
    truth_norm, estimate_norm = np.linalg.norm(truth, axis=-1), np.linalg.norm(estimate, axis=-1)
    still = estimate_norm < 1e-9 * np.maximum(truth_norm, 1e-12)
    return np.where(still, np.where(truth_norm < 1e-12, 0.0, 90.0), angle)


def area_under_recall(errors_deg: Float, threshold_deg: int) -> float:
    """100 x mean over T = 1..threshold of the share of errors below T degrees (1-degree bins, last one closed)."""
    if not len(errors_deg):
        return float("nan")
    counts, _ = np.histogram(errors_deg, bins=np.arange(threshold_deg + 1))
    return float(100 * np.mean(np.cumsum(counts / len(errors_deg))))


def centre_rmse(truth: Float, estimate: Float) -> float:
    """RMS distance of the camera centres after the best Sim3, in units of the truth; NaN poses are left out."""
    posed = np.isfinite(estimate).all(axis=(1, 2))
    source, target = centres(estimate[posed]), centres(truth[posed])
    aligned = umeyama(source, target).apply(source)
    return float(np.sqrt(((aligned - target) ** 2).sum(1).mean()))
