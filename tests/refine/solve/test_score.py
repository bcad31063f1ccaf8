"""The score's errors are Sampson's in the pixels of either camera, and what is far away is not called behind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import LANDSCAPE, PORTRAIT, Make, Synthetic

from da3_pipeline.arrays import Float
from da3_pipeline.geometry import Camera, compose, invert
from da3_pipeline.refine.matching.verification import sampson_error_px
from da3_pipeline.refine.solve.problem import Matches
from da3_pipeline.refine.solve.score import agreement, frame_agreement, match_errors_px, precision

LENSES = (LANDSCAPE, replace(PORTRAIT, params=(1900.0, *PORTRAIT.params[1:3], 0.0)))  # one of them much wider


def matched(capture: Synthetic, points: Float, frames: tuple[int, int], moved_px: Float | float = 0.0) -> Matches:
    """Both frames see all points; in the second they are moved aside."""
    first, second = (seen(capture, k, points) for k in frames)
    count = len(points)
    return Matches(
        np.zeros(count, np.int64),
        np.array([frames]),
        first,
        second + moved_px,
        np.zeros((1, 3, 3)),
        np.zeros(1),
    )


def seen(capture: Synthetic, k: int, points: Float) -> Float:
    pose, camera = capture.cam_from_world[k], capture.truth.cameras[capture.frames[k].camera_id]
    return camera.project(points @ pose[:, :3].T + pose[:, 3])


def fundamental(capture: Synthetic, i: int, j: int) -> Float:
    a, b = (capture.cam_from_world[k] for k in (i, j))
    relative = compose(b, invert(a))
    essential = np.cross(np.eye(3), -relative[:, 3]) @ relative[:, :3]
    K_a, K_b = (capture.truth.cameras[capture.frames[k].camera_id].K for k in (i, j))
    return np.linalg.inv(K_b).T @ essential @ np.linalg.inv(K_a)


@pytest.mark.parametrize("frames", [(0, 1), (1, 2), (0, 2), (1, 3)])
def test_errors_are_sampsons_in_working_pixels(frames: tuple[int, int], make_capture: Make) -> None:
    capture = make_capture(frames=4, lenses=LENSES)
    rng = np.random.default_rng(0)
    points = rng.uniform(-1.5, 1.5, (60, 3))
    matches = matched(capture, points, frames, rng.normal(0, 3, (60, 2)))
    problem = replace(capture.problem(), matches=matches)
    errors = match_errors_px(problem, capture.truth)
    expected = sampson_error_px(fundamental(capture, *frames), matches.xy_first, matches.xy_second)
    ahead = np.isfinite(errors)
    assert ahead.mean() > 0.9
    np.testing.assert_allclose(errors[ahead], expected[ahead], rtol=1e-6)


def test_where_the_camera_only_turned_errors_are_the_distance_in_the_second(make_capture: Make) -> None:
    capture = make_capture(frames=2, layout="rotation", lenses=LENSES)
    points = np.random.default_rng(0).uniform(-0.2, 0.2, (40, 3)) + capture.cam_from_world[1, 2, :3] * 8
    problem = replace(capture.problem(), matches=matched(capture, points, (0, 1), np.array([3.0, -4.0])))
    np.testing.assert_allclose(match_errors_px(problem, capture.truth), 5.0, rtol=1e-6)


def test_far_points_are_not_called_behind_for_their_noise(make_capture: Make) -> None:
    """At ten thousand times the baseline half of them meet behind the cameras, by noise alone."""
    capture = make_capture(frames=2, layout="row", lenses=LENSES)
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (300, 3)) * [8e3, 8e3, 1e3] + [0, 0, 5e4]
    problem = replace(capture.problem(), matches=matched(capture, points, (0, 1), rng.normal(0, 0.5, (300, 2))))
    assert np.isfinite(match_errors_px(problem, capture.truth)).all()
    assert agreement(problem, capture.truth) > 0.99


def test_points_behind_either_camera_agree_with_nothing(make_capture: Make) -> None:
    capture = make_capture(frames=2, lenses=LENSES)
    points = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    problem = replace(capture.problem(), matches=matched(capture, points, (0, 1)))
    assert agreement(problem, capture.truth) == 1.0
    swapped = replace(capture.truth, cam_from_world=capture.cam_from_world.copy())
    relative = compose(capture.cam_from_world[1], invert(capture.cam_from_world[0]))
    relative[:, 3] *= -1  # the same epipolar lines, everything behind
    swapped.cam_from_world[1] = compose(relative, capture.cam_from_world[0])
    assert agreement(problem, swapped) == 0.0


def test_two_pixels_are_the_limit_and_frames_count_their_own(make_capture: Make) -> None:
    problem = make_capture(frames=3).problem()
    pair = np.array([0, 0, 1, 1, 1])
    matches = Matches(pair, np.array([[0, 1], [1, 2]]), np.zeros((5, 2)), np.zeros((5, 2)), np.zeros((2, 3, 3)), pair)
    shares = frame_agreement(replace(problem, matches=matches), np.array([1.9, 2.1, 0.0, 2.1, np.inf]))
    np.testing.assert_allclose(shares, [1 / 2, 2 / 5, 1 / 3])
    alone = replace(matches, pair=np.zeros(5, np.int64))
    assert np.isnan(frame_agreement(replace(problem, matches=alone), np.zeros(5))[2])


def test_without_matches_nothing_agrees(make_capture: Make) -> None:
    capture = make_capture(frames=2).with_pairs(())
    assert agreement(capture.problem(), capture.truth) == 0.0


def test_a_frame_without_a_pose_agrees_with_nothing(make_capture: Make) -> None:
    capture = make_capture(frames=3, lenses=(Camera.pinhole(1600, 1200, 1500.0),))
    poses = capture.cam_from_world.copy()
    poses[1] = np.nan
    problem = capture.problem()
    errors = match_errors_px(problem, replace(capture.truth, cam_from_world=poses))
    touched = (problem.matches.frames == 1).any(1)[problem.matches.pair]
    assert np.isinf(errors[touched]).all() and np.isfinite(errors[~touched]).mean() > 0.9


def test_precision_falls_with_the_square_and_ends_at_one_pixel() -> None:
    assert precision(np.zeros(3)) == 1.0
    assert precision(np.array([0.5])) == 0.75
    assert precision(np.array([0.0, 1.0, 10.0, np.inf])) == 0.25, "what is far off is worth nothing, and costs nothing"
    assert precision(np.zeros(0)) == 0.0
