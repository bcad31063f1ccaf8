"""Two sets of surface points against each other: accuracy, completeness, F1 (Knapitsch et al. 2017) and chamfer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ...arrays import Float

__all__ = ["CloudMetrics", "measure_clouds", "near_box", "voxel_means"]


@dataclass(frozen=True)
class CloudMetrics:
    """accuracy: mean distance from estimated points to the truth; completeness: from true points to the estimate; in
    units of the points. precision, recall, f1: shares (0..1) that are nearer than the threshold, and their harmonic
    mean. Nothing against something is infinitely far, and has an f1 of 0."""

    accuracy: float
    completeness: float
    precision: float
    recall: float
    f1: float

    @property
    def chamfer(self) -> float:
        """The mean of accuracy and completeness, "overall" in the published tables."""
        return (self.accuracy + self.completeness) / 2


def measure_clouds(estimate: Float, truth: Float, threshold: float, voxel: float | None = None) -> CloudMetrics:
    """(N, 3) points against (M, 3), both thinned to a point a `voxel` first, where one is given."""
    if voxel:
        estimate, truth = voxel_means(estimate, voxel), voxel_means(truth, voxel)
    if not len(estimate) or not len(truth):
        return CloudMetrics(np.inf, np.inf, 0.0, 0.0, 0.0)
    to_truth, _ = cKDTree(truth).query(estimate)
    to_estimate, _ = cKDTree(estimate).query(truth)
    precision, recall = float(np.mean(to_truth < threshold)), float(np.mean(to_estimate < threshold))
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return CloudMetrics(float(to_truth.mean()), float(to_estimate.mean()), precision, recall, f1)


def voxel_means(points: Float, voxel: float) -> Float:
    """The mean of the (N, 3) points of each cell of a grid, as Open3D thins clouds: the lowest point is in the middle
    of its cell."""
    if not len(points):
        return points
    cell = np.floor((points - (points.min(0) - voxel / 2)) / voxel).astype(np.int64)
    extent = cell.max(0) + 1
    key = (cell[:, 0] * extent[1] + cell[:, 1]) * extent[2] + cell[:, 2]
    _, row, count = np.unique(key, return_inverse=True, return_counts=True)
    sums = [np.bincount(row, weights=points[:, axis]) for axis in range(3)]
    return np.asarray(np.stack(sums, axis=1) / count[:, None])


def near_box(points: Float, truth: Float, margin: float) -> Float:
    """Those of (N, 3) points that lie in the box around (M, 3) true ones, grown by `margin` on every side."""
    if not len(truth):
        return points
    return points[((points >= truth.min(0) - margin) & (points <= truth.max(0) + margin)).all(1)]
