"""A score that needs no truth: the share of all verified matches that agree with the final poses."""

from __future__ import annotations

import numpy as np

from ...arrays import Bool, Float
from ...geometry import compose, invert
from .problem import Estimate, Problem

__all__ = ["AGREE_PX", "agreement", "frame_agreement", "match_errors_px", "precision"]


AGREE_PX = 2.0
_PRECISE_PX = 1.0
_PARALLEL_RAD = 3e-3  # rays this close to parallel may meet behind the cameras by noise alone


def agreement(problem: Problem, estimate: Estimate) -> float:
    """Share in [0, 1] of all verified matches with an epipolar error under 2 px; 0 when there are none."""
    if not len(problem.matches):
        return 0.0
    return float((match_errors_px(problem, estimate) < AGREE_PX).mean())


def precision(errors_px: Float) -> float:
    """How exactly (M,) matches agree, in [0, 1]: 1 for an exact one, less with the square of its error, 0 from 1 px.

    The score of MSAC (Torr & Zisserman 2000). Poses that give way to false matches may bring more of all matches
    within 2 px, and spoil the true ones by more than they gain.
    """
    return float(np.clip(1 - (errors_px / _PRECISE_PX) ** 2, 0, None).mean()) if len(errors_px) else 0.0


def frame_agreement(problem: Problem, errors_px: Float) -> Float:
    """(N,) share of each frame's matches under 2 px, from `match_errors_px`; NaN for frames without matches."""
    frames = problem.matches.frames[problem.matches.pair]
    total = np.bincount(frames.ravel(), minlength=problem.num_frames)
    good = np.bincount(frames[errors_px < AGREE_PX].ravel(), minlength=problem.num_frames)
    return np.where(total > 0, good / np.maximum(total, 1), np.nan)


def match_errors_px(problem: Problem, estimate: Estimate) -> Float:
    """(M,) Sampson error of every verified match in undistorted pixels; inf where a frame has no pose.

    The square root of Hartley & Zisserman eq. 11.9 with E from the poses, scaled by the focal lengths. Coincident
    centres have no epipolar geometry: there the error is the distance after the rotation alone. Matches that
    triangulate behind a camera are wrong whatever their distance: inf.
    """
    matches = problem.matches
    first, second = matches.frames[:, 0], matches.frames[:, 1]
    relative = compose(estimate.cam_from_world[second], invert(estimate.cam_from_world[first]))
    baseline = np.linalg.norm(relative[:, :, 3], axis=1)
    rotation_only = baseline <= 1e-9 * max(float(np.nanmax(baseline, initial=0.0)), 1e-12)
    direction = relative[:, :, 3] / np.where(rotation_only, 1.0, baseline)[:, None]
    essential = _cross_matrix(direction) @ relative[:, :, :3]
    focal = problem.focal_px(estimate)
    x, y = _planes(problem, estimate)
    line = np.einsum("mij,mj->mi", essential[matches.pair], x)
    back = np.einsum("mji,mj->mi", essential[matches.pair], y)
    algebraic = np.abs(np.einsum("mi,mi->m", y, line))
    slope = (line[:, :2] ** 2).sum(1) / focal[second][matches.pair] ** 2
    slope += (back[:, :2] ** 2).sum(1) / focal[first][matches.pair] ** 2
    errors = algebraic / np.sqrt(np.maximum(slope, 1e-300))
    turned = np.einsum("mij,mj->mi", relative[matches.pair, :, :3], x)
    errors[~_in_front(turned, y, direction[matches.pair])] = np.inf
    degenerate = rotation_only[matches.pair]
    with np.errstate(divide="ignore", invalid="ignore"):
        transfer = np.linalg.norm(turned[:, :2] / turned[:, 2:] - y[:, :2], axis=1) * focal[second][matches.pair]
    errors[degenerate] = np.where(turned[degenerate, 2] > 0, transfer[degenerate], np.inf)
    return np.where(np.isnan(errors), np.inf, errors)


def _planes(problem: Problem, estimate: Estimate) -> tuple[Float, Float]:
    """Both sides of every match on the plane z = 1 of its camera, (M, 3) each."""
    matches, sides = problem.matches, []
    for side, xy in enumerate((matches.xy_first, matches.xy_second)):
        plane = np.ones((len(xy), 3))
        for camera_id, chosen in problem.by_camera(matches.frames[matches.pair, side]):
            plane[chosen, :2] = estimate.cameras[camera_id].unproject(xy[chosen])
        sides.append(plane)
    return sides[0], sides[1]


def _in_front(turned: Float, y: Float, direction: Float) -> Bool:
    """Whether a * turned + direction = b * y has a, b > 0 in the least squares, or the rays are nearly parallel.

    Both depths are compared times the squared sine of the rays' angle, which turns noise into a constant.
    """
    aa, bb, ab = (turned**2).sum(1), (y**2).sum(1), (turned * y).sum(1)
    ad, bd = (turned * direction).sum(1), (y * direction).sum(1)
    depth_first = ab * bd - bb * ad
    depth_second = aa * bd - ab * ad
    return (depth_first >= -_PARALLEL_RAD) & (depth_second >= -_PARALLEL_RAD)


def _cross_matrix(v: Float) -> Float:
    zero = np.zeros(len(v))
    return np.stack([zero, -v[:, 2], v[:, 1], v[:, 2], zero, -v[:, 0], -v[:, 1], v[:, 0], zero], 1).reshape(-1, 3, 3)
