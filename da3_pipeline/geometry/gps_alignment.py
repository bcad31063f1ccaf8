"""The similarity from a scene to GPS, with its uncertainty. Arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from ..arrays import Bool, Float
from .gps_correlation import drift_inflation
from .gps_start import starts
from .gravity import Up
from .poses import Sim3

__all__ = ["GpsAlignment", "align_to_gps"]


_HORIZONTAL_M, _VERTICAL_M = 4.0, 10.0  # usual errors of consumer receivers, one sigma an axis
_WEIGHT_OF_USUAL = 2.0  # degrees of freedom that they are worth beside the residuals
_OUTLIER_SIGMAS = 3.5
_LEAST_SIGMA_M = 1.0  # residuals are not called false for being a few times smaller than any receiver's error
_RAYLEIGH_MEDIAN = 1.1774  # median length of a plane vector with unit sigma an axis
_ROUNDS, _CONVERGED = 30, 1e-8
_VAGUE_RAD = 1.0  # around the starting orientation, for what nothing else determines
_AGREE_CHI2 = 13.8  # 99.9 % of chi-square with two degrees of freedom
_CLEARLY_BETTER = 10.0  # in squared sigmas: what the fit that the cameras' up had no part in must gain
_LEAST_RELATIVE_SIGMA = 0.002
_SAME_PLACE = 1e-12  # of the coordinates


@dataclass(frozen=True)
class GpsAlignment:
    """enu_from_scene: metres, x east, y north, z up. Sigmas are one sigma; tilt is that of the less certain axis.

    used (N,): positions that are not called false. with_cameras: the cameras' up took part.
    rms_horizontal_m, rms_vertical_m: of the residuals of the used positions; NaN without altitudes. noise_m (3,): one
    sigma of a position east, north and up, with the usual noise of receivers taken into account.
    """

    enu_from_scene: Sim3
    relative_sigma: float
    heading_sigma_deg: float
    tilt_sigma_deg: float
    used: Bool
    with_cameras: bool
    rms_horizontal_m: float
    rms_vertical_m: float
    noise_m: Float


@dataclass(frozen=True)
class _Fit:
    """One least-squares solution: inliers in the plane and in height (N,), variances (3,), covariance (7, 7)."""

    sim3: Sim3
    level: Bool
    height: Bool
    noise: Float
    covariance: Float


def align_to_gps(places: Float, metres: Float, up: Up | None, seed: int = 0) -> GpsAlignment | None:
    """Fit camera centres `places` (N, 3) to `metres` (N, 3) east, north, up; z is NaN without an altitude.

    Horizontal and vertical noise are estimated apart from the residuals, with usual values as a prior, so that bad
    altitudes lose their weight; errors that drift in capture order count for less. The cameras' up joins as a
    measurement of the tilt unless GPS contradicts it; it decides the roll about a straight track. None for fewer than
    two different positions or places.
    """
    if len(places) < 2 or _is_one_place(places) or not np.ptp(metres[:, :2], axis=0).max() > 0:
        return None
    independent = np.ones(3)
    fits = [_fitted(start, places, metres, None, independent) for start in starts(places, metres, up, seed)]
    if not fits:
        return None
    fit = _better(fits, places, metres)
    drift = drift_inflation(fit.sim3.apply(places), metres - fit.sim3.apply(places), fit.level, fit.height)
    fit = _fitted(fit.sim3, places, metres, None, drift)
    with_cameras = up is not None and _agrees(fit, up)
    if with_cameras:
        fit = _fitted(fit.sim3, places, metres, up, drift)
    residual = metres - fit.sim3.apply(places)
    sigma = np.sqrt(np.diag(fit.covariance))
    tilt = float(np.sqrt(np.linalg.eigvalsh(fit.covariance[:2, :2])[-1]))
    return GpsAlignment(
        fit.sim3,
        max(float(sigma[3]), _LEAST_RELATIVE_SIGMA),
        float(np.degrees(sigma[2])),
        float(np.degrees(tilt)),
        fit.level,
        with_cameras,
        _rms(np.linalg.norm(residual[fit.level, :2], axis=1)),
        _rms(residual[fit.height, 2]),
        np.sqrt(fit.noise),
    )


def _is_one_place(places: Float) -> bool:
    """Whether (N, 3) places differ by no more than rounding."""
    return bool(np.ptp(places, axis=0).max() <= _SAME_PLACE * np.abs(places).max())


def _agrees(fit: _Fit, up: Up) -> bool:
    """Whether the cameras' up is where GPS has it, as far as both are certain."""
    turned = fit.sim3.rotation @ up.direction
    aside = np.linalg.norm(turned[:2])
    offset = turned[:2] * (np.arctan2(aside, turned[2]) / max(float(aside), 1e-12))
    # A turn by w about x and y moves the vertical by (w_y, -w_x).
    moved = fit.covariance[:2, :2][::-1, ::-1] * [[1, -1], [-1, 1]]
    covariance = moved + np.radians(up.sigma_deg) ** 2 * np.eye(2)
    return bool(offset @ np.linalg.solve(covariance, offset) < _AGREE_CHI2)


def _better(fits: Sequence[_Fit], places: Float, metres: Float) -> _Fit:
    """The first fit, unless another's residuals are clearly smaller: on a straight track they all have the same."""
    noise = min((fit.noise for fit in fits), key=lambda variances: float(variances[0]))
    costs = [_cost(metres - fit.sim3.apply(places), noise) for fit in fits]
    best = int(np.argmin(costs))
    return fits[best] if costs[best] < costs[0] - _CLEARLY_BETTER else fits[0]


