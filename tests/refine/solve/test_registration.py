"""Frames that do not fit are told, and found again from the others alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import Make

from da3_pipeline.geometry import Camera, Sim3, centres, rotation_angle_deg
from da3_pipeline.refine.config import RegistrationConfig
from da3_pipeline.refine.solve.problem import Problem
from da3_pipeline.refine.solve.registration import _pose, dependable_points, register, strays
from da3_pipeline.refine.solve.triangulation import reprojection_errors, triangulate

CONFIG = RegistrationConfig()


def errors_of(problem: Problem, shares: list[float]) -> np.ndarray:
    """Errors of which a share of each frame's is under 4 px."""
    errors = np.full(len(problem.observations), 9.0)
    for frame, share in enumerate(shares):
        mine = np.flatnonzero(problem.observations.frame == frame)
        errors[mine[: round(share * len(mine))]] = 1.0
    return errors


def test_a_stray_has_under_half_the_inliers_of_the_best_third(make_capture: Make) -> None:
    capture = make_capture(frames=6)
    problem, truth = capture.problem(), capture.truth
    # The best third reaches 0.9: half of it is 0.45.
    assert strays(problem, truth, errors_of(problem, [0.9, 0.9, 0.9, 0.5, 0.4, 0.1]), 4.0, CONFIG).tolist() == [4, 5]
    assert strays(problem, truth, errors_of(problem, [0.2] * 6), 4.0, CONFIG).tolist() == []


def test_frames_without_a_pose_are_strays_and_those_without_observations_are_not(make_capture: Make) -> None:
    capture = make_capture(frames=6)
    problem, truth = capture.problem(), capture.truth
    poses = truth.cam_from_world.copy()
    poses[[1, 4]] = np.nan
    blind = problem.with_observations(problem.observations.subset(problem.observations.frame != 4))
    errors = errors_of(blind, [0.9, 0.9, 0.9, 0.9, 0.0, 0.9])
    assert strays(blind, replace(truth, cam_from_world=poses), errors, 4.0, CONFIG).tolist() == [1]
    nobody = replace(truth, cam_from_world=np.full_like(poses, np.nan))
    assert strays(blind, nobody, errors, 4.0, CONFIG).tolist() == [0, 1, 2, 3, 5]


@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_frames_come_back_from_the_others_alone(offset: float, make_capture: Make) -> None:
    """Four of seven agree with one another, in a wrong place: they must not have a say about the points."""
    capture = make_capture(frames=7, points=900, noise_px=0.2, false_matches=0.0)
    problem, truth = capture.problem(), capture.truth
    lost = np.array([0, 2, 3, 6])
    world = Sim3(1.0, np.eye(3), np.full(3, offset))
    poses = world.apply_to_cameras(truth.cam_from_world)
    wrong = Sim3(1.1, Sim3.identity().rotation, np.array([0.8, -0.5, 0.3])).apply_to_cameras(poses)
    mixed = poses.copy()
    mixed[lost] = wrong[lost]
    found = register(problem, replace(truth, cam_from_world=mixed), lost, 4.0, CONFIG, seed=0)
    assert rotation_angle_deg(found.cam_from_world[lost, :, :3], poses[lost, :, :3]).max() < 0.1
    assert np.linalg.norm(centres(found.cam_from_world) - centres(poses), axis=1).max() < 0.02
    kept = [1, 4, 5]
    np.testing.assert_array_equal(found.cam_from_world[kept], mixed[kept])


def test_a_frame_that_too_little_speaks_for_stays(make_capture: Make) -> None:
    capture = make_capture(frames=5)
    problem, truth = capture.problem(), capture.truth
    observations = problem.observations
    few = np.flatnonzero(observations.frame == 2)[11:]
    keep = np.ones(len(observations), bool)
    keep[few] = False
    poor = problem.with_observations(observations.subset(keep))
    wrong = truth.cam_from_world.copy()
    wrong[2, :, 3] += 1.0
    found = register(poor, replace(truth, cam_from_world=wrong), np.array([2]), 4.0, CONFIG, seed=0)
    np.testing.assert_array_equal(found.cam_from_world, wrong)
    # Observations that agree with no pose at all.
    shuffled = observations.xy.copy()
    mine = observations.frame == 2
    shuffled[mine] = np.random.default_rng(0).permutation(shuffled[mine])
    noise = problem.with_observations(replace(observations, xy=shuffled))
    found = register(noise, replace(truth, cam_from_world=wrong), np.array([2]), 4.0, CONFIG, seed=0)
    np.testing.assert_array_equal(found.cam_from_world, wrong)


def test_points_are_depended_on_where_two_frames_agree_under_a_real_angle(make_capture: Make) -> None:
    capture = make_capture(frames=4, false_matches=0.0, noise_px=0.2)
    problem, truth = capture.problem(), capture.truth
    points = dependable_points(problem, truth, 4.0, CONFIG)
    known = np.isfinite(points).all(1)
    assert known.mean() > 0.95
    everything = triangulate(problem, truth, problem.observations)
    np.testing.assert_array_equal(points[known], everything[known])
    assert np.median(reprojection_errors(problem, truth, everything, problem.observations)) < 0.5
    alone = truth.cam_from_world.copy()
    alone[1:] = np.nan
    assert np.isnan(dependable_points(problem, replace(truth, cam_from_world=alone), 4.0, CONFIG)).all()
    turning = make_capture(frames=4, layout="rotation", false_matches=0.0, noise_px=0.0)
    still = turning.cam_from_world.copy()
    still[:, 0, 3] += 0.001 * np.arange(4)  # hardly moved: no angle
    found = dependable_points(turning.problem(), replace(turning.truth, cam_from_world=still), 4.0, CONFIG)
    assert np.isfinite(found).all(1).mean() < 0.02


def test_shares_count_not_numbers_and_a_single_observation_counts(make_capture: Make) -> None:
    """Frame 0 has few observations, all of them right; frame 1 has one and no pose."""
    problem, truth = (capture := make_capture(frames=4)).problem(), capture.truth
    observations = problem.observations
    keep = np.ones(len(observations), bool)
    for frame, count in ((0, 15), (1, 1)):
        keep[np.flatnonzero(observations.frame == frame)[count:]] = False
    thin = problem.with_observations(observations.where(keep))
    poses = truth.cam_from_world.copy()
    poses[1] = np.nan
    found = strays(thin, replace(truth, cam_from_world=poses), errors_of(thin, [1.0, 0.0, 0.9, 0.9]), 4.0, CONFIG)
    assert found.tolist() == [1]


@pytest.mark.parametrize(
    ("count", "agreeing", "found"), [(12, 12, True), (11, 11, False), (200, 60, True), (200, 40, False)]
)
def test_twelve_points_and_a_quarter_of_them_must_agree(count: int, agreeing: int, found: bool) -> None:
    rng = np.random.default_rng(0)
    camera, points = Camera.pinhole(1600, 1200, 1500.0), rng.uniform((-2, -2, 6), (2, 2, 10), (count, 3))
    xy = camera.project(points)
    xy[agreeing:] = rng.uniform([0, 0], [1600, 1200], (count - agreeing, 2))
    pose = _pose(camera, xy, points, 4.0, CONFIG, 0)
    assert (pose is not None) == found
    if pose is not None:
        np.testing.assert_allclose(pose, np.eye(3, 4), atol=0.02)
