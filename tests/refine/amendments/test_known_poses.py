"""Known poses, of all frames or of some: they stay where they are fixed, and give way as priors where matches know."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scenes import LANDSCAPE, PORTRAIT, Make, Synthetic

from da3_pipeline.geometry import Sim3, align_cameras, centres, nearest_rotation, rotation_angle_deg
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine import RefineConfig
from da3_pipeline.refine.amendments.known_poses import _as_priors, _deviation
from da3_pipeline.refine.refinement import refine_matched
from da3_pipeline.types import Scene

Float = NDArray[np.float64]

ELSEWHERE = Sim3(
    2.5, nearest_rotation(np.array([[1.0, 0.4, 0.2], [-0.3, 1.0, 0.6], [0.1, -0.5, 1.0]])), np.array([40.0, -7.0, 3.0])
)


def refine(capture: Synthetic, known: dict[int, Float], poses_as: str = "fixed", **priors: float) -> Scene:
    frames = tuple(
        replace(frame, known_cam_from_world=known.get(k)) for k, frame in enumerate(capture.prediction.frames.frames)
    )
    prediction = replace(capture.prediction, frames=replace(capture.prediction.frames, frames=frames))
    config = RefineConfig(solve={"poses_as": poses_as}, priors=priors)
    return refine_matched(prediction, capture.correspondences, config, SilentProgress())


def noisy(poses: Float, degrees: float, shift: float, seed: int = 0) -> Float:
    rng = np.random.default_rng(seed)
    extent = float(np.linalg.norm(np.ptp(centres(poses), axis=0)))
    out = []
    for pose, centre in zip(poses, centres(poses), strict=True):
        turn, _ = cv2.Rodrigues(np.radians(degrees) * rng.standard_normal(3) / np.sqrt(3))
        rotation = turn @ pose[:, :3]
        moved = centre + shift * extent * rng.standard_normal(3) / np.sqrt(3)
        out.append(np.concatenate([rotation, -(rotation @ moved)[:, None]], axis=1))
    return np.stack(out)


def test_some_known_poses_stay_and_the_others_come_to_them(make_capture: Make) -> None:
    capture = make_capture(frames=12)
    world = ELSEWHERE.apply_to_cameras(capture.cam_from_world)
    known = [1, 4, 5, 10]
    scene = refine(capture, {k: world[k] for k in known})
    assert scene.figures["known_poses"] == scene.figures["known_poses_held"] == 4
    np.testing.assert_allclose(scene.cam_from_world[known], world[known], atol=1e-9)
    assert rotation_angle_deg(scene.cam_from_world[:, :, :3], world[:, :, :3]).max() < 0.3
    extent = np.linalg.norm(np.ptp(centres(world), axis=0))
    assert np.linalg.norm(centres(scene.cam_from_world) - centres(world), axis=1).max() < 0.01 * extent


def test_some_known_poses_of_few_frames_stay_beside_the_prior(make_capture: Make) -> None:
    capture = make_capture(frames=5)
    known = [0, 3]
    scene = refine(capture, {k: capture.cam_from_world[k] for k in known})
    assert scene.figures["known_poses_held"] == 2
    np.testing.assert_allclose(scene.cam_from_world[known], capture.cam_from_world[known], atol=1e-9)
    assert rotation_angle_deg(scene.cam_from_world[:, :, :3], capture.cam_from_world[:, :, :3]).max() < 0.5


def test_one_known_pose_gives_the_place_and_the_orientation(make_capture: Make) -> None:
    capture = make_capture(frames=10)
    world = ELSEWHERE.apply_to_cameras(capture.cam_from_world)
    scene = refine(capture, {3: world[3]})
    np.testing.assert_allclose(scene.cam_from_world[3], world[3], atol=1e-9)
    assert capture.pose_errors(scene.cam_from_world)[0] < 0.3


def test_false_known_poses_do_not_bend_the_others(make_capture: Make, caplog: pytest.LogCaptureFixture) -> None:
    capture = make_capture(frames=12)
    false = noisy(capture.cam_from_world, 12.0, 0.1)
    scene = refine(capture, {k: false[k] for k in (1, 4, 7, 10)})
    assert scene.figures["known_poses"] == 4 and scene.figures["known_poses_held"] == 0
    assert "not held" in caplog.text
    rotation_deg, shift = capture.pose_errors(scene.cam_from_world)
    assert rotation_deg < 0.3 and shift < 0.01


@pytest.mark.parametrize("count", [5, 12])
def test_noisy_poses_as_priors_give_way_to_matches(count: int, make_capture: Make) -> None:
    lenses = (LANDSCAPE,) if count < 8 else (LANDSCAPE, PORTRAIT)  # of few frames distortion is not estimated
    capture = make_capture(frames=count, points=1000, lenses=lenses)
    world = ELSEWHERE.apply_to_cameras(capture.cam_from_world)
    given = noisy(world, 0.4, 0.008)
    as_prior = refine(capture, dict(enumerate(given)), "prior")
    as_truth = refine(capture, dict(enumerate(given)))
    assert np.abs(as_truth.cam_from_world - given).max() < 1e-12
    better, worse = (capture.pose_errors(scene.cam_from_world) for scene in (as_prior, as_truth))
    assert better[0] < 0.5 * worse[0] and better[1] < 0.5 * worse[1]
    # They are in the given world, nearer to the truth than any one given pose.
    off = align_cameras(as_prior.cam_from_world, world)
    assert off.scale == pytest.approx(1.0, abs=0.05)
    assert rotation_angle_deg(off.rotation, np.eye(3)) < 2.0


def test_good_priors_hold_what_few_matches_leave_open(make_capture: Make) -> None:
    """Few points and much noise: held by poses that are told to be good the result is nearer to the truth."""
    capture = make_capture(frames=12, points=100, noise_px=2.0, false_matches=0.0)
    given = noisy(capture.cam_from_world, 0.02, 0.0002)
    alone = capture.pose_errors(refine(capture, {}).cam_from_world)
    told = {"given_rotation_sigma_deg": 0.02, "given_position_sigma": 0.0002}
    scene = refine(capture, dict(enumerate(given)), "prior", **told)
    assert scene.figures["known_poses_held"] == 12
    held = capture.pose_errors(scene.cam_from_world)
    assert held[0] < 0.5 * alone[0] and held[1] < 0.5 * alone[1]


def test_sigmas_of_given_poses_are_radians_and_lengths_of_the_world(make_capture: Make) -> None:
    capture = make_capture(frames=4)
    known = capture.cam_from_world.copy()
    known[1] = np.nan
    config = RefineConfig(priors={"given_rotation_sigma_deg": 1.8, "given_position_sigma": 0.05})
    priors = _as_priors(capture.truth, known, config)
    assert priors.rotation_rad == pytest.approx(np.pi / 100)
    assert priors.position == pytest.approx(0.05 * np.linalg.norm(np.ptp(centres(capture.cam_from_world), axis=0)))
    np.testing.assert_array_equal(priors.cam_from_world, known)
    assert np.isnan(priors.positions).all() and priors.robust_sigmas == config.priors.robust_sigmas


def test_the_deviation_is_the_median_angle_and_distance(make_capture: Make) -> None:
    poses = make_capture(frames=3).cam_from_world
    turns = np.stack([cv2.Rodrigues(np.radians([0.0, 0.0, degrees]))[0] for degrees in (1.0, 2.0, 90.0)])
    rotations = turns @ poses[:, :, :3]
    moved = centres(poses) + np.array([[0.3, 0.4, 0.0], [0.0, 0.0, 3.0], [0.0, 0.1, 0.0]])
    found = np.concatenate([rotations, -rotations @ moved[:, :, None]], axis=2)
    assert _deviation(found, poses) == (pytest.approx(2.0), pytest.approx(0.5))
