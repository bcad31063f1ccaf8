"""Along a straight path matches agree with parts of any size: the points that both parts see tell them apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import Make, Synthetic

from da3_pipeline.arrays import Bool, Float
from da3_pipeline.geometry import centres
from da3_pipeline.refine.config import PartConfig, SolveConfig
from da3_pipeline.refine.solve.parts import joined_in_size, share_held, torn_in_size, torn_off, worst_seam
from da3_pipeline.refine.solve.problem import Estimate, Problem
from da3_pipeline.refine.solve.rounds import fit_points, refine_estimate
from da3_pipeline.refine.solve.score import agreement

PARTS, FRAMES = PartConfig(), 16


@pytest.fixture
def street(make_capture: Make) -> Synthetic:
    return make_capture(frames=FRAMES, layout="line", spread=9.0, points=3000)


def resized(capture: Synthetic, frames: Bool, scale: float, about: int, start: Estimate | None = None) -> Estimate:
    """The start, the truth unless given, but for these frames, which stand nearer to one of them by `scale`."""
    places = centres((start or capture.truth).cam_from_world)
    moved = np.where(frames[:, None], places[about] + scale * (places - places[about]), places)
    return _placed(capture, moved)


def aside(capture: Synthetic, frames: Bool) -> Estimate:
    """The truth, but for these frames, which stand elsewhere together."""
    return _placed(capture, centres(capture.cam_from_world) + np.where(frames[:, None], [0.0, 2.0, 0.0], 0.0))


def _placed(capture: Synthetic, places: Float) -> Estimate:
    poses = capture.cam_from_world.copy()
    poses[:, :, 3] = -np.einsum("nij,nj->ni", poses[:, :, :3], places)
    return replace(capture.truth, cam_from_world=poses)


def kept(problem: Problem, estimate: Estimate) -> Bool:
    return fit_points(problem, estimate, 1.0, 4.0).kept


@pytest.mark.parametrize("first", [4, 8, 11])
@pytest.mark.parametrize("scale", [0.1, 0.5, 4.0])
def test_a_part_of_another_size_is_found_where_it_begins(street: Synthetic, first: int, scale: float) -> None:
    problem, part = street.problem(), np.arange(FRAMES) >= first
    torn = resized(street, part, scale, first)
    assert agreement(problem, torn) > 0.9  # of the matches: they say nothing of it
    seam = torn_in_size(problem, torn, kept(problem, torn), PARTS)
    assert seam is not None and seam.held < 0.1
    assert seam.points >= PARTS.fewest_points
    sides = (np.flatnonzero(seam.one).tolist(), np.flatnonzero(seam.other).tolist())
    beginning = min(sides)  # it shares its first frame with the other part
    assert beginning in (list(range(first)), list(range(first + 1)))
    assert sorted(sides[0] + sides[1]) == list(range(FRAMES))


def test_a_right_scene_holds_its_points_across_every_cut(street: Synthetic) -> None:
    problem = street.problem()
    seam = worst_seam(problem.observations, kept(problem, street.truth), np.ones(FRAMES, bool), 15)
    assert seam is not None and seam.held > 0.6
    assert torn_in_size(problem, street.truth, kept(problem, street.truth), PARTS) is None


def test_parts_whose_matches_disagree_as_well_are_a_fold_and_no_matter_of_size(street: Synthetic) -> None:
    problem = street.problem()
    folded = aside(street, np.arange(FRAMES) >= 8)
    found = worst_seam(problem.observations, kept(problem, folded), np.ones(FRAMES, bool), 15)
    assert found is not None and found.held < 0.1
    assert torn_in_size(problem, folded, kept(problem, folded), PARTS) is None


@pytest.mark.parametrize("first", [5, 12])
def test_the_smaller_part_is_moved_onto_the_larger_one(street: Synthetic, first: int) -> None:
    problem, part = street.problem(), np.arange(FRAMES) >= first
    torn = resized(street, part, 0.2, first)
    seam = torn_in_size(problem, torn, kept(problem, torn), PARTS)
    assert seam is not None
    joined = joined_in_size(problem, torn, seam, SolveConfig(), 4.0, 0)
    assert joined is not None
    assert street.pose_errors(joined.cam_from_world)[1] < 0.02 < street.pose_errors(torn.cam_from_world)[1]
    larger = seam.one if seam.one.sum() >= seam.other.sum() else seam.other
    np.testing.assert_array_equal(joined.cam_from_world[larger], torn.cam_from_world[larger])
    assert share_held(problem.observations, kept(problem, torn), seam) < 0.1
    assert share_held(problem.observations, kept(problem, joined), seam) > 0.5


@pytest.mark.parametrize("begins", [(9,), (5, 11)])
def test_refinement_mends_a_start_that_is_torn_once_or_twice(street: Synthetic, begins: tuple[int, ...]) -> None:
    problem, torn = street.problem(), street.truth
    for scale, first in zip((0.05, 6.0), begins, strict=False):
        torn = resized(street, np.arange(FRAMES) >= first, scale, first, torn)
    solve = SolveConfig()
    mended = refine_estimate(problem, torn, solve, 0)
    left = refine_estimate(problem, torn, solve.model_copy(update={"parts": PartConfig(most_seams=0)}), 0)
    assert street.pose_errors(mended.estimate.cam_from_world)[1] < 0.005
    assert street.pose_errors(left.estimate.cam_from_world)[1] > 0.05


def off(problem: Problem, estimate: Estimate, fewest: int) -> list[int]:
    return np.flatnonzero(torn_off(problem, estimate, kept(problem, estimate), 0.5, fewest, PARTS)).tolist()


def test_what_is_torn_off_leaves_until_no_seam_is_left(street: Synthetic) -> None:
    problem, frames = street.problem(), np.arange(FRAMES)
    torn = resized(street, frames >= 13, 0.2, 13)
    torn = resized(street, frames <= 2, 6.0, 2, torn)
    leaves = off(problem, torn, 8)
    assert {0, 1, 14, 15} <= {*leaves} <= {0, 1, 2, 3, 12, 13, 14, 15}
    rest = ~np.isin(frames, leaves)
    seam = worst_seam(problem.observations, kept(problem, torn), rest, PARTS.fewest_points)
    assert seam is None or seam.held >= 0.5
    assert off(problem, torn, FRAMES - len(leaves)) == leaves and off(problem, torn, FRAMES - len(leaves) + 1) == []


def test_nothing_leaves_a_right_scene_nor_one_that_folds(street: Synthetic) -> None:
    problem, frames = street.problem(), np.arange(FRAMES)
    assert off(problem, street.truth, 0) == []
    assert off(problem, aside(street, frames >= 11), 0) == []
    torn_and_folded = resized(street, frames >= 13, 0.2, 13, aside(street, frames <= 4))
    assert off(problem, torn_and_folded, 0) == []


def test_too_few_frames_or_points_across_have_no_seam(street: Synthetic) -> None:
    problem = street.problem()
    observations, keep = problem.observations, kept(problem, street.truth)
    assert worst_seam(observations, keep, np.arange(FRAMES) < 3, 15) is None
    assert worst_seam(observations, keep, np.ones(FRAMES, bool), 10**6) is None
    pairs = observations.subset(np.isin(observations.frame, [0, 1, 14, 15]))
    few = problem.with_observations(pairs)
    assert (
        worst_seam(few.observations, np.ones(len(pairs), bool), np.isin(np.arange(FRAMES), [0, 1, 14, 15]), 15) is None
    )


def test_a_part_that_sees_none_of_the_others_points_stays(street: Synthetic) -> None:
    problem, part = street.problem(), np.arange(FRAMES) >= 8
    torn = resized(street, part, 0.2, 8)
    seam = torn_in_size(problem, torn, kept(problem, torn), PARTS)
    assert seam is not None
    observations = problem.observations
    alone = problem.with_observations(observations.subset(seam.one[observations.frame]))
    assert joined_in_size(alone, torn, seam, SolveConfig(), 4.0, 0) is None
