"""Parts of a scene that are each right, and of unlike size: what a straight path, or little overlap, leaves open.

Along a straight path the matches between two parts agree with any ratio of their sizes, for directions do not change
with it. Points do not: one that two frames of either part see lies in two places. So cuts of the scene are asked how
many of such points it holds on both sides, and a part whose points say so is moved and resized onto the other. Where
the matches across disagree as well it is a fold, which no size mends.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix, triu

from ...arrays import Bool, Float, Int
from ...geometry.robust_alignment import robust_alignment
from ..config import PartConfig, SolveConfig
from ..matching.sweeps import across_gaps, fiedler_order
from .problem import Estimate, Problem
from .registration import dependable_points, register
from .score import AGREE_PX, match_errors_px
from .tracks import Observations

__all__ = ["Seam", "joined_in_size", "share_held", "torn_in_size", "torn_off", "worst_seam"]


@dataclass(frozen=True)
class Seam:
    """A cut of frames in two. one, other (N,): the frames on either side. points: those that two frames or more on
    either side see. held: the share of them that the solution holds on both."""

    one: Bool
    other: Bool
    points: int
    held: float

    @property
    def smaller(self) -> Bool:
        """(N,) the side with fewer frames."""
        return self.other if self.other.sum() <= self.one.sum() else self.one


def worst_seam(observations: Observations, kept: Bool, frames: Bool, fewest: int) -> Seam | None:
    """The cut of `frames` (N,), of those tried, that holds the least share of its points; None where none has `fewest`.

    kept (M,): observations that agree with the solution. Cuts are the sweeps of the Fiedler vector of the graph of
    frames that share points so. Time grows with the pairs of frames that share points, and with the observations.
    """
    order = fiedler_order(*_shared(observations, kept & frames[observations.frame], len(frames)), len(frames))
    order = order[frames[order]]
    if len(order) < 4:
        return None
    place = np.full(len(frames), -1)
    place[order] = np.arange(len(order))
    seen = frames[observations.frame]
    total = _seen_twice_across(observations.where(seen), place, len(order))
    held = _seen_twice_across(observations.where(seen & kept), place, len(order))
    share = np.where(total >= fewest, held / np.maximum(total, 1), np.inf)
    worst = int(share.argmin())
    if not np.isfinite(share[worst]):
        return None
    return Seam(frames & (place <= worst), frames & (place > worst), int(total[worst]), float(share[worst]))


def share_held(observations: Observations, kept: Bool, seam: Seam) -> float:
    """As `Seam.held`, of the same cut by another solution."""
    one, other = (side[observations.frame] for side in (seam.one, seam.other))
    total = _seen_twice(observations, one) & _seen_twice(observations, other)
    held = _seen_twice(observations, one & kept) & _seen_twice(observations, other & kept)
    return float(held.sum() / max(total.sum(), 1))


def torn_in_size(problem: Problem, estimate: Estimate, kept: Bool, config: PartConfig) -> Seam | None:
    """The worst seam, where the points across contradict the solution and the matches do not; None where none do."""
    seam = worst_seam(problem.observations, kept, estimate.posed, config.fewest_points)
    torn = seam is not None and seam.held < config.least_held and _matches_agree(problem, estimate, seam, config)
    return seam if torn else None


def torn_off(
    problem: Problem, estimate: Estimate, kept: Bool, least_held: float, fewest: float, config: PartConfig
) -> Bool:
    """(N,) the posed frames that must leave until no cut of the others holds less than `least_held`: the smaller side
    of one seam after another.

    None where the matches across contradict the solution as well, or fewer than `fewest` others are left.
    """
    rest = estimate.posed.copy()
    while True:
        seam = worst_seam(problem.observations, kept, rest, config.fewest_points)
        if seam is None or seam.held >= least_held:
            return estimate.posed & ~rest
        rest &= ~seam.smaller
        if rest.sum() < fewest or not _matches_agree(problem, estimate, seam, config):
            return np.zeros(len(rest), bool)


def joined_in_size(
    problem: Problem, estimate: Estimate, seam: Seam, config: SolveConfig, within_px: float, seed: int
) -> Estimate | None:
    """The estimate with its smaller part moved and resized onto the other; None where the points do not say how.

    Frames of the smaller part are posed by the points of the other alone; the part goes where most of them ask it to.
    within_px: of a pose's inliers.
    """
    other = seam.smaller
    one = (seam.one | seam.other) & ~other
    alone = replace(estimate, cam_from_world=np.where(one[:, None, None], estimate.cam_from_world, np.nan))
    near = _near(problem, alone, other, within_px, config)
    found = register(problem, alone, np.flatnonzero(near), within_px, config.registration, seed)
    both = near & found.posed
    if both.sum() < 2:
        return None
    poses = estimate.cam_from_world.copy()
    poses[other] = robust_alignment(poses[both], found.cam_from_world[both]).apply_to_cameras(poses[other])
    return replace(estimate, cam_from_world=poses)


def _near(problem: Problem, alone: Estimate, frames: Bool, within_px: float, config: SolveConfig) -> Bool:
    """(N,) those of `frames` that see most of the points of the posed others: matches of look-alikes lead farther."""
    points = dependable_points(problem, alone, within_px, config.registration)
    sure = np.asarray(np.isfinite(points).all(1))[problem.observations.track]
    seen = np.bincount(problem.observations.frame[sure], minlength=problem.num_frames)
    return frames & (seen >= config.parts.near_share * seen[frames].max(initial=1))


def _shared(observations: Observations, kept: Bool, count: int) -> tuple[Int, Float]:
    """Pairs of frames (E, 2) that hold points together, and how many (E,)."""
    shape = (observations.num_tracks, count)
    sees = csr_matrix((np.ones(kept.sum()), (observations.track[kept], observations.frame[kept])), shape=shape)
    shared = triu(sees.T @ sees, 1).tocoo()
    return np.stack([shared.row, shared.col], axis=1).astype(np.int64), shared.data


def _seen_twice_across(observations: Observations, place: Int, count: int) -> Float:
    """(count - 1,) tracks that two frames or more see on either side of each gap between neighbouring places."""
    order = np.lexsort((place[observations.frame], observations.track))
    track, at = observations.track[order], place[observations.frame[order]]
    starts = np.flatnonzero(np.r_[True, track[1:] != track[:-1]]) if len(track) else np.zeros(0, np.int64)
    ends = np.append(starts[1:], len(track))
    long = ends - starts >= 4
    spans = np.stack([at[starts[long] + 1], at[ends[long] - 2]], axis=1)
    return across_gaps(spans, np.ones(len(spans)), count)


def _seen_twice(observations: Observations, some: Bool) -> Bool:
    """(num_tracks,) of which two of `some` observations (M,) are."""
    return np.bincount(observations.track[some], minlength=observations.num_tracks) >= 2


def _matches_agree(problem: Problem, estimate: Estimate, seam: Seam, config: PartConfig) -> bool:
    """Whether most matches between the two sides agree with the poses, whatever the sizes."""
    ends = problem.matches.frames
    across = (seam.one[ends[:, 0]] & seam.other[ends[:, 1]]) | (seam.other[ends[:, 0]] & seam.one[ends[:, 1]])
    if not across.any():
        return False
    asked = problem.of_pairs(np.flatnonzero(across))
    return bool((match_errors_px(asked, estimate) < AGREE_PX).mean() >= config.least_agreement)
