"""How far the prior is to be believed, measured on the capture itself before anything is built on it.

Verified matches of a pair give its rotation, the direction of its motion and the depth of its points without any
prior. A prior that knows something foretells them; one that knows nothing does no better than standing still, or than
its own cameras dealt out anew. Each of its opinions is asked for by itself, for a network may know depth and no poses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import Bool, Float, Int
from ...geometry import compose, invert, rotation_angle_deg
from ...types import Prediction, PriorTrust
from ..config import TrustConfig, TwoViewConfig
from ..solve.problem import Problem
from .two_view import RelativePoses, guessed_cameras, pairs_by_camera, relative_poses, vote_focal_px

__all__ = ["measure_trust"]


@dataclass(frozen=True)
class _Opinion:
    """error: of what the prior foretells, the median pair's; chance: of the best that knows nothing, in its unit."""

    error: float
    chance: float

    def proven(self, most: float, gain: float) -> bool:
        return bool(self.error <= most and self.error <= gain * self.chance)


def measure_trust(
    problem: Problem, prediction: Prediction, config: TrustConfig, two_view: TwoViewConfig, seed: int
) -> PriorTrust:
    """What the prior has proved of itself; None in a field for what this capture cannot tell.

    Rotations and directions of motion are those of relative poses, depth that of matches triangulated under them.
    """
    pairs = _asked(problem, config)
    focal = _focal(problem, config, two_view)
    if len(pairs) < config.fewest_pairs or not problem.prior.posed.all():
        return PriorTrust(poses=None, focal=_within(focal, config), depth=None, measured=_told(focal=focal))
    asked = problem.of_pairs(pairs)
    relative = relative_poses(asked, guessed_cameras(problem, two_view), two_view, seed)
    if len(relative.frames) < config.fewest_pairs:
        return PriorTrust(poses=None, focal=_within(focal, config), depth=None, measured=_told(focal=focal))
    moving = relative.subset(_with_parallax(asked, relative, config))
    rotation, direction = _rotation(problem, relative, config, seed), _direction(problem, moving, config, seed)
    depth = _depth(asked, prediction, moving, config)
    return PriorTrust(
        poses=_poses_proven(rotation, direction, config),
        focal=_within(focal, config),
        depth=None if depth is None else depth.proven(config.most_depth_error, config.gain),
        measured=_told(rotation, direction, depth, focal),
    )


def _asked(problem: Problem, config: TrustConfig) -> Int:
    """So many pairs, evenly spread over those that there are."""
    count = len(problem.matches.frames)
    return np.unique(np.linspace(0, count - 1, min(count, config.most_pairs)).round().astype(np.int64))


def _with_parallax(problem: Problem, relative: RelativePoses, config: TrustConfig) -> Bool:
    """(Q,) relative poses of pairs that no plane and no turn on the spot explains: their motion can be told."""
    flat = problem.matches.homography_share
    share = dict(zip(map(tuple, problem.matches.frames.tolist()), flat.tolist(), strict=True))
    return np.array([share[tuple(pair)] < config.most_flat for pair in relative.frames.tolist()], bool)


def _poses_proven(rotation: _Opinion, direction: _Opinion | None, config: TrustConfig) -> bool:
    """Nothing that can be told speaks against the poses, and something that chance does not give speaks for them."""
    turned = rotation.proven(config.most_rotation_deg, config.gain)
    if direction is None:
        return turned
    moved = direction.proven(config.most_direction_deg, config.gain)
    return (turned or rotation.error <= config.most_rotation_deg) and moved


def _rotation(problem: Problem, relative: RelativePoses, config: TrustConfig, seed: int) -> _Opinion:
    """Degrees between the prior's relative rotations and those of the pairs."""
    measured = relative.second_from_first[:, :, :3]

    def error(poses: Float) -> float:
        first, second = (poses[side, :, :3] for side in relative.frames.T)
        return float(np.median(rotation_angle_deg(second @ np.swapaxes(first, 1, 2), measured)))

    still = float(np.median(rotation_angle_deg(np.broadcast_to(np.eye(3), measured.shape), measured)))
    dealt = [error(poses) for poses in _dealt_anew(problem.prior.cam_from_world, config, seed)]
    return _Opinion(error(problem.prior.cam_from_world), min(still, float(np.median(dealt))))


def _direction(problem: Problem, relative: RelativePoses, config: TrustConfig, seed: int) -> _Opinion | None:
    """Degrees between the directions in which the prior and the pairs have the second camera move; None where too few
    of them move."""
    if len(relative.frames) < config.fewest_pairs:
        return None

    def error(poses: Float) -> float:
        first, second = (poses[side] for side in relative.frames.T)
        moved = compose(second, invert(first))[:, :, 3]
        length = np.linalg.norm(moved, axis=1)
        along = np.einsum("qi,qi->q", moved, relative.second_from_first[:, :, 3])
        cosine = np.where(length > 0, along / np.maximum(length, 1e-300), 0.0)
        return float(np.median(np.degrees(np.arccos(np.clip(cosine, -1, 1)))))

    dealt = [error(poses) for poses in _dealt_anew(problem.prior.cam_from_world, config, seed)]
    return _Opinion(error(problem.prior.cam_from_world), min(90.0, float(np.median(dealt))))


