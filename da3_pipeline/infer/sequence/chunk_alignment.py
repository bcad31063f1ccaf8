"""The similarity between two predictions of the same frames, with what it is worth.

Every shared frame says all there is to know by itself: its two orientations differ by the rotation, its two centres by
the translation, and the ratio of its two depth maps is the scale, whether or not the camera moved. The three kinds of
residual are taken in the camera (radians; centres in units of the frame's depth; logarithm of the scale), so that
they compare between scenes, and are fitted together by reweighted least squares: each kind by its own spread, each
frame by its confidence and, with Cauchy's weight, by how well it agrees with the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from ...arrays import Bool, Float
from ...geometry import Sim3, centres, sim3_exp, sim3_matrix, sim3_of
from ...geometry.robust_alignment import robust_alignment
from ..config import AlignmentConfig, Spread
from ..views import RawViews

__all__ = ["ChunkAlignment", "align_chunks", "align_to_cameras", "information_at"]


_STEP = 1e-6
_STILL = 1e-8  # a last step of a ten-thousandth of a frame's sigma


@dataclass(frozen=True)
class ChunkAlignment:
    """`target_from_source`; the (7, 7) `information` on it, in the tangent (u, w, lambda) at the target's side, that
    one frame of this spread gives; the `spread` of the frames about it; the share of `agreeing` frames.

    The frames of an overlap err together, so more of them do not make the alignment as much surer.
    """

    target_from_source: Sim3
    information: Float
    spread: Spread
    agreeing: float


@dataclass(frozen=True)
class _Shared:
    """F shared frames: rotations and centres in both worlds, the target's depth, log depth ratios (NaN where none),
    and the weight of each frame."""

    source_rotation: Float
    source_centre: Float
    target_rotation: Float
    target_centre: Float
    depth: Float
    log_ratio: Float
    weight: Float


def align_chunks(source: RawViews, target: RawViews, config: AlignmentConfig) -> ChunkAlignment | None:
    """The similarity that takes `source` onto `target`, two predictions of the same frames; None without a usable one.

    Defined for whatever is left: a single frame, a camera that stands still or only turns, frames of nothing but sky.
    """
    keep = np.flatnonzero(source.usable() & target.usable())
    if not len(keep):
        return None
    source, target = source.subset(keep), target.subset(keep)
    shared = _compare(source, target, config)
    known = np.isfinite(shared.log_ratio)
    scale = float(np.exp(np.median(shared.log_ratio[known]))) if known.any() else None
    first = robust_alignment(source.cam_from_world, target.cam_from_world, scale)
    return _fit(sim3_matrix(first), shared, config)


def align_to_cameras(source: RawViews, cam_from_world: Float, config: AlignmentConfig) -> ChunkAlignment | None:
    """The similarity that takes `source` onto given poses (N, 3, 4) of the same frames; None without a usable view.

    The scale comes from the distances between the cameras; it stays 1 where they are not apart.
    """
    keep = np.flatnonzero(source.usable())
    if not len(keep):
        return None
    source, cam_from_world = source.subset(keep), cam_from_world[keep]
    first = robust_alignment(source.cam_from_world, cam_from_world)
    with np.errstate(invalid="ignore"):
        depth = np.array([np.median(depth[np.isfinite(depth) & (depth > 0)]) for depth in source.depth], float)
    unknown = np.full(len(source), np.nan)
    shared = _shared(source.cam_from_world, cam_from_world, first.scale * depth, unknown, np.ones(len(source)))
    return _fit(sim3_matrix(first), shared, config)


def information_at(cam_from_world: Float, depth: float, spread: Spread) -> Float:
    """(7, 7) information, in the tangent at their side, of a camera (3, 4) that is known up to `spread` in a world."""
    one = cam_from_world[None]
    shared = _shared(one, one, np.array([depth]), np.zeros(1), np.ones(1))
    jacobian = _jacobian(np.eye(4), shared)[0]
    return np.asarray(np.einsum("ra,r,rb->ab", jacobian, _per_row(_sigma(spread)) ** -2.0, jacobian))


def _compare(source: RawViews, target: RawViews, config: AlignmentConfig) -> _Shared:
    ratios, depths, confidences = (np.full(len(source), np.nan) for _ in range(3))
    for index in range(len(source)):
        ratios[index], depths[index], confidences[index] = _depth_agreement(
            source, target, index, config.sampled_pixels
        )
    centre = centres(target.cam_from_world)
    reach = float(np.median(np.linalg.norm(centre - centre.mean(0), axis=1)))
    depths = np.where(np.isfinite(depths), depths, np.nanmedian(depths) if np.isfinite(depths).any() else reach or 1.0)
    typical = np.nanmedian(confidences) if np.isfinite(confidences).any() else np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = np.nan_to_num(confidences / typical, nan=1.0).clip(config.least_confidence, config.most_confidence)
    return _shared(source.cam_from_world, target.cam_from_world, depths, ratios, weight)


def _shared(source: Float, target: Float, depth: Float, log_ratio: Float, weight: Float) -> _Shared:
    return _Shared(source[:, :, :3], centres(source), target[:, :, :3], centres(target), depth, log_ratio, weight)


def _depth_agreement(source: RawViews, target: RawViews, index: int, pixels: int) -> tuple[float, float, float]:
    """Weighted median log ratio of a frame's depths (NaN where there are none), its depth, its confidence."""
    stride = max(1, source.depth[index].size // pixels)
    a, b, conf_a, conf_b = (
        array[index].ravel()[::stride].astype(np.float64)
        for array in (source.depth, target.depth, source.conf, target.conf)
    )
    with np.errstate(invalid="ignore"):
        valid = np.isfinite(a) & np.isfinite(b) & (a > 0) & (b > 0) & np.isfinite(conf_a) & np.isfinite(conf_b)
    for views in (source, target):
        if views.sky is not None:
            valid &= ~views.sky[index].ravel()[::stride]
    if not valid.any():
        return np.nan, np.nan, np.nan
    weight = np.sqrt(np.maximum(conf_a[valid], 1e-6) * np.maximum(conf_b[valid], 1e-6))
    sure = weight >= np.median(weight)
    ratio = _weighted_median(np.log(b[valid][sure]) - np.log(a[valid][sure]), weight[sure])
    return ratio, float(np.median(b[valid])), float(np.median(weight))


def _weighted_median(values: Float, weights: Float) -> float:
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulative, cumulative[-1] / 2)])


