"""Pairs that fit a geometry of their own: the prior tells them from true ones, unless it says nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from scenes import Make, with_lookalike

from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine.amendments.doppelgangers import not_contradicted, without_doppelgangers
from da3_pipeline.refine.amendments.solution import Solution
from da3_pipeline.refine.config import RefineConfig
from da3_pipeline.refine.solve.problem import pose_problem
from da3_pipeline.types import PriorTrust


@pytest.mark.parametrize("prior", ["rough", "random"])
def test_a_pair_that_the_prior_contradicts_is_left_out_and_a_random_prior_contradicts_none(
    make_capture: Make, random_poses: Callable[[int], np.ndarray], prior: str
) -> None:
    capture = with_lookalike(make_capture(frames=4, prior_deg=5.0), 0, 3)
    if prior == "random":
        capture = capture.with_prior(random_poses(4))
    problem = capture.problem()
    keep = not_contradicted(problem, RefineConfig())
    false = (problem.matches.frames[problem.matches.pair] == [0, 3]).all(1)
    assert false.sum() == 80
    if prior == "rough":
        np.testing.assert_array_equal(keep, ~false)
        left = capture.correspondences.where(keep)
        assert (0, 3) not in {(pair.i, pair.j) for pair in left.pairs}
        assert sum(len(pair) for pair in left.pairs) == keep.sum()
    else:
        assert keep.all()


def test_without_matches_nothing_is_left_out(make_capture: Make) -> None:
    capture = make_capture(frames=3)
    nothing = replace(capture.correspondences, pairs=())
    problem = pose_problem(capture.prediction, nothing, 1600)
    assert len(not_contradicted(problem, RefineConfig())) == 0


def test_a_prior_without_all_poses_contradicts_nothing(make_capture: Make) -> None:
    capture = with_lookalike(make_capture(frames=4, prior_deg=5.0), 0, 3)
    poses = capture.prediction.cam_from_world.copy()
    poses[1] = np.nan
    assert not_contradicted(capture.with_prior(poses).problem(), RefineConfig()).all()


@pytest.mark.parametrize(("frames", "given", "left_out"), [(4, False, True), (4, True, False), (9, False, False)])
def test_few_frames_that_nobody_placed_lose_them(make_capture: Make, frames: int, given: bool, left_out: bool) -> None:
    capture = with_lookalike(make_capture(frames=frames, prior_deg=5.0), 0, 3)
    if given:
        capture = capture.with_frames(
            replace(frame, known_cam_from_world=pose)
            for frame, pose in zip(capture.frames, capture.prediction.cam_from_world, strict=True)
        )
    trust = PriorTrust(poses=True)
    before = Solution(capture.prediction, capture.correspondences, capture.problem(), trust=trust)
    after = without_doppelgangers(before, RefineConfig(), SilentProgress())
    if left_out:
        assert (0, 3) not in {(pair.i, pair.j) for pair in after.correspondences.pairs}
        assert len(after.problem.matches) == len(before.problem.matches) - 80
        doubted = replace(before, trust=PriorTrust(poses=None))
        assert without_doppelgangers(doubted, RefineConfig(), SilentProgress()) is doubted
    else:
        assert after is before


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("degrees", "contradicted"), [(20.0, False), (40.0, True)])
def test_a_frame_may_be_28_degrees_off(make_capture: Make, axis: int, degrees: float, contradicted: bool) -> None:
    """Four sigmas of two frames' errors, about whatever axis."""
    capture = make_capture(frames=5, false_matches=0.0, prior_focal=1.0)
    poses = capture.cam_from_world.copy()
    turn, _ = cv2.Rodrigues(np.radians(degrees) * np.eye(3)[axis])
    poses[0] = turn @ poses[0]
    problem = capture.with_prior(poses).problem()
    with_first = (problem.matches.frames == 0).any(axis=1)[problem.matches.pair]
    keep = not_contradicted(problem, RefineConfig())
    np.testing.assert_array_equal(keep, ~with_first if contradicted else np.ones(len(keep), bool))


def test_a_prior_that_contradicts_more_than_half_is_not_listened_to(make_capture: Make) -> None:
    """Two of five frames are turned, each another way: seven pairs of ten."""
    capture = make_capture(frames=5, false_matches=0.0, prior_focal=1.0)
    poses = capture.cam_from_world.copy()
    for frame in (0, 1):
        poses[frame] = cv2.Rodrigues(np.radians(60.0) * np.eye(3)[frame])[0] @ poses[frame]
    assert not_contradicted(capture.with_prior(poses).problem(), RefineConfig()).all()
