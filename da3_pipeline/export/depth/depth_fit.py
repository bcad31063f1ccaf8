"""A smooth correction of a depth map to the depths of the tracks that are seen in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import ndimage

from ...arrays import Bool, Float
from ..config import DepthFitConfig

__all__ = ["DepthFit", "fit_depth", "fit_tracks_alone"]


_TERMS = (1, 2, 4)  # scale; scale and power of depth; and a tilt across the image


@dataclass(frozen=True)
class DepthFit:
    """log(corrected) = log(depth) + basis @ coefficients + local, basis = (1, log depth, x, y), image in [-1, 1].

    local (rows, columns): a smooth field over the image, None where the tracks do not support one.
    disagreement: median of |corrected / track - 1| on tracks that nothing was fitted to. mean_difference: the mean of
    the lower nine tenths of the same, to which the fewer tracks off the largest surface count, too.
    """

    coefficients: tuple[float, ...]
    log_reference: float
    local: Float | None
    disagreement: float
    mean_difference: float

    def apply(self, depth: Float, position: Float) -> Float:
        """Corrected (n,) depth at (n, 2) positions."""
        basis = _basis(np.log(depth) - self.log_reference, position, len(self.coefficients))
        correction = basis @ np.asarray(self.coefficients)
        if self.local is not None:
            correction = correction + _look_up(self.local, position)
        return depth * np.exp(correction)


def fit_depth(track_depth: Float, map_depth: Float, position: Float, config: DepthFitConfig) -> DepthFit:
    """Fit the correction of (n,) positive `map_depth` to `track_depth`, n >= 2.

    How rich the correction is, is chosen by two-fold cross-validation of the median relative difference; all fits
    are robust (Cauchy weights), so that wrong tracks and depth edges do not pull.
    """
    log_reference = float(np.median(np.log(map_depth)))
    log_depth = np.log(map_depth) - log_reference
    target = np.log(track_depth) - np.log(map_depth)
    terms, unseen = 1, np.full(len(target), np.inf)
    for candidate in _TERMS:
        if len(target) < config.least_per_term * candidate and candidate > 1:
            break
        basis = _basis(log_depth, position, candidate)
        held_out = _held_out_differences(target, partial(_global, basis, target, config))
        if candidate == 1 or np.median(held_out) < config.worthwhile * np.median(unseen):
            terms, unseen = candidate, held_out
    basis = _basis(log_depth, position, terms)
    coefficients = _robust_fit(basis, target, config)
    local = None
    if len(target) >= config.least_local:
        held_out = _held_out_differences(target, partial(_both, basis, position, target, config))
        if np.median(held_out) < config.worthwhile * np.median(unseen):
            local, unseen = _field(position, target - basis @ coefficients, config), held_out
    lower = np.sort(unseen)[: max(1, int(config.lower_share * len(unseen)))]
    return DepthFit(tuple(coefficients.tolist()), log_reference, local, float(np.median(unseen)), float(lower.mean()))


def fit_tracks_alone(track_depth: Float, position: Float, config: DepthFitConfig) -> DepthFit:
    """The fit of a depth map that knows nothing: a surface through the tracks, and how well it meets unseen ones."""
    flat = np.full(len(track_depth), float(np.median(track_depth)))
    return fit_depth(track_depth, flat, position, config)


def _basis(log_depth: Float, position: Float, terms: int) -> Float:
    return np.column_stack([np.ones(len(log_depth)), log_depth, position])[:, :terms]


def _held_out_differences(target: Float, predict: Callable[[Bool, Bool], Float]) -> Float:
    """(n,) relative differences on each half of the tracks of what `predict(train, test)` learnt from the other."""
    odd = np.arange(len(target)) % 2 == 1
    return np.concatenate([np.abs(np.expm1(predict(~test, test) - target[test])) for test in (odd, ~odd)])


def _global(basis: Float, target: Float, config: DepthFitConfig, train: Bool, test: Bool) -> Float:
    return basis[test] @ _robust_fit(basis[train], target[train], config)


def _both(basis: Float, position: Float, target: Float, config: DepthFitConfig, train: Bool, test: Bool) -> Float:
    coefficients = _robust_fit(basis[train], target[train], config)
    field = _field(position[train], target[train] - basis[train] @ coefficients, config)
    return basis[test] @ coefficients + _look_up(field, position[test])


def _robust_fit(basis: Float, target: Float, config: DepthFitConfig) -> Float:
    """Iteratively reweighted least squares with Cauchy weights, scale from the median absolute residual."""
    coefficients: Float = np.zeros(basis.shape[1])
    coefficients[0] = np.median(target)
    for _ in range(config.rounds):
        residual = target - basis @ coefficients
        weighted = basis.T * _cauchy(residual)
        # The ridge decides where all tracks have one depth, or stand in one line.
        normal = weighted @ basis + config.ridge * np.eye(len(weighted))
        coefficients = np.asarray(np.linalg.solve(normal, weighted @ target), dtype=np.float64)
    return coefficients


def _field(position: Float, residual: Float, config: DepthFitConfig) -> Float:
    """Residuals smoothed onto the grid by a Gaussian kernel, twice: the second pass weighs outliers down."""
    grid = (config.grid_rows, config.grid_columns)
    rows, columns = ((np.arange(size) + 0.5) / size * 2 - 1 for size in grid)
    across = np.exp(-0.5 * ((columns[:, None] - position[:, 0]) / config.reach) ** 2)
    down = np.exp(-0.5 * ((rows[:, None] - position[:, 1]) / config.reach) ** 2)
    weight = _cauchy(residual)
    for _ in range(2):
        field = np.asarray((down * weight * residual) @ across.T / ((down * weight) @ across.T + config.fade))
        weight = _cauchy(residual - _look_up(field, position))
    return field


def _look_up(field: Float, position: Float) -> Float:
    cells = ((position[:, ::-1] + 1) / 2 * field.shape - 0.5).T
    return np.asarray(ndimage.map_coordinates(field, cells, order=1, mode="nearest"))


def _cauchy(residual: Float) -> Float:
    scale = max(2.4 * float(np.median(np.abs(residual))), 1e-6)
    return 1 / (1 + (residual / scale) ** 2)