def _dealt_anew(poses: Float, config: TrustConfig, seed: int) -> list[Float]:
    """The prior's cameras given to other frames: what is common to them is kept, what they know of a frame is not."""
    rng = np.random.default_rng(seed)
    return [poses[rng.permutation(len(poses))] for _ in range(config.deals)]


def _depth(problem: Problem, prediction: Prediction, relative: RelativePoses, config: TrustConfig) -> _Opinion | None:
    """How far the ratio of triangulated to predicted depth spreads within a pair, and triangulated depth alone.

    Both are medians of the absolute deviation of the logarithm, the median pair's; None where too few pairs tell.
    """
    matches = problem.matches
    number = {tuple(pair): k for k, pair in enumerate(matches.frames.tolist())}
    ends = np.searchsorted(matches.pair, np.arange(len(matches.frames) + 1))
    cameras = problem.prior.cameras
    errors, chances = [], []
    for (i, j), pose in zip(relative.frames.tolist(), relative.second_from_first, strict=True):
        span = slice(ends[number[i, j]], ends[number[i, j] + 1])
        first, second = matches.xy_first[span], matches.xy_second[span]
        rays = [_rays(cameras[problem.camera_of(k)].unproject(xy)) for k, xy in ((i, first), (j, second))]
        depth = _triangulated_depth(rays[0], rays[1], pose, np.radians(config.least_parallax_deg))
        predicted = _predicted_depth(prediction, i, first / problem.scale[i])
        told = (depth > 0) & (predicted > 0)
        if told.sum() < config.fewest_depths:
            continue
        true = np.log(depth[told])
        errors.append(_deviation(true - np.log(predicted[told])))
        chances.append(_deviation(true))
    if len(errors) < config.fewest_pairs:
        return None
    return _Opinion(float(np.median(errors)), float(np.median(chances)))


def _rays(plane: Float) -> Float:
    return np.column_stack([plane, np.ones(len(plane))])


def _triangulated_depth(first: Float, second: Float, second_from_first: Float, least_rad: float) -> Float:
    """(M,) depth in the first camera where rays (M, 3) on z = 1 meet, baseline one; NaN under that angle or behind."""
    turned = first @ second_from_first[:, :3].T
    across = np.cross(second, turned)
    area = (across**2).sum(1)
    sine = np.sqrt(area) / (np.linalg.norm(second, axis=1) * np.linalg.norm(turned, axis=1))
    depth = -(across * np.cross(second, second_from_first[:, 3])).sum(1) / np.maximum(area, 1e-300)
    return np.where((sine > np.sin(least_rad)) & (depth > 0), depth, np.nan)


def _predicted_depth(prediction: Prediction, frame: int, xy: Float) -> Float:
    """(M,) the prior's depth of a frame at (M, 2) original pixels; NaN outside its map and where it is unknown."""
    depth = prediction.depth[frame]
    column, row = np.floor(prediction.pixel_maps[frame].to_network(xy)).astype(int).T
    inside = (column >= 0) & (row >= 0) & (column < depth.shape[1]) & (row < depth.shape[0])
    found = np.full(len(xy), np.nan)
    found[inside] = depth[row[inside], column[inside]]
    return np.where(found > 0, found, np.nan)


def _deviation(values: Float) -> float:
    return float(np.median(np.abs(values - np.median(values))))


def _focal(problem: Problem, config: TrustConfig, two_view: TwoViewConfig) -> float | None:
    """Largest |log ratio| of the prior's focal lengths to EXIF's, or to those that fundamental matrices vote for.

    None where neither is there for any camera.
    """
    by_camera = pairs_by_camera(problem)
    ratios = []
    for number, name in enumerate(problem.camera_names):
        if name in problem.known_cameras:
            continue
        vote = problem.exif_focal_px.get(name) or vote_focal_px(problem, by_camera[number], two_view)
        if vote:
            ratios.append(abs(float(np.log(problem.prior.cameras[name].focal_px / vote))))
    return float(np.median(ratios)) if ratios else None


def _within(focal: float | None, config: TrustConfig) -> bool | None:
    return None if focal is None else focal <= config.most_focal_log_ratio


def _told(
    rotation: _Opinion | None = None,
    direction: _Opinion | None = None,
    depth: _Opinion | None = None,
    focal: float | None = None,
) -> dict[str, float]:
    """What was measured, for the report, by name."""
    told = {} if focal is None else {"focal_log_ratio": focal}
    opinions = {"rotation_deg": rotation, "direction_deg": direction, "depth": depth}
    for name, opinion in opinions.items():
        if opinion is not None:
            told |= {name: opinion.error, f"{name}_by_chance": opinion.chance}
    return told
