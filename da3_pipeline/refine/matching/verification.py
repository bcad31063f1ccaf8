"""Two-view geometry that decides which matches are true; it never sees the prior."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pycolmap
from numpy.typing import NDArray

from ...arrays import Float, Float32
from ..config import VerifyConfig
from .features import Features
from .watermarks import are_watermark, overlaid

__all__ = ["PairMatches", "chance_log10", "sampson_error_px", "verify_matches"]


_REFERENCE_SIDE_PX = 1024.0  # thresholds are those of an image of this long side


@dataclass(frozen=True)
class PairMatches:
    """The verified matches of frames i < j.

    matches (M, 2) int32 indices into the features of i and of j; each keypoint occurs at most once.
    fundamental (3, 3): x_j^T F x_i = 0 in original pixels, corner origin.
    homography_share: share of the matches that one homography explains too (planar scene or pure rotation when near 1).
    raw_count: matches before verification.
    """

    i: int
    j: int
    matches: NDArray[np.int32]
    fundamental: Float
    homography_share: float
    raw_count: int

    def __len__(self) -> int:
        return len(self.matches)


def sampson_error_px(fundamental: Float, xy_i: Float, xy_j: Float) -> Float:
    """(M,) first-order distance of (M, 2) and (M, 2) pixels from x_j^T F x_i = 0 (Hartley and Zisserman 11.9)."""
    ones = np.ones((len(xy_i), 1))
    homogeneous_i, homogeneous_j = np.hstack([xy_i, ones]), np.hstack([xy_j, ones])
    line_j, line_i = homogeneous_i @ fundamental.T, homogeneous_j @ fundamental
    residual = (homogeneous_j * line_j).sum(1)
    gradient = (line_j[:, :2] ** 2).sum(1) + (line_i[:, :2] ** 2).sum(1)
    return np.abs(residual) / np.sqrt(np.maximum(gradient, 1e-30))


def chance_log10(inliers: int, tried: int, probability: float, sample: int = 7) -> float:
    """log10 of the expected number of models with so many inliers among `tried` random matches.

    The a-contrario test of Moisan and Stival (2004): `probability` is that of one random match to fit a given model.
    """
    if inliers <= sample:
        return math.inf
    ways = _log10_binomial(tried, inliers) + _log10_binomial(inliers, sample)
    return math.log10(max(tried - sample, 1)) + ways + (inliers - sample) * math.log10(min(probability, 1.0))


def verify_matches(
    pair: tuple[int, int],
    features: Sequence[Features],
    sizes: Sequence[tuple[int, int]],
    matches: NDArray[np.int32],
    config: VerifyConfig,
    seed: int,
) -> PairMatches | None:
    """The matches of frames `pair` = (i, j) that one fundamental matrix explains; None where they may be chance.

    Those of what is drawn over both images are left out beforehand. matches (M, 2) index features[i] and features[j];
    sizes are (width, height) of the originals. The same input and seed give the same result.
    """
    i, j = pair
    distinct = _distinct(features[i].xy, features[j].xy, matches)
    reference_from_px = [_REFERENCE_SIDE_PX / max(sizes[k]) for k in pair]
    size_px = [np.array(sizes[k]) * scale for k, scale in zip(pair, reference_from_px, strict=True)]
    xy_i, xy_j = (features[k].xy[distinct[:, n]].astype(np.float64) * reference_from_px[n] for n, k in enumerate(pair))
    seen = ~overlaid(xy_i, xy_j, size_px, config)
    matches, xy_i, xy_j = distinct[seen], xy_i[seen], xy_j[seen]
    if len(matches) < config.min_inliers:
        return None
    fundamental = _estimate(xy_i, xy_j, config.max_error_px, seed)
    if fundamental is None:
        return None
    inlier = sampson_error_px(fundamental, xy_i, xy_j) <= config.max_error_px
    count = int(inlier.sum())
    probability = _chance_of_one(sizes[j], config.max_error_px)
    if count < config.min_inliers or chance_log10(count, len(matches), probability) > config.max_chance_log10:
        return None
    if are_watermark(xy_i[inlier], xy_j[inlier], size_px, config):
        return None
    share = _homography_share(xy_i[inlier], xy_j[inlier], config.max_error_px, seed)
    scale_i, scale_j = (np.diag([s, s, 1.0]) for s in reference_from_px)
    original = scale_j @ fundamental @ scale_i
    return PairMatches(i, j, matches[inlier], original / np.linalg.norm(original), share, len(distinct))


def _distinct(xy_i: Float32, xy_j: Float32, matches: NDArray[np.int32]) -> NDArray[np.int32]:
    """Matches without repetition of one pair of places, as a keypoint of two orientations gives."""
    places = np.hstack([xy_i[matches[:, 0]], xy_j[matches[:, 1]]])
    return matches[np.sort(np.unique(places, axis=0, return_index=True)[1])] if len(matches) else matches


def _estimate(xy_i: Float, xy_j: Float, max_error_px: float, seed: int) -> Float | None:
    """The fundamental matrix by MAGSAC++ (Barath et al. 2020), None where there is none."""
    try:
        fundamental, _ = cv2.findFundamentalMat(xy_i, xy_j, _usac(max_error_px, seed))
    except cv2.error:  # every sample was degenerate: a plane, or a turn on the spot
        return _estimate_degenerate(xy_i, xy_j, max_error_px, seed)
    return fundamental if fundamental is not None and fundamental.shape == (3, 3) else None


def _estimate_degenerate(xy_i: Float, xy_j: Float, max_error_px: float, seed: int) -> Float | None:
    """One of the many matrices that explain points on a plane, by COLMAP's estimator, slower and more patient."""
    options = pycolmap.RANSACOptions()
    options.max_error, options.random_seed = max_error_px, seed
    options.min_num_trials, options.max_num_trials = 100, 2000
    found = pycolmap.estimate_fundamental_matrix(xy_i, xy_j, options)
    return None if found is None else np.asarray(found["F"])


def _homography_share(xy_i: Float, xy_j: Float, max_error_px: float, seed: int) -> float:
    _, mask = cv2.findHomography(xy_i, xy_j, _usac(2 * max_error_px, seed))
    return 0.0 if mask is None else float(np.mean(mask))


def _usac(threshold_px: float, seed: int) -> cv2.UsacParams:
    params = cv2.UsacParams()
    params.threshold = threshold_px
    params.confidence = 0.999
    params.maxIterations = 2000
    params.randomGeneratorState = seed
    params.score = cv2.SCORE_METHOD_MAGSAC
    params.sampler = cv2.SAMPLING_UNIFORM
    params.loMethod = cv2.LOCAL_OPTIM_SIGMA
    params.loIterations, params.loSampleSize = 10, 50
    params.final_polisher = cv2.MAGSAC
    params.final_polisher_iterations = 3
    return params


def _chance_of_one(size: tuple[int, int], max_error_px: float) -> float:
    """Probability that a random point lies within `max_error_px` of a line: the band over the image's area."""
    width, height = (extent * _REFERENCE_SIDE_PX / max(size) for extent in size)
    return 2 * max_error_px * math.hypot(width, height) / (width * height)


def _log10_binomial(n: int, k: int) -> float:
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(10)
