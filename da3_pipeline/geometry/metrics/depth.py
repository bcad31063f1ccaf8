"""Depth maps against true ones, after the alignment that the method's unknown scale (and shift) asks for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...arrays import Bool, Float, Float32

__all__ = ["DepthAlignment", "DepthMetrics", "align_depth", "known", "mean_depth_metrics", "measure_depth"]

DepthAlignment = Literal["none", "median", "ratio", "scale", "scale-shift"]

_LEAST = 1e-6  # of an aligned depth beside the median: what is behind the camera then is as wrong as can be
_RATIO = 1.25


@dataclass(frozen=True)
class DepthMetrics:
    """Means over pixels: abs_rel of |d - d*| / d*, sq_rel of (d - d*)^2 / d*; rmse in units of the truth;
    delta (3,) percent of pixels with max(d / d*, d* / d) below 1.25, its square and its cube. NaN without pixels."""

    abs_rel: float
    sq_rel: float
    rmse: float
    delta: tuple[float, float, float]
    pixels: int


def measure_depth(estimate: Float32, truth: Float32, alignment: DepthAlignment = "scale") -> DepthMetrics:
    """`estimate` against `truth`, both (..., H, W); pixels where either is not finite and positive do not count.

    One alignment for all: give one map, or all maps of a scene that have one scale.
    """
    valid = known(estimate) & known(truth)
    found, true = estimate[valid].astype(np.float64), truth[valid].astype(np.float64)
    if not len(true):
        return DepthMetrics(np.nan, np.nan, np.nan, (np.nan, np.nan, np.nan), 0)
    scale, shift = align_depth(found, true, alignment)
    found = np.maximum(scale * found + shift, _LEAST * np.median(true))
    off = found - true
    ratio = np.maximum(found / true, true / found)
    first, second, third = (float(100 * np.mean(ratio < _RATIO**power)) for power in (1, 2, 3))
    return DepthMetrics(
        abs_rel=float(np.mean(np.abs(off) / true)),
        sq_rel=float(np.mean(off**2 / true)),
        rmse=float(np.sqrt(np.mean(off**2))),
        delta=(first, second, third),
        pixels=len(true),
    )


def align_depth(estimate: Float, truth: Float, alignment: DepthAlignment) -> tuple[float, float]:
    """(scale, shift) that bring (P,) estimated depths to the true ones.

    median: the ratio of the medians; ratio: the median of the ratios. scale, scale-shift: least squares; a scale that
    comes out negative or of maps without any relief falls back to the ratio of the medians.
    """
    if alignment == "none":
        return 1.0, 0.0
    if alignment == "ratio":
        return float(np.median(truth / estimate)), 0.0
    medians = float(np.median(truth) / np.median(estimate))
    if alignment == "median":
        return medians, 0.0
    if alignment == "scale":
        return float(estimate @ truth / (estimate @ estimate)), 0.0
    mean, true_mean = estimate.mean(), truth.mean()
    spread = float((estimate - mean) @ (estimate - mean))
    scale = float((estimate - mean) @ (truth - true_mean)) / spread if spread > 1e-12 * len(estimate) * mean**2 else 0.0
    return (scale, float(true_mean - scale * mean)) if scale > 0 else (medians, 0.0)


def mean_depth_metrics(maps: Iterable[DepthMetrics]) -> DepthMetrics:
    """The means over maps, each counting alike; those without pixels are left out."""
    used = [one for one in maps if one.pixels]
    if not used:
        return DepthMetrics(np.nan, np.nan, np.nan, (np.nan, np.nan, np.nan), 0)
    first, second, third = (float(np.mean([one.delta[k] for one in used])) for k in range(3))
    means = [float(np.mean([getattr(one, key) for one in used])) for key in ("abs_rel", "sq_rel", "rmse")]
    return DepthMetrics(means[0], means[1], means[2], (first, second, third), sum(one.pixels for one in used))


def known(depth: Float32) -> Bool:
    """Where a depth map says something."""
    return np.isfinite(depth) & (np.nan_to_num(depth) > 0)
