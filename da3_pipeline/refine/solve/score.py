"""A score that needs no truth: the share of all verified matches that agree with the final poses."""

from __future__ import annotations

import numpy as np

from ...arrays import Bool, Float
from ...geometry import compose, invert
from .problem import Estimate, Problem

__all__ = ["AGREE_PX", "agreement", "frame_agreement", "match_errors_px", "precision"]


AGREE_PX = 2.0
_PRECISE_PX = 1.0
_AT_ONCE = 50_000  # matches: temporaries that stay in the cache
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
    essential, focal = _cross_matrix(direction) @ relative[:, :, :3], problem.focal_px(estimate)
    errors = np.empty(len(matches))
    for start in range(0, len(matches), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        pair = matches.pair[some]
        x, y = _planes(problem, estimate, some)
        line = np.einsum("mij,mj->mi", essential[pair], x)
        back = np.einsum("mji,mj->mi", essential[pair], y)
        algebraic = np.abs(np.einsum("mi,mi->m", y, line))
        slope = (line[:, :2] ** 2).sum(1) / focal[second][pair] ** 2
        slope += (back[:, :2] ** 2).sum(1) / focal[first][pair] ** 2
        turned = np.einsum("mij,mj->mi", relative[pair, :, :3], x)
        in_front = _in_front(turned, y, direction[pair])
        with np.errstate(divide="ignore", invalid="ignore"):
            transfer = np.linalg.norm(turned[:, :2] / turned[:, 2:] - y[:, :2], axis=1) * focal[second][pair]
        parallax = np.where(in_front, algebraic / np.sqrt(np.maximum(slope, 1e-300)), np.inf)
        errors[some] = np.where(rotation_only[pair], np.where(turned[:, 2] > 0, transfer, np.inf), parallax)
    return np.where(np.isnan(errors), np.inf, errors)


def _planes(problem: Problem, estimate: Estimate, some: slice) -> tuple[Float, Float]:
    """Both sides of some matches on the plane z = 1 of its camera, (M, 3) each."""
    matches, sides = problem.matches, []
    for side, xy in enumerate((matches.xy_first[some], matches.xy_second[some])):
        plane = np.ones((len(xy), 3))
        for camera_id, chosen in problem.by_camera(matches.frames[matches.pair[some], side]):
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
