"""A smooth correction of a depth map to the depths of the tracks that are seen in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["DepthFit", "fit_depth"]

Float = NDArray[np.float64]

_TERMS = (1, 2, 4)  # scale; scale and power of depth; and a tilt across the image
_LEAST_PER_TERM = 10
_WORTHWHILE = 0.8  # a richer model must cut the held-out difference to this share
_ROUNDS = 8


@dataclass(frozen=True)
class DepthFit:
    """log(corrected) = log(depth) + basis @ coefficients, basis = (1, log depth, x, y) of normalised pixels.

    disagreement: median of |corrected / track - 1| on tracks that the coefficients were not fitted to.
    """

    coefficients: tuple[float, ...]
    log_reference: float
    disagreement: float

    def apply(self, depth: Float, position: Float) -> Float:
        """Corrected (n,) depth at (n, 2) positions, the image spanning [-1, 1] on both axes."""
        log_depth = np.log(depth) - self.log_reference
        basis = _basis(log_depth, position, len(self.coefficients))
        return depth * np.exp(basis @ np.asarray(self.coefficients))


def fit_depth(track_depth: Float, map_depth: Float, position: Float) -> DepthFit:
    """Fit the correction of (n,) positive `map_depth` to `track_depth`, n >= 2.

    The number of terms is chosen by two-fold cross-validation of the median relative difference, robustly
    (Cauchy weights), so that wrong tracks and depth edges do not pull.
    """
    log_reference = float(np.median(np.log(map_depth)))
    log_depth = np.log(map_depth) - log_reference
    target = np.log(track_depth) - np.log(map_depth)
    terms, disagreement = 1, np.inf
    for candidate in _TERMS:
        if len(target) < _LEAST_PER_TERM * candidate and candidate > 1:
            break
        held_out = _held_out_difference(_basis(log_depth, position, candidate), target)
        if candidate == 1 or held_out < _WORTHWHILE * disagreement:
            terms, disagreement = candidate, held_out
    coefficients = _robust_fit(_basis(log_depth, position, terms), target)
    return DepthFit(tuple(coefficients.tolist()), log_reference, disagreement)


def _basis(log_depth: Float, position: Float, terms: int) -> Float:
    return np.column_stack([np.ones(len(log_depth)), log_depth, position])[:, :terms]


def _held_out_difference(basis: Float, target: Float) -> float:
    odd = np.arange(len(target)) % 2 == 1
    differences = [
        np.abs(np.expm1(basis[test] @ _robust_fit(basis[~test], target[~test]) - target[test])) for test in (odd, ~odd)
    ]
    return float(np.median(np.concatenate(differences)))


def _robust_fit(basis: Float, target: Float) -> Float:
    """Iteratively reweighted least squares with Cauchy weights, scale from the median absolute residual."""
    coefficients: Float = np.zeros(basis.shape[1])
    coefficients[0] = np.median(target)
    for _ in range(_ROUNDS):
        residual = target - basis @ coefficients
        scale = max(2.4 * float(np.median(np.abs(residual))), 1e-6)
        root_weight = 1 / np.sqrt(1 + (residual / scale) ** 2)
        coefficients = np.asarray(np.linalg.lstsq(basis * root_weight[:, None], target * root_weight, rcond=None)[0])
    return coefficients
