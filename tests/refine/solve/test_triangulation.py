"""Points from rays: weighed by angle, not by distance, and nothing that lies behind a camera has a say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import Make, look_at

from da3_pipeline.arrays import Float
from da3_pipeline.refine.solve.problem import Estimate, Problem
from da3_pipeline.refine.solve.tracks import Observations
from da3_pipeline.refine.solve.triangulation import ray_spread_deg, reprojection_errors, triangulate, world_rays

POINT = np.array([0.3, -0.2, 0.4])


@pytest.fixture
def six(make_capture: Make) -> tuple[Problem, Estimate]:
    capture = make_capture(frames=6)
    return capture.problem(), capture.truth


def one_track(problem: Problem, estimate: Estimate, seen: Float) -> Observations:
    """Frame k sees seen[k] (6, 3), where it is told."""
    xy = np.array(
        [
            estimate.cameras[problem.camera_of(k)].project((pose[:, :3] @ point + pose[:, 3])[None])[0]
            for k, (pose, point) in enumerate(zip(estimate.cam_from_world, seen, strict=True))
        ]
    )
    known = np.isfinite(seen).all(1)
    zeros = np.zeros(int(known.sum()), np.int64)
    return Observations(zeros, np.flatnonzero(known), zeros, xy[known])


def test_near_rays_say_more_than_far_ones(six: tuple[Problem, Estimate]) -> None:
    """Three cameras a unit away see one place, three a hundred times as far another, 5 % of the near distance off.

    To the far ones that is half a thousandth of a radian, to the near ones a hundred times as much."""
    problem, truth = six
    directions = np.array([[0, 0, -1.0], [0.6, 0.1, -0.8], [-0.5, 0.2, -0.8]])
    places = np.concatenate([POINT + directions, POINT + 100 * directions])
    poses = np.array([look_at(place, POINT) for place in places])
    seen = np.tile(POINT, (6, 1))
    seen[3:] += [0.03, 0.04, 0.0]
    estimate = Estimate(poses, truth.cameras)
    found = triangulate(problem, estimate, one_track(problem, estimate, seen))[0]
    assert np.linalg.norm(found - POINT) < 0.005


def test_a_camera_that_looks_away_has_no_say(six: tuple[Problem, Estimate]) -> None:
    problem, truth = six
    poses = truth.cam_from_world.copy()
    observations = one_track(problem, truth, np.tile(POINT, (6, 1)))
    # Frame 5 turns its back, and slightly aside: its ray, drawn on backwards, passes near the point.
    poses[5] = np.diag([-1.0, 1, -1]) @ poses[5]
    nudged = replace(observations, xy=observations.xy.copy())
    nudged.xy[5] += [30.0, 0.0]
    estimate = Estimate(poses, truth.cameras)
    found = triangulate(problem, estimate, nudged)[0]
    assert np.linalg.norm(found - POINT) < 1e-5
    errors = reprojection_errors(problem, estimate, found[None], nudged)
    assert errors[5] == np.inf and errors[:5].max() < 1e-2


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_two_rays_meet_and_one_ray_meets_nothing(offset: float, six: tuple[Problem, Estimate]) -> None:
    problem, truth = six
    poses = truth.cam_from_world.copy()
    poses[:, :, 3] -= poses[:, :, :3] @ np.full(3, offset)
    estimate = Estimate(poses, truth.cameras)
    seen = np.full((6, 3), np.nan)
    seen[[1, 4]] = POINT + offset
    two = one_track(problem, estimate, seen)
    np.testing.assert_allclose(triangulate(problem, estimate, two)[0], POINT + offset, atol=1e-6 + 1e-11 * offset)
    seen[1] = np.nan
    assert np.isnan(triangulate(problem, estimate, one_track(problem, estimate, seen))).all()


def test_rays_are_those_of_each_camera(six: tuple[Problem, Estimate]) -> None:
    problem, truth = six
    observations = one_track(problem, truth, np.tile(POINT, (6, 1)))
    origins, directions = world_rays(problem, truth, observations)
    along = POINT - origins
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1.0)
    np.testing.assert_allclose(directions, along / np.linalg.norm(along, axis=1, keepdims=True), atol=1e-9)


def test_errors_are_pixels_of_each_camera(six: tuple[Problem, Estimate]) -> None:
    problem, truth = six
    observations = one_track(problem, truth, np.tile(POINT, (6, 1)))
    shifted = replace(observations, xy=observations.xy + np.array([3.0, -4.0]))
    np.testing.assert_allclose(reprojection_errors(problem, truth, POINT[None], shifted), 5.0, atol=1e-6)
    lost = truth.cam_from_world.copy()
    lost[2] = np.nan
    errors = reprojection_errors(problem, Estimate(lost, truth.cameras), POINT[None], observations)
    assert np.flatnonzero(np.isinf(errors)).tolist() == [2]


def test_the_widest_angle_counts_and_only_of_what_is_kept() -> None:
    """Rays at 0, 10 and 70 degrees, and one at -80 that is left out; a second track of one ray has none."""
    angles = np.radians([0.0, 10.0, 70.0, -80.0, 30.0])
    origins = np.stack([np.sin(angles), 0 * angles, -np.cos(angles)], axis=1)
    track = np.array([0, 0, 0, 0, 1])
    observations = Observations(track, np.arange(5), np.arange(5), np.zeros((5, 2)))
    kept = np.array([True, True, True, False, True])
    np.testing.assert_allclose(ray_spread_deg(observations, origins, np.zeros((2, 3)), kept), [70.0, 0.0], atol=1e-6)


def test_opposite_rays_see_their_point_under_half_a_turn() -> None:
    """Whatever rounding makes of their unit lengths."""
    rng = np.random.default_rng(0)
    origins = np.repeat(rng.normal(size=(2000, 3)), 2, axis=0)
    origins[1::2] *= -rng.uniform(0.1, 10, (2000, 1))
    track = np.repeat(np.arange(2000), 2)
    observations = Observations(track, np.tile([0, 1], 2000), track, np.zeros((4000, 2)))
    spread = ray_spread_deg(observations, origins, np.zeros((2000, 3)), np.ones(4000, bool))
    np.testing.assert_allclose(spread, 180.0, atol=1e-5)