def _fitted(start: Sim3, places: Float, metres: Float, up: Up | None, drift: Float) -> _Fit:
    """Gauss-Newton on (turn about x, y, z, log scale, position), inliers and noise renewed in every round.

    `drift` (3,): by how much less the errors of each axis average out than independent ones, in variance.
    """
    sim3 = start
    covariance: Float = np.eye(7)
    for _ in range(_ROUNDS):
        level, height, noise = _judged(metres - sim3.apply(places), drift)
        middle = sim3.apply(places[level].mean(axis=0, keepdims=True))[0]
        hessian, gradient = _equations(sim3, places, metres, (level, height), noise, middle)
        hessian[:3, :3] += np.eye(3) / _VAGUE_RAD**2
        gradient[:3] -= Rotation.from_matrix(sim3.rotation @ start.rotation.T).as_rotvec() / _VAGUE_RAD**2
        if up is not None:
            _add_up(hessian, gradient, sim3, up)
        covariance = np.asarray(np.linalg.inv(hessian), dtype=np.float64)
        step = covariance @ gradient
        sim3 = _moved(sim3, step, middle)
        if np.abs(step[:4]).max() < _CONVERGED:
            break
    level, height, noise = _judged(metres - sim3.apply(places), drift)
    return _Fit(sim3, level, height, noise, covariance)


def _judged(residual: Float, drift: Float) -> tuple[Bool, Bool, Float]:
    """Inliers in the plane and in height, and the variances (3,) of the three axes."""
    known = np.isfinite(residual[:, 2])
    plane, rise = np.linalg.norm(residual[:, :2], axis=1), np.abs(residual[:, 2])
    level = plane <= _threshold(plane / _RAYLEIGH_MEDIAN, len(plane))
    height = known & level
    if height.any():
        height &= rise <= _threshold(rise[height] * 1.4826, int(height.sum()))
    horizontal = _variance(residual[level, :2], _HORIZONTAL_M, 4, float(drift[0]))
    vertical = _variance(residual[height, 2], _VERTICAL_M, 3, float(drift[2]))
    return level, height, np.array([horizontal, horizontal, vertical])


def _threshold(sizes: Float, count: int) -> float:
    """Beyond which a residual is false: a multiple of the median, wider where few were fitted closely."""
    scale = float(np.median(sizes)) * (1 + 5 / max(count - 2, 1))
    return _OUTLIER_SIGMAS * max(scale, _LEAST_SIGMA_M)


def _variance(residual: Float, usual_m: float, parameters: int, drift: float) -> float:
    """Of the noise: from the residuals, and from the usual value as if seen in a few more.

    Widened as Student's t distribution is wider than the normal one, for the noise itself is uncertain. Residuals that
    drift count `drift` times; the usual value is that of drifting receivers already.
    """
    squares, freedom = float((residual**2).sum()), max(residual.size - parameters, 0)
    joint = _WEIGHT_OF_USUAL + freedom
    mixed = (_WEIGHT_OF_USUAL * usual_m**2 + squares) / joint
    return max(mixed, drift * squares / max(freedom, 1)) * (joint + 2) / joint


def _equations(
    sim3: Sim3, places: Float, metres: Float, inliers: tuple[Bool, Bool], noise: Float, middle: Float
) -> tuple[Float, Float]:
    """Normal equations; turn and scale are about `middle`, which decouples them from the position."""
    level, height = inliers
    arms = sim3.apply(places) - middle
    residual = np.nan_to_num(metres - sim3.apply(places))
    weight = (np.stack([level, level, height], axis=1) / noise).ravel()
    jacobian = np.zeros((len(places), 3, 7))
    jacobian[:, :, :3] = -_cross(arms)
    jacobian[:, :, 3] = arms
    jacobian[:, :, 4:] = np.eye(3)
    weighted = jacobian.reshape(-1, 7).T * weight
    hessian = weighted @ jacobian.reshape(-1, 7)
    gradient = weighted @ residual.ravel()
    if not height.any():
        hessian[6, 6] += 1 / noise[2]
    return hessian, gradient


def _add_up(hessian: Float, gradient: Float, sim3: Sim3, up: Up) -> None:
    """Add the cameras' up, whose horizontal part should be zero, to the normal equations."""
    turned = sim3.rotation @ up.direction
    jacobian = -_cross(turned[None])[0, :2]
    information = 1 / np.radians(up.sigma_deg) ** 2
    hessian[:3, :3] += information * jacobian.T @ jacobian
    gradient[:3] -= information * jacobian.T @ turned[:2]


def _moved(sim3: Sim3, step: Float, middle: Float) -> Sim3:
    turn = Rotation.from_rotvec(step[:3]).as_matrix()
    growth = float(np.exp(np.clip(step[3], -1, 1)))
    rotation = turn @ sim3.rotation
    translation = middle + growth * turn @ (sim3.translation - middle) + step[4:]
    return replace(sim3, scale=sim3.scale * growth, rotation=rotation, translation=translation)


def _cross(vectors: Float) -> Float:
    """(N, 3, 3) matrices of the cross product with (N, 3) vectors."""
    x, y, z = vectors.T
    zero = np.zeros(len(vectors))
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    return np.array(rows).transpose(2, 0, 1)


def _cost(residual: Float, noise: Float) -> float:
    """Truncated squares in sigmas of `noise`: comparable between fits with different inliers."""
    squares = np.nan_to_num(residual) ** 2 / noise
    limit = _OUTLIER_SIGMAS**2
    return float(np.minimum(squares[:, :2].sum(axis=1), limit).sum() + np.minimum(squares[:, 2], limit).sum())


def _rms(values: Float) -> float:
    return float(np.sqrt((values**2).mean())) if len(values) else float("nan")
