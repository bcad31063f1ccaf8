"""Absolute rotations and centres from relative poses and rays: the truth, up to the world's frame and scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import Make, Synthetic

from da3_pipeline.arrays import Float, Int
from da3_pipeline.geometry import centres, compose, invert, rotation_angle_deg
from da3_pipeline.refine.initialisation.averaging import _centred, _on_grid, average_rotations, position_globally
from da3_pipeline.refine.initialisation.two_view import RelativePoses
from da3_pipeline.refine.solve.problem import Estimate


def true_relatives(poses: Float, pairs: Int) -> RelativePoses:
    relative = compose(poses[pairs[:, 1]], invert(poses[pairs[:, 0]]))
    relative[:, :, 3] /= np.linalg.norm(relative[:, :, 3], axis=1, keepdims=True)
    return RelativePoses(pairs, relative, np.full(len(pairs), 100))


def all_pairs(count: int) -> Int:
    return np.stack(np.triu_indices(count, 1), axis=1)


def rotations_alone(capture: Synthetic) -> Estimate:
    poses = capture.cam_from_world.copy()
    poses[:, :, 3] = 0.0
    return replace(capture.truth, cam_from_world=poses)


def test_rotations_are_the_true_ones_and_a_false_pair_is_told(make_capture: Make) -> None:
    capture = make_capture(frames=6)
    pairs = all_pairs(6)
    relative = true_relatives(capture.cam_from_world, pairs)
    relative.second_from_first[4, :, :3] = np.diag([1.0, -1, -1]) @ relative.second_from_first[4, :, :3]
    rotations, agree = average_rotations(capture.problem(), capture.truth, relative, 10.0, 0)
    np.testing.assert_array_equal(agree, np.arange(15) != 4)
    found, truth = (some[1:] @ some[0].T for some in (rotations, capture.cam_from_world[:, :, :3]))
    assert rotation_angle_deg(found, truth).max() < 0.1


def test_frames_beside_the_largest_component_have_no_rotation(make_capture: Make) -> None:
    """Frames 0 to 3 hang together, 4 and 5 by themselves."""
    capture = make_capture(frames=6)
    pairs = np.concatenate([all_pairs(4), [[4, 5]]])
    relative = true_relatives(capture.cam_from_world, pairs)
    rotations, agree = average_rotations(capture.problem(), capture.truth, relative, 10.0, 0)
    assert np.isfinite(rotations).all((1, 2)).tolist() == [True] * 4 + [False] * 2
    assert agree.tolist() == [True] * 6 + [False]
    rotations, agree = average_rotations(capture.problem(), capture.truth, relative.subset(np.zeros(7, bool)), 10.0, 0)
    assert np.isnan(rotations).all() and rotations.shape == (6, 3, 3) and len(agree) == 0


@pytest.mark.parametrize("from_prior", [False, True])
def test_centres_are_the_true_ones_up_to_a_similarity(make_capture: Make, from_prior: bool) -> None:
    capture = make_capture(frames=7, noise_px=0.1, false_matches=0.0)
    relative = true_relatives(capture.cam_from_world, all_pairs(7))
    start = None
    if from_prior:  # far away, and in another unit
        start = 1e3 * (centres(capture.prediction.cam_from_world) + 50.0)
    found = position_globally(capture.problem(), rotations_alone(capture), relative, 0, start)
    assert found.cameras == capture.truth.cameras
    rotation_deg, shift = capture.pose_errors(found.cam_from_world)
    assert rotation_deg < 0.5 and shift < 0.02


def test_points_of_three_views_position_and_those_of_two_do_not(make_capture: Make) -> None:
    """A frame that no point of three views reaches is not positioned; without any nothing is."""
    capture = make_capture(frames=5, noise_px=0.1, false_matches=0.0, points=900)
    problem, estimate = capture.problem(), rotations_alone(capture)
    relative = true_relatives(capture.cam_from_world, all_pairs(5))
    observations = problem.observations
    of_three = observations.subset((observations.lengths == 3)[observations.track])
    found = position_globally(problem.with_observations(of_three), estimate, relative, 0)
    assert found.posed.all() and capture.pose_errors(found.cam_from_world)[1] < 0.05
    touched = np.isin(of_three.track, of_three.track[of_three.frame == 4])
    alone = position_globally(problem.with_observations(of_three.subset(~touched)), estimate, relative, 0)
    assert alone.posed.tolist() == [True] * 4 + [False] and np.isnan(alone.cam_from_world[4]).all()
    of_two = observations.subset((observations.lengths == 2)[observations.track])
    assert not position_globally(problem.with_observations(of_two), estimate, relative, 0).posed.any()


def test_frames_without_a_rotation_are_not_positioned(make_capture: Make) -> None:
    capture = make_capture(frames=6, noise_px=0.1, false_matches=0.0)
    estimate = rotations_alone(capture)
    estimate.cam_from_world[2] = np.nan
    relative = true_relatives(capture.cam_from_world, all_pairs(6))
    relative = relative.subset((relative.frames != 2).all(axis=1))
    found = position_globally(capture.problem(), estimate, relative, 0)
    assert found.posed.tolist() == [True, True, False, True, True, True]


def test_starts_are_told_around_their_middle_at_a_distance_of_one() -> None:
    places = np.array([[10.0, 0, 0], [12, 0, 0], [8, 0, 0], [np.nan] * 3, [10, 4, 0], [10, -4, 0]])
    np.testing.assert_allclose(_centred(places)[[0, 1, 4]], [[0, 0, 0], [1, 0, 0], [0, 2, 0]])
    assert (_centred(np.full((4, 3), 7.0)) == 0).all()


def test_where_in_space_and_last_bits_do_not_show_and_digits_that_matter_stay() -> None:
    places = np.random.default_rng(0).normal(size=(50, 3)) * 30
    found = _on_grid(places)
    np.testing.assert_array_equal(_on_grid(places + 1e-11 * np.sin(np.arange(150)).reshape(50, 3)), found)
    np.testing.assert_array_equal(_on_grid(places * 0.37 + [4.0, -800.0, 77.7]), found)
    assert 0 < np.abs(found - _centred(places)).max() <= 0.5001e-4


def test_the_positioner_says_the_same_twice(make_capture: Make) -> None:
    """Its threads leave where the whole stands in space to chance."""
    capture = make_capture(frames=10)
    relative = true_relatives(capture.cam_from_world, all_pairs(10))
    first, again = (position_globally(capture.problem(), rotations_alone(capture), relative, 0) for _ in range(2))
    np.testing.assert_array_equal(first.cam_from_world, again.cam_from_world)
