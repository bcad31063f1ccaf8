"""Errors of a receiver drift: those of photographs taken one after another are alike, and average out less."""

from __future__ import annotations

import numpy as np

from ..arrays import Bool, Float

__all__ = ["drift_inflation"]


_FEWEST = 8  # positions from which correlation can be told from chance
_CANDIDATES = (0.3, 0.5, 0.7, 0.8, 0.87, 0.92, 0.96, 0.98)
_WORTHWHILE = 0.5  # in log likelihood; drift that is overlooked does more harm than drift that is imagined


def drift_inflation(places: Float, residual: Float, level: Bool, height: Bool) -> Float:
    """(3,) by how much drift raises the variance of what east, north and height tell of scale and orientation, >= 1.

    places (N, 3) and residual (N, 3): fitted positions and what is left of the measured ones, metres, in capture order;
    level, height (N,): positions that count in the plane and in height.
    """
    arms = places[:, :2] - places[level, :2].mean(axis=0)
    across = np.zeros((len(arms), 2, 4))  # how log scale, heading and two shifts move a position in the plane
    across[:, :, 0] = arms
    across[:, 0, 1], across[:, 1, 1] = -arms[:, 1], arms[:, 0]
    across[:, 0, 2] = across[:, 1, 3] = 1
    upward = np.concatenate([arms, np.ones((len(arms), 1))], axis=1)[:, None]  # two tilts and a shift
    plane, rise = (across[level], residual[level, :2]), (upward[height], residual[height, 2:])
    in_plane, in_height = _correlation(*plane), _correlation(*rise)
    # One receiver: a tilt can swallow the drift of the height, of which the plane then still tells.
    horizontal, vertical = _inflation(*plane, in_plane), _inflation(*rise, max(in_plane, in_height))
    return np.array([horizontal, horizontal, vertical])


def _correlation(design: Float, residual: Float) -> float:
    """Of neighbouring errors, where `design` (N, A, P) was fitted and `residual` (N, A) left.

    That of the autoregressive process of first order with the greatest restricted likelihood (REML: Patterson and
    Thompson 1971); 0 where none is clearly more likely.
    """
    if not _is_sufficient(design):
        return 0.0
    best, rho = max((_likelihood(design, residual, rho), rho) for rho in _CANDIDATES)
    return rho if best > _likelihood(design, residual, 0.0) + _WORTHWHILE else 0.0


def _inflation(design: Float, residual: Float, rho: float) -> float:
    """Of the variances of the parameters but the A shifts, the largest, over those that independent errors give."""
    if rho == 0 or not _is_sufficient(design):
        return 1.0
    count, axes, parameters = design.shape
    flat = design.reshape(-1, parameters)
    lag = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    correlated = np.einsum("nm,mai->nai", rho**lag, design).reshape(-1, parameters)
    inverse = np.linalg.inv(flat.T @ flat)
    sandwich = inverse @ (flat.T @ correlated) @ inverse
    ratio = _squares(design, residual, rho)[1] / max(_squares(design, residual, 0.0)[1], 1e-12)
    growth = (np.diag(sandwich) / np.diag(inverse))[: parameters - axes]
    return max(1.0, float(ratio * growth.max()))


def _is_sufficient(design: Float) -> bool:
    return len(design) >= _FEWEST and bool(
        np.linalg.matrix_rank(design.reshape(-1, design.shape[2])) == design.shape[2]
    )


def _whitened(rows: Float, rho: float) -> Float:
    """(N, A, K) rows with the correlation rho of neighbouring positions taken out."""
    return np.concatenate([rows[:1], (rows[1:] - rho * rows[:-1]) / np.sqrt(1 - rho**2)])


def _squares(design: Float, residual: Float, rho: float) -> tuple[Float, float]:
    """The whitened design (N A, P), and the sum of squares left by the best fit to it."""
    columns = _whitened(design, rho).reshape(-1, design.shape[2])
    target = _whitened(residual, rho).reshape(-1)
    left = target - columns @ np.linalg.lstsq(columns, target, rcond=None)[0]
    return columns, float(left @ left)


def _likelihood(design: Float, residual: Float, rho: float) -> float:
    columns, squares = _squares(design, residual, rho)
    count, axes, parameters = design.shape
    freedom = count * axes - parameters
    correlation = axes * (count - 1) * np.log(1 - rho**2)
    return float(-(correlation + np.linalg.slogdet(columns.T @ columns)[1] + freedom * np.log(max(squares, 1e-12))) / 2)
