"""What speaks against a solution though its matches agree: refuted neighbours, and views that should share more.

Two sides of a thing that look alike fold onto each other, and all that joins them agrees. The order of the capture
knows better: a picture and the next show the same, and where their verified matches are refuted the solution has torn
them apart. So does what is missing (Zach et al. 2008): two cameras that look at the same points from nearly the same
place find many of them in both pictures, unless they are in the same place in the solution alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ...arrays import Bool, Float, Int
from ...geometry import centres
from ...types import Frame
from ..config import ContradictionConfig
from .problem import Estimate, Problem
from .score import AGREE_PX

__all__ = ["NearViews", "are_neighbours", "near_views", "order_tells", "refuted_neighbours"]


def refuted_neighbours(
    frames: tuple[Frame, ...], problem: Problem, errors_px: Float, config: ContradictionConfig
) -> Int:
    """(K,) numbers of the pairs of neighbours in the capture whose many matches the poses refute.

    errors_px (M,) as of `match_errors_px`. None where the order of the capture tells nothing.
    """
    pairs, count = problem.matches.frames, len(problem.matches.frames)
    if not count:
        return np.zeros(0, np.int64)
    total = np.bincount(problem.matches.pair, minlength=count)
    good = np.bincount(problem.matches.pair[errors_px < AGREE_PX], minlength=count)
    near = are_neighbours(frames, pairs, config) & order_tells(frames, pairs, config)[pairs].all(axis=1)
    return np.flatnonzero(near & (total >= config.fewest_matches) & (good < config.refuted_share * total))


def are_neighbours(frames: tuple[Frame, ...], pairs: Int, config: ContradictionConfig) -> Bool:
    """(Q,) which pairs (Q, 2) are `reach` places apart at most in the capture: in one video, or one folder."""
    source, (first, second) = _sources(frames), pairs.T
    return (np.abs(first - second) <= config.reach) & (source[first] == source[second])


def order_tells(frames: tuple[Frame, ...], pairs: Int, config: ContradictionConfig) -> Bool:
    """(N,) frames whose source has an order that means something: of a video, or of photographs of which those next to
    each other are among the verified pairs (Q, 2) far more often than any two are.

    Pictures by many people, or under names without order, are next to each other by chance.
    """
    source = _sources(frames)
    tells = np.array([frame.video is not None for frame in frames], bool)
    for number in np.unique(source[~tells]).tolist():
        mine = source == number
        places = np.flatnonzero(mine)
        inside = pairs[mine[pairs].all(axis=1)]
        steps = len(places) - 1
        if steps < 1:
            continue
        by_chance = len(inside) / (steps * (steps + 1) / 2)
        next_to = np.count_nonzero(np.diff(np.searchsorted(places, inside), axis=1) == 1) / steps
        sigma = np.sqrt(by_chance * (1 - by_chance) / steps)
        tells[mine] = next_to > by_chance + config.order_sigmas * sigma
    return tells


def _sources(frames: tuple[Frame, ...]) -> Int:
    """(N,) a number for the video or the folder that each frame comes from."""
    names = [frame.video or frame.name.rpartition("/")[0] for frame in frames]
    return np.asarray(np.unique(names, return_inverse=True)[1], np.int64)


@dataclass(frozen=True)
class NearViews:
    """Ordered pairs (Q, 2) of frames of which the second looks from nearly the same place at the points of the first:
    and the share (Q,) of those points that are found in both."""

    pairs: Int
    shared: Float

    def bare(self, config: ContradictionConfig) -> Bool:
        """(Q,) those that share hardly anything, beside what the better half of such pairs shares here."""
        if not len(self.shared):
            return np.zeros(0, bool)
        return self.shared < config.bare_share * float(np.quantile(self.shared, 0.75))


def near_views(
    problem: Problem, estimate: Estimate, points: Float, kept: Bool, frames: Bool, config: ContradictionConfig
) -> NearViews:
    """Of `frames` (N,): every one with the few whose cameras are nearest in place and gaze.

    points (num_tracks, 3), of which observations `kept` (M,) count. Points whose rays to both cameras part by more than
    `near_deg`, or lie at unlike distances, are not expected to be found again.
    """
    observations = problem.observations
    chosen = np.flatnonzero(frames)
    place, gaze = centres(estimate.cam_from_world), estimate.cam_from_world[:, 2, :3]
    mine = np.flatnonzero(kept & frames[observations.frame])
    order = mine[np.argsort(observations.frame[mine], kind="stable")]
    starts = np.searchsorted(observations.frame[order], np.arange(problem.num_frames + 1))
    seen = [observations.track[order[starts[k] : starts[k + 1]]] for k in range(problem.num_frames)]
    pairs, shared = [], []
    for first, second in _neighbours(chosen, place, gaze, config):
        tracks = seen[first]
        expected = tracks[_expected(problem, estimate, points[tracks], first, second, config)]
        if len(expected) < max(config.fewest_points, config.least_common * len(tracks)):
            continue
        pairs.append((first, second))
        shared.append(float(np.isin(expected, seen[second]).mean()))
    return NearViews(np.array(pairs, np.int64).reshape(-1, 2), np.array(shared, float))


def _neighbours(chosen: Int, place: Float, gaze: Float, config: ContradictionConfig) -> list[tuple[int, int]]:
    """Ordered pairs of each frame with the nearest cameras that look the same way."""
    if len(chosen) < 3:
        return []
    size = float(np.median(np.linalg.norm(place[chosen] - np.median(place[chosen], axis=0), axis=1))) or 1.0
    tree = cKDTree(np.hstack([place[chosen] / size, gaze[chosen]]))
    nearest = tree.query(tree.data, min(1 + config.nearest, len(chosen)))[1]
    alike = np.cos(np.radians(2 * config.near_deg))
    found = [(int(chosen[k]), int(chosen[other])) for k, row in enumerate(nearest) for other in row if other != k]
    return [(i, j) for i, j in found if gaze[i] @ gaze[j] > alike]


def _expected(
    problem: Problem, estimate: Estimate, points: Float, first: int, second: int, config: ContradictionConfig
) -> Bool:
    """(K,) points (K, 3) of the first frame that the second should show as well, almost as large."""
    pose = estimate.cam_from_world[second]
    in_camera = points @ pose[:, :3].T + pose[:, 3]
    width, height = problem.size_px[second]
    xy = estimate.cameras[problem.camera_of(second)].project(in_camera)
    margin = config.margin * np.array([width, height])
    with np.errstate(invalid="ignore"):
        inside = (in_camera[:, 2] > 0) & (xy > margin).all(1) & (xy < np.array([width, height]) - margin).all(1)
    rays = [points - centre for centre in centres(estimate.cam_from_world[[first, second]])]
    away = [np.linalg.norm(ray, axis=1) for ray in rays]
    cosine = (rays[0] * rays[1]).sum(1) / np.maximum(away[0] * away[1], 1e-300)
    ratio = np.abs(np.log(np.maximum(away[0], 1e-300) / np.maximum(away[1], 1e-300)))
    return inside & (cosine > np.cos(np.radians(config.near_deg))) & (ratio < np.log(config.most_zoom))