def _fit(matrix: Float, shared: _Shared, config: AlignmentConfig) -> ChunkAlignment:
    """Reweighted Gauss-Newton from a robust first guess."""
    measured = np.isfinite(shared.log_ratio)
    prior_log_scale = np.log(sim3_of(matrix).scale)
    sigma = _sigmas(_residuals(matrix, shared), shared.weight, measured, config)
    for _ in range(config.max_rounds):
        residuals = _residuals(matrix, shared)
        agreement = _agreement(residuals, sigma, config.half_weight)
        weight = shared.weight * agreement
        sigma = _sigmas(residuals, weight, measured, config)
        jacobian = _jacobian(matrix, shared)
        scaled = weight[:, None] / _per_row(sigma) ** 2
        hessian = np.einsum("fra,fr,frb->ab", jacobian, scaled, jacobian)
        gradient = np.einsum("fra,fr,fr->a", jacobian, scaled, residuals)
        hessian[6, 6] += 1 / config.scale_sigma**2
        gradient[6] += (np.log(sim3_of(matrix).scale) - prior_log_scale) / config.scale_sigma**2
        step = np.linalg.solve(hessian, gradient)
        matrix = sim3_exp(-step) @ matrix
        if step @ hessian @ step < _STILL * weight.sum():
            break
    scaled = weight[:, None] / weight.sum() / _per_row(sigma) ** 2
    information = np.einsum("fra,fr,frb->ab", jacobian, scaled, jacobian)
    spread = Spread(rotation_deg=float(np.degrees(sigma[0])), centre=float(sigma[1]), log_scale=float(sigma[2]))
    return ChunkAlignment(sim3_of(matrix), information, spread, float(np.mean(agreement > 0.5)))


def _residuals(matrix: Float, shared: _Shared) -> Float:
    """(F, 7): rotation (3), centre (3), log scale, of the source moved by `matrix`; 0 where there is no depth."""
    scale = np.cbrt(np.linalg.det(matrix[:3, :3]))
    rotation = matrix[:3, :3] / scale
    turn = shared.target_rotation @ rotation @ np.swapaxes(shared.source_rotation, 1, 2)
    moved = shared.source_centre @ matrix[:3, :3].T + matrix[:3, 3]
    apart = np.einsum("fij,fj->fi", shared.target_rotation, moved - shared.target_centre) / shared.depth[:, None]
    growth = np.nan_to_num(np.log(scale) - shared.log_ratio, nan=0.0)
    return np.concatenate([Rotation.from_matrix(turn).as_rotvec(), apart, growth[:, None]], axis=1)


def _jacobian(matrix: Float, shared: _Shared) -> Float:
    """(F, 7, 7) central differences of the residuals with respect to a tangent at the target's side."""
    steps = _STEP * np.eye(7)
    columns = [
        (_residuals(sim3_exp(step) @ matrix, shared) - _residuals(sim3_exp(-step) @ matrix, shared)) / (2 * _STEP)
        for step in steps
    ]
    return np.stack(columns, axis=-1)


def _sigmas(residuals: Float, weight: Float, measured: Bool, config: AlignmentConfig) -> Float:
    """(3,) spread of each kind of residual, drawn to what is expected where few frames tell."""
    squares = np.stack([(residuals[:, :3] ** 2).mean(1), (residuals[:, 3:6] ** 2).mean(1), residuals[:, 6] ** 2])
    counted = np.stack([weight, weight, weight * measured])
    variance = (squares * counted).sum(1) + config.expected_frames * _sigma(config.expected) ** 2
    return np.maximum(np.sqrt(variance / (counted.sum(1) + config.expected_frames)), _sigma(config.floor))


def _sigma(spread: Spread) -> Float:
    """(3,) in radians, units of depth, logarithm."""
    return np.array([np.radians(spread.rotation_deg), spread.centre, spread.log_scale])


def _per_row(sigma: Float) -> Float:
    return np.repeat(sigma, (3, 3, 1))


def _agreement(residuals: Float, sigma: Float, half_weight: float) -> Float:
    """(F,) Cauchy's weight of each frame."""
    squared = ((residuals / _per_row(sigma)) ** 2).sum(1)
    return np.asarray(1 / (1 + squared / half_weight))
