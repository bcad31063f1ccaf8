"""Votes on a focal length, and who may cast them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import Make, Synthetic, landscape

from da3_pipeline.arrays import Float
from da3_pipeline.geometry import compose, invert
from da3_pipeline.refine.config import TwoViewConfig
from da3_pipeline.refine.initialisation.two_view import guessed_cameras, relative_poses, vote_focal_px
from da3_pipeline.refine.solve.problem import Matches, Problem

CONFIG = TwoViewConfig()


def fundamental(first: Float, second: Float, focal_px: float) -> Float:
    relative = compose(second, invert(first))
    essential = np.cross(np.eye(3), -relative[:, 3]) @ relative[:, :3]
    K_inverse = np.linalg.inv([[focal_px, 0, 800], [0, focal_px, 600], [0, 0, 1.0]])
    return K_inverse.T @ essential @ K_inverse


def voting(capture: Synthetic, focal_px: list[float], matches: list[int], flat: float = 0.0) -> Problem:
    """Pairs (0, 1), (0, 2) .. whose exact matrices are those of the given focal lengths; so many matches each."""
    frames = np.array([(0, k + 1) for k in range(len(focal_px))])
    poses = capture.cam_from_world
    F = np.stack([fundamental(poses[0], poses[k + 1], length) for k, length in enumerate(focal_px)])
    pair, nothing = np.repeat(np.arange(len(frames)), matches), np.zeros((sum(matches), 2))
    told = Matches(pair, frames, nothing, nothing, F, np.full(len(frames), flat))
    return replace(capture.problem(), matches=told)


@pytest.fixture
def turning(make_capture: Make) -> Synthetic:
    """Upright frames would hide the focal length: these are rolled and tilted."""
    capture = make_capture(frames=12, lenses=(landscape(),))
    rng = np.random.default_rng(0)
    turns = np.linalg.qr(np.eye(3) + 0.2 * rng.normal(size=(12, 3, 3)))[0]
    turns *= np.sign(np.diagonal(turns, axis1=1, axis2=2))[:, None, :]
    return replace(capture, cam_from_world=turns @ capture.cam_from_world)


def vote(problem: Problem) -> float | None:
    return vote_focal_px(problem, np.arange(len(problem.matches.frames)), CONFIG)


@pytest.mark.parametrize("focal_px", [900.0, 1500.0, 3200.0])
def test_exact_matrices_give_the_focal_length_to_a_step_of_the_search(turning: Synthetic, focal_px: float) -> None:
    assert vote(voting(turning, [focal_px] * 8, [50] * 8)) == pytest.approx(focal_px, rel=0.017)


@pytest.mark.parametrize("focal_px", [500.0, 8000.0])
def test_a_focal_length_beyond_what_is_searched_is_unclear(turning: Synthetic, focal_px: float) -> None:
    assert vote(voting(turning, [focal_px] * 8, [50] * 8)) is None


def test_three_pairs_are_a_vote_and_two_are_chance(turning: Synthetic) -> None:
    assert vote(voting(turning, [1500.0] * 3, [50] * 3)) == pytest.approx(1500, rel=0.02)
    assert vote(voting(turning, [1500.0] * 2, [50] * 2)) is None
    assert vote(voting(turning, [1500.0] * 3, [50] * 3, flat=0.8)) is None


def test_a_pair_of_very_many_matches_does_not_outvote_the_others(turning: Synthetic) -> None:
    """Twenty-five times as many count five times."""
    assert vote(voting(turning, [1500.0] * 10 + [2600.0], [40] * 10 + [1000])) == pytest.approx(1500, rel=0.02)
    assert vote(voting(turning, [1500.0] * 2 + [2600.0], [40] * 2 + [4000])) == pytest.approx(2600, rel=0.02)


def test_guessed_cameras_have_the_size_of_their_pictures(make_capture: Make) -> None:
    guessed = guessed_cameras(make_capture(frames=10).problem(), CONFIG)
    sizes = {name: (camera.width, camera.height) for name, camera in guessed.items()}
    assert sizes == {"landscape": (1600, 1200), "portrait": (1200, 1600)}


def test_pairs_that_no_pose_supports_are_left_out(make_capture: Make) -> None:
    capture = make_capture(frames=3, false_matches=0.0)
    problem = capture.problem()
    xy = problem.matches.xy_second.copy()
    mine = problem.matches.pair == 1
    xy[mine] = np.random.default_rng(0).uniform(0, 1200, (int(mine.sum()), 2))
    spoiled = replace(problem, matches=replace(problem.matches, xy_second=xy))
    found = relative_poses(spoiled, capture.truth.cameras, CONFIG, 0)
    assert found.frames.tolist() == [[0, 1], [1, 2]]
    assert (found.support > 0.9 * np.bincount(problem.matches.pair)[[0, 2]]).all()
    nothing = relative_poses(make_capture(frames=3).with_pairs(()).problem(), capture.truth.cameras, CONFIG, 0)
    assert nothing.frames.shape == (0, 2) and nothing.second_from_first.shape == (0, 3, 4)
