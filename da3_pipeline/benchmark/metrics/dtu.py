"""DTU's own measure of a cloud of points (Jensen et al. 2014, Aanaes et al. 2016), as its evaluation code has it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ...arrays import Bool, Float, Int

__all__ = ["DtuMetrics", "DtuObserved", "measure_dtu", "thinned"]

_APART_MM = 0.2  # no two points of an estimate are nearer than this
_MARGIN_MM = 60.0  # beside the observed box, of points that count; twice that on its high side, as DTU has it
_FARTHEST_MM = 20.0  # distances beyond are left out of the means
_CHUNK = 50_000


@dataclass(frozen=True)
class DtuObserved:
    """What the scanner saw of a scan: mask (X, Y, Z) of cells of `step_mm` over the box (2, 3) of low and high corner;
    plane (4,): the table, with the scanned side positive."""

    mask: Bool
    box: Float
    step_mm: float
    plane: Float


@dataclass(frozen=True)
class DtuMetrics:
    """Means in mm of the distances below 20: from estimated points to the scan, and back. NaN where there are none."""

    accuracy: float
    completeness: float

    @property
    def chamfer(self) -> float:
        return (self.accuracy + self.completeness) / 2


def measure_dtu(estimate: Float, scan: Float, observed: DtuObserved, seed: int = 42) -> DtuMetrics:
    """(N, 3) estimated points against the (M, 3) points of the structured-light scan, in mm."""
    box = observed.box
    thin = thinned(estimate, _APART_MM, seed)
    inside = thin[((thin >= box[0] - _MARGIN_MM) & (thin < box[1] + 2 * _MARGIN_MM)).all(1)]
    cell = np.around((inside - box[0]) / observed.step_mm).astype(np.int64)
    within = ((cell >= 0) & (cell < observed.mask.shape)).all(1)
    seen = inside[within][observed.mask[tuple(cell[within].T)]]
    above = scan @ observed.plane[:3] + observed.plane[3] > 0
    return DtuMetrics(_mean_distance(seen, scan), _mean_distance(scan[above], inside))


def thinned(points: Float, apart: float, seed: int) -> Float:
    """(K, 3) of the (N, 3) points, in random order: each that has no earlier one within `apart`."""
    order = np.random.default_rng(seed).permutation(len(points))
    points = points[order]
    tree, kept = cKDTree(points), np.ones(len(points), bool)
    for start in range(0, len(points), _CHUNK):
        rows: Int = start + np.flatnonzero(kept[start : start + _CHUNK])
        for row, near in zip(rows, tree.query_ball_point(points[rows], apart), strict=True):
            if kept[row]:
                kept[near] = False
                kept[row] = True
    return points[kept]


def _mean_distance(points: Float, others: Float) -> float:
    if not len(points) or not len(others):
        return float("nan")
    distance, _ = cKDTree(others).query(points, distance_upper_bound=_FARTHEST_MM)
    near = distance[distance < _FARTHEST_MM]
    return float(near.mean()) if len(near) else float("nan")
