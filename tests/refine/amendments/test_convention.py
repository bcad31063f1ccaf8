"""Given poses in the wrong convention are recognised and read right; right ones, and what cannot be told, never."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scenes import Make, Synthetic

from da3_pipeline.geometry import Sim3, centres, compose, identity, invert, nearest_rotation, rotation_angle_deg
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine import RefineConfig
from da3_pipeline.refine.amendments.convention import Convention, find_convention
from da3_pipeline.refine.refinement import refine_matched

Float = NDArray[np.float64]

F = np.concatenate([np.diag([1.0, -1.0, -1.0]), np.zeros((3, 1))], axis=1)
TURN = nearest_rotation(np.array([[1.0, 0.4, 0.2], [-0.3, 1.0, 0.6], [0.1, -0.5, 1.0]]))
WORLD = Sim3(1.7, TURN, np.array([3.0, -2.0, 5.0]))

# What a file holds in each convention, from the true cam_from_world, and how each kind of file is read.
HELD = {
    "cam_from_world with OpenCV axes": lambda pose: pose,
    "cam_from_world with OpenGL axes": lambda pose: compose(F, pose),
    "world_from_cam with OpenCV axes": invert,
    "world_from_cam with OpenGL axes": lambda pose: compose(invert(pose), F),
}
READ = {"colmap": lambda held: held, "transforms": lambda held: compose(F, invert(held))}
OWN = {"colmap": "cam_from_world with OpenCV axes", "transforms": "world_from_cam with OpenGL axes"}


def given(capture: Synthetic, form: str, poses: Float, count: int | None = None) -> Synthetic:
    """The capture with `poses` as they were read from a file of that form, for all frames or the first `count`."""
    frames = tuple(
        replace(frame, known_cam_from_world=pose, known_pose_form=form) if count is None or k < count else frame
        for k, (frame, pose) in enumerate(zip(capture.prediction.frames.frames, poses, strict=True))
    )
    prediction = replace(capture.prediction, frames=replace(capture.prediction.frames, frames=frames))
    return replace(capture, prediction=prediction)


def found(capture: Synthetic) -> Convention | None:
    problem = capture.problem()
    return find_convention(problem, capture.prediction.frames.frames, RefineConfig())


def noisy(poses: Float, degrees: float, shift: float, seed: int = 0) -> Float:
    rng = np.random.default_rng(seed)
    extent = float(np.linalg.norm(np.ptp(centres(poses), axis=0)))
    turns = np.stack([cv2.Rodrigues(np.radians(degrees) * rng.standard_normal(3) / np.sqrt(3))[0] for _ in poses])
    rotations = turns @ poses[:, :, :3]
    moved = centres(poses) + shift * extent * rng.standard_normal((len(poses), 3)) / np.sqrt(3)
    return np.concatenate([rotations, -rotations @ moved[:, :, None]], axis=2)


@pytest.mark.parametrize("degrees", [0.0, 5.0])
@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("form", READ)
def test_each_convention_is_told_from_the_others(form: str, held: str, degrees: float, make_capture: Make) -> None:
    capture = make_capture(frames=10)
    truth = noisy(WORLD.apply_to_cameras(capture.cam_from_world), degrees, degrees / 100)
    convention = found(given(capture, form, READ[form](HELD[held](truth))))
    if held == OWN[form]:
        assert convention is None
    else:
        assert convention is not None and convention.certain
        assert f"may be {held}, not {OWN[form]}" in replace(convention, certain=False).sentence
        np.testing.assert_allclose(convention.read(READ[form](HELD[held](truth))), truth, atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("layout", ["arc", "row", "rig"])
def test_right_poses_are_never_called_wrong(layout: str, seed: int, make_capture: Make) -> None:
    capture = make_capture(frames=9, layout=layout, seed=seed, prior_focal=1.3)
    for degrees in (0.0, 2.0, 5.0, 10.0):
        poses = noisy(WORLD.apply_to_cameras(capture.cam_from_world), degrees, degrees / 100, seed)
        assert found(given(capture, "colmap", poses)) is None


def test_poses_that_have_nothing_to_do_with_the_pictures_are_in_no_convention(
    make_capture: Make, random_poses: Callable[[int], Float]
) -> None:
    assert found(given(make_capture(frames=10), "colmap", random_poses(10))) is None


@pytest.mark.parametrize("held", HELD)
def test_where_it_cannot_be_told_nothing_is_said(held: str, make_capture: Make) -> None:
    few = make_capture(frames=3)
    assert found(given(few, "colmap", HELD[held](few.cam_from_world))) is None
    spun = make_capture(frames=10, layout="rotation")
    assert found(given(spun, "colmap", HELD[held](spun.cam_from_world))) is None
    some = make_capture(frames=10)
    assert found(given(some, "colmap", HELD[held](some.cam_from_world), count=2)) is None
    assert found(given(some, "colmap", HELD[held](identity(10)))) is None


def test_wrong_poses_are_read_right_and_the_scene_says_so(make_capture: Make, caplog: pytest.LogCaptureFixture) -> None:
    capture = make_capture(frames=10)
    truth = WORLD.apply_to_cameras(capture.cam_from_world)
    wrong = given(capture, "colmap", invert(truth))
    scene = refine_matched(wrong.prediction, wrong.correspondences, RefineConfig(), SilentProgress())
    np.testing.assert_allclose(scene.cam_from_world, truth, atol=1e-9)
    assert scene.verdict.passed
    assert "are world_from_cam with OpenCV axes, not cam_from_world" in scene.verdict.summary
    assert scene.verdict.summary.count("\n") == 0 and "were read so" in caplog.text
    assert scene.figures["poses_corrected"] == 1
    assert scene.figures["pose_pairs_as_read"] > 0.8 > 0.3 > scene.figures["pose_pairs_as_given"]


def test_told_not_to_correct_it_only_says_so(make_capture: Make) -> None:
    capture = make_capture(frames=10)
    wrong = given(capture, "transforms", compose(F, WORLD.apply_to_cameras(capture.cam_from_world)))
    config = RefineConfig(solve={"correct_poses": False})
    scene = refine_matched(wrong.prediction, wrong.correspondences, config, SilentProgress())
    assert not scene.verdict.passed
    assert "are world_from_cam with OpenCV axes" in scene.verdict.summary and "correct them" in scene.verdict.summary
    assert scene.figures["poses_corrected"] == 0


def test_poses_of_some_frames_are_read_right_too(make_capture: Make) -> None:
    capture = make_capture(frames=12)
    truth = WORLD.apply_to_cameras(capture.cam_from_world)
    wrong = given(capture, "transforms", compose(F, truth), count=8)
    scene = refine_matched(wrong.prediction, wrong.correspondences, RefineConfig(), SilentProgress())
    assert scene.figures["known_poses_held"] == 8
    np.testing.assert_allclose(scene.cam_from_world[:8], truth[:8], atol=1e-9)
    assert rotation_angle_deg(scene.cam_from_world[:, :, :3], truth[:, :, :3]).max() < 0.3


def test_six_pairs_are_the_fewest_that_speak(make_capture: Make) -> None:
    """All six of four frames; one less, and chance may decide."""
    capture = make_capture(frames=4)
    wrong = given(capture, "colmap", invert(capture.cam_from_world))
    assert found(wrong) is not None
    fewer = wrong.with_pairs(wrong.correspondences.pairs[:5])
    assert found(fewer) is None
    assert found(given(make_capture(frames=4, points=45), "colmap", invert(capture.cam_from_world))) is None


def test_of_many_pairs_every_so_many_th_is_asked(make_capture: Make) -> None:
    capture = make_capture(frames=8)
    wrong = given(capture, "colmap", invert(capture.cam_from_world))
    for most, asked in ((28, 28), (27, 14), (10, 10), (9, 7)):
        config = RefineConfig(convention={"most_pairs": most})
        told = find_convention(wrong.problem(), wrong.frames, config)
        assert told is not None and told.pairs == asked


def test_the_form_is_that_of_the_frames_that_have_a_pose(make_capture: Make) -> None:
    """The first frames have none."""
    capture = make_capture(frames=10)
    held = HELD["world_from_cam with OpenCV axes"](capture.cam_from_world)
    told = given(capture, "transforms", READ["transforms"](held))
    late = told.with_frames(capture.frames[k] if k < 3 else frame for k, frame in enumerate(told.frames))
    convention = found(late)
    assert convention is not None and convention.transforms and not convention.applied
    np.testing.assert_allclose(convention.read(READ["transforms"](held)), capture.cam_from_world, atol=1e-9)


def test_a_reading_that_explains_two_thirds_is_not_certain(
    make_capture: Make, random_poses: Callable[[int], Float]
) -> None:
    """Two of ten given poses are anything: 28 of 45 pairs can agree."""
    capture = make_capture(frames=10)
    poses = capture.cam_from_world.copy()
    poses[[3, 6]] = random_poses(2)
    convention = found(given(capture, "colmap", invert(poses)))
    assert convention is not None and not convention.certain
    assert 0.5 <= convention.as_read < 0.7
    assert "may be world_from_cam" in convention.sentence
