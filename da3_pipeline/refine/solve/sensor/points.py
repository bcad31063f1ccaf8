"""Points from rays and measured depth together: rays that hardly part leave open what a sensor knows."""

from __future__ import annotations

import numpy as np

from ....arrays import Float, Int

__all__ = ["depth_unit", "settled_points"]

_ITERATIONS = 5
_FINEST_RAD = 5e-4  # as in triangulation: what is below is noise


def depth_unit(depth: Float, measured: Float) -> float:
    """World units in one of the sensor's: the median of (M,) `depth` in the world over what was `measured`.

    NaN where nothing was.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = depth / measured
    ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
    return float(np.median(ratios)) if len(ratios) else float("nan")


def settled_points(
    points: Float, track: Int, origins: Float, directions: Float, axes: Float, measured: Float, sigma: float
) -> Float:
    """(T, 3) `points` after a robust least squares with their rays and their depth; those without any, or NaN, stay.

    For each of M observations: its `track`, non-decreasing, its ray's origin and unit direction (M, 3), the optical
    axis in the world (M, 3), and the z-depth in the world's unit along it, NaN where nothing was measured, one relative
    `sigma`. Angles and depths lose weight as by Cauchy, angles from the median one on. Linear in the point:
    sum a_k |(I - r r') (p - o)|^2 + b_k (n' (p - o) - d)^2.
    """
    told = np.zeros(len(points), bool)
    usable = np.isfinite(directions).all(axis=1)
    told[track[usable & np.isfinite(measured)]] = True
    told &= np.isfinite(points).all(axis=1)
    chosen = usable & told[track]
    if not chosen.any():
        return points
    track, measured = track[chosen], measured[chosen]
    origins, directions, axes = (some[chosen] for some in (origins, directions, axes))
    starts = np.flatnonzero(np.r_[True, track[1:] != track[:-1]])
    sizes = np.diff(np.r_[starts, len(track)])
    member = np.repeat(np.arange(len(starts)), sizes)
    home = np.add.reduceat(origins, starts) / sizes[:, None]
    origins = origins - home[member]
    known = np.isfinite(measured)
    depth = np.where(known, measured, 1.0)
    projectors = np.eye(3) - directions[:, :, None] * directions[:, None, :]
    shifts = np.einsum("mij,mj->mi", projectors, origins)
    along = np.einsum("mi,mi->m", axes, origins) + depth
    found = _lifted(origins, directions, axes, depth, known, member, len(starts))
    for _ in range(_ITERATIONS):
        offset = found[member] - origins
        reach = np.linalg.norm(offset, axis=1) + 1e-12
        forward = np.einsum("mi,mi->m", offset, directions)
        angle = np.where(forward > 0, np.linalg.norm(offset - forward[:, None] * directions, axis=1) / reach, 1.0)
        scale = max(_FINEST_RAD, float(np.median(angle)))
        off = (np.einsum("mi,mi->m", axes, offset) / depth - 1) / sigma
        by_rays = 1 / (reach**2 * (1 + (angle / scale) ** 2))
        by_depth = np.where(known, (scale / (sigma * depth)) ** 2 / (1 + off**2), 0.0)
        left = by_rays[:, None, None] * projectors + by_depth[:, None, None] * axes[:, :, None] * axes[:, None, :]
        right = by_rays[:, None] * shifts + (by_depth * along)[:, None] * axes
        left, right = np.add.reduceat(left, starts), np.add.reduceat(right, starts)
        left += np.eye(3) * (1e-9 * np.trace(left, axis1=1, axis2=2) + 1e-300)[:, None, None]
        found = np.linalg.solve(left, right[:, :, None])[:, :, 0]
    settled = points.copy()
    settled[track[starts]] = home + found
    return settled


def _lifted(
    origins: Float, directions: Float, axes: Float, depth: Float, known: Float, member: Int, count: int
) -> Float:
    """(T, 3) where the measurement in the middle puts each point: one at an edge is off, seldom the median one."""
    forward = np.einsum("mi,mi->m", axes, directions)
    lifted = origins + directions * (depth / np.maximum(forward, 1e-6))[:, None]
    chosen = np.flatnonzero(known)
    order = chosen[np.lexsort((depth[chosen], member[chosen]))]
    groups, starts, sizes = np.unique(member[order], return_index=True, return_counts=True)
    found = np.zeros((count, 3))
    found[groups] = lifted[order[starts + sizes // 2]]
    return found
