"""What speaks against a solution though its matches agree: refuted pairs, and views that should share more.

Two sides of a thing that look alike fold onto each other, and all that joins them agrees. The order of the capture
knows better: a picture and the next show the same, and where their verified matches are refuted the solution has torn
them apart. So does what is missing (Zach et al. 2008): two cameras that look at the same points from nearly the same
place find many of them in both pictures, unless they are in the same place in the solution alone. And two pictures that
show the same match by it, not by something else: where their matches are refuted, one of the two is a look-alike.
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

__all__ = [
    "NearViews",
    "are_neighbours",
    "look_alikes",
    "near_views",
    "order_tells",
    "refuted_neighbours",
    "refuted_overlaps",
    "refuted_pairs",
]


def refuted_neighbours(
    frames: tuple[Frame, ...], problem: Problem, errors_px: Float, config: ContradictionConfig
) -> Int:
    """(K,) numbers of the pairs of neighbours in the capture whose many matches the poses refute.

    errors_px (M,) as of `match_errors_px`. None where the order of the capture tells nothing, and none where more
    matches hold each picture between the two to the next: then it is the two that look alike.
    """
    pairs = problem.matches.frames
    total = np.bincount(problem.matches.pair, minlength=len(pairs))
    near = are_neighbours(frames, pairs, config) & order_tells(frames, pairs, total, config)[pairs].all(axis=1)
    refuted = np.flatnonzero(near & refuted_pairs(problem, errors_px, config))
    good = np.bincount(problem.matches.pair[errors_px < AGREE_PX], minlength=len(pairs))
    holding = np.flatnonzero(near & (good > config.held_share * total))
    held = {(min(i, j), max(i, j)): n for (i, j), n in zip(pairs[holding].tolist(), good[holding], strict=True)}

    def bridged(pair: int) -> bool:
        first, last = sorted(pairs[pair].tolist())
        steps = [held.get((k, k + 1), 0) for k in range(first, last)]
        return len(steps) > 1 and min(steps) > total[pair]

    return refuted[np.array([not bridged(pair) for pair in refuted.tolist()], bool)]


def refuted_pairs(problem: Problem, errors_px: Float, config: ContradictionConfig) -> Bool:
    """(Q,) which pairs have many matches of which the poses refute the most. errors_px (M,) as of `match_errors_px`."""
    count = len(problem.matches.frames)
    total = np.bincount(problem.matches.pair, minlength=count)
    good = np.bincount(problem.matches.pair[errors_px < AGREE_PX], minlength=count)
    return (total >= config.fewest_matches) & (good < config.refuted_share * total)


def look_alikes(
    frames: tuple[Frame, ...], problem: Problem, errors_px: Float, config: ContradictionConfig
) -> Int | None:
    """(K,) numbers of the refuted pairs of frames whose order tells nothing; None where all orders tell.

    They prove that things look alike here. What is twice, on two sides of a thing, can be one in a solution without any
    contradiction, and only the order of the capture knows.
    """
    pairs = problem.matches.frames
    loose = ~order_tells(frames, pairs, np.bincount(problem.matches.pair, minlength=len(pairs)), config)
    if not len(pairs) or not loose.any():
        return None
    return np.flatnonzero(refuted_pairs(problem, errors_px, config) & loose[pairs].any(axis=1))


def refuted_overlaps(
    problem: Problem, estimate: Estimate, points: Float, kept: Bool, errors_px: Float, config: ContradictionConfig
) -> Int:
    """(K,) numbers of the pairs that are refuted though, by the solution, both pictures show the same.

    points (num_tracks, 3), of which observations `kept` (M,) count.
    """
    seen = _tracks_seen(problem, kept)
    wide = config.model_copy(update={"near_deg": config.overlap_deg, "most_zoom": config.overlap_zoom})

    def overlap(first: int, second: int) -> float:
        tracks = seen[first]
        return float(_expected(problem, estimate, points[tracks], first, second, wide).mean()) if len(tracks) else 0.0

    numbers = np.flatnonzero(refuted_pairs(problem, errors_px, config))
    same = [min(overlap(i, j), overlap(j, i)) for i, j in problem.matches.frames[numbers].tolist()]
    return numbers[np.array(same) >= config.least_common] if len(numbers) else numbers


def are_neighbours(frames: tuple[Frame, ...], pairs: Int, config: ContradictionConfig) -> Bool:
    """(Q,) which pairs (Q, 2) are `reach` places apart at most in the capture: in one video, or one folder."""
    source, (first, second) = _sources(frames), pairs.T
    return (np.abs(first - second) <= config.reach) & (source[first] == source[second])


def order_tells(frames: tuple[Frame, ...], pairs: Int, matches: Int, config: ContradictionConfig) -> Bool:
    """(N,) frames whose source has an order that means something: of a video, or of photographs of which those next to
    each other have clearly more `matches` (Q,) than any two; pairs (Q, 2) are those that were verified.

    Pictures by many people, or under names without order, are next to each other by chance. Where things look alike
    all around, any two pictures match, but those next to each other match most.
    """
    source = _sources(frames)
    tells = np.array([frame.video is not None for frame in frames], bool)
    for number in np.unique(source[~tells]).tolist():
        mine = source == number
        inside = mine[pairs].all(axis=1)
        places = np.searchsorted(np.flatnonzero(mine), pairs[inside])
        next_to = np.abs(np.diff(places, axis=1)[:, 0]) == 1
        tells[mine] = _sigmas_above_chance(matches[inside], next_to, int(mine.sum())) > config.order_sigmas
    return tells


def _sigmas_above_chance(matches: Int, next_to: Bool, frames: int) -> float:
    """By how much pairs that are `next_to` (Q,) each other rank above all others by `matches` (Q,): the statistic of
    Mann and Whitney (1947) with its correction for ties, of which pairs that nothing verified are one."""
    pairs, chosen = frames * (frames - 1) / 2, frames - 1
    none = pairs - len(matches)
    _, value, equal = np.unique(matches, return_inverse=True, return_counts=True)
    ranks = (none + np.cumsum(equal) - (equal - 1) / 2)[value]  # the mean, of equal ones
    ranked = ranks[next_to].sum() + (chosen - np.count_nonzero(next_to)) * (none + 1) / 2
    above = ranked - chosen * (chosen + 1) / 2 - chosen * (pairs - chosen) / 2
    tied = np.append(equal, none).astype(float)
    ties = (tied**3 - tied).sum() / max(pairs * (pairs - 1), 1)
    variance = chosen * (pairs - chosen) * (pairs + 1 - ties) / 12
    return float(above / np.sqrt(variance)) if variance > 0 else 0.0


def _sources(frames: tuple[Frame, ...]) -> Int:
    """(N,) a number for the video or the folder that each frame comes from."""
    names = [frame.video or frame.name.rpartition("/")[0] for frame in frames]
    return np.asarray(np.unique(names, return_inverse=True)[1], np.int64)


@dataclass(frozen=True)
class NearViews:
    """Ordered pairs (Q, 2) of frames of which the second looks from nearly the same place at the points of the first:
    and the share (Q,) of those points that are found in both; where the second is blurred beside the first, of its own
    that the first should show: a blurred picture holds few of a sharp one's points, but a sharp one the blurred one's.
    """

    pairs: Int
    shared: Float

    def bare(self, config: ContradictionConfig) -> Bool:
        """(Q,) those that share hardly anything, beside what the better half of such pairs shares here."""
        if not len(self.shared):
            return np.zeros(0, bool)
        return self.shared < config.bare_share * float(np.quantile(self.shared, 0.75))


def near_views(
    problem: Problem,
    estimate: Estimate,
    points: Float,
    kept: Bool,
    frames: Bool,
    sharpness: Float,
    config: ContradictionConfig,
) -> NearViews:
    """Of `frames` (N,): every one with the few whose cameras are nearest in place and gaze.

    points (num_tracks, 3), of which observations `kept` (M,) count. Points whose rays to both cameras part by more than
    `near_deg`, or lie at unlike distances, are not expected to be found again. sharpness (N,): of the pictures, NaN
    where it is not known.
    """
    chosen = np.flatnonzero(frames)
    place, gaze = centres(estimate.cam_from_world), estimate.cam_from_world[:, 2, :3]
    seen = _tracks_seen(problem, kept & frames[problem.observations.frame])

    def expected(first: int, second: int) -> Int:
        """Tracks of the first that the second should show."""
        tracks = seen[first]
        return tracks[_expected(problem, estimate, points[tracks], first, second, config)]

    pairs, shared = [], []
    for first, second in _neighbours(chosen, place, gaze, config):
        asked, least = expected(first, second), config.least_common * len(seen[first])
        if len(asked) < max(config.fewest_points, least):
            continue
        common = int(np.isin(asked, seen[second]).sum())
        if sharpness[second] < config.blurred * sharpness[first]:
            asked = expected(second, first)
            if len(asked) < config.fewest_of_blurred:
                continue
        pairs.append((first, second))
        shared.append(common / len(asked))
    return NearViews(np.array(pairs, np.int64).reshape(-1, 2), np.array(shared, float))


def _tracks_seen(problem: Problem, kept: Bool) -> list[Int]:
    """Of every frame, the tracks of its observations that are `kept` (M,)."""
    observations, mine = problem.observations, np.flatnonzero(kept)
    order = mine[np.argsort(observations.frame[mine], kind="stable")]
    starts = np.searchsorted(observations.frame[order], np.arange(problem.num_frames + 1))
    return [observations.track[order[starts[k] : starts[k + 1]]] for k in range(problem.num_frames)]


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
