"""The refine stage against truth: from rough, useless and partly broken priors, and on scenes that cannot be solved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scenes import LANDSCAPE, PORTRAIT, WORKING_PX, Make, Synthetic, landscape, with_lookalike

from da3_pipeline.geometry import Camera, Sim3, align_cameras, centres, rotation_angle_deg
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine import RefineConfig, run
from da3_pipeline.refine.matching.correspondences import Correspondences
from da3_pipeline.refine.refinement import refine_matched
from da3_pipeline.types import Scene

Poses = Callable[[int], NDArray[np.float64]]


def refine(capture: Synthetic, config: RefineConfig | None = None) -> Scene:
    return refine_matched(capture.prediction, capture.correspondences, config or RefineConfig(), SilentProgress())


def unbent(camera: Camera) -> Camera:
    return replace(camera, params=(*camera.params[:3], 0.0))


def gate(scene: Scene, name: str) -> bool:
    return next(g.passed for g in scene.verdict.gates if g.name == name)


@pytest.mark.parametrize("prior", ["rough", "very rough", "identical", "random"])
def test_recovers_poses_and_focal_length(
    make_capture: Make, identical_poses: Poses, random_poses: Poses, prior: str
) -> None:
    capture = make_capture(prior_deg=20.0 if prior == "very rough" else 5.0, prior_shift=0.1)
    if prior == "identical":
        capture = capture.with_prior(identical_poses(8))
    elif prior == "random":
        capture = capture.with_prior(random_poses(8))
    scene = refine(capture)
    rotation_deg, shift = capture.pose_errors(scene.cam_from_world)
    assert rotation_deg < 0.2
    assert shift < 0.01
    assert scene.pose_source == ("refined",) * 8
    assert capture.focal_error(scene.cameras) < 0.01
    assert {key: (c.width, c.height) for key, c in scene.cameras.items()} == {
        "landscape": (3200, 2400),
        "portrait": (3000, 4000),
    }
    assert scene.verdict.passed, scene.verdict.summary
    assert sum(candidate.chosen for candidate in scene.candidates) == 1


def test_finds_k1_of_each_shared_camera(make_capture: Make) -> None:
    capture = make_capture(lenses=(landscape(k1=-0.12), PORTRAIT), frames=10, points=900)
    found = refine(capture).cameras
    for key, true in capture.cameras.items():
        grid = np.array([[0.06, 0.08], [0.5, 0.12], [0.94, 0.92], [0.5, 0.5]]) * [true.width, true.height]
        off = np.abs(found[key].unproject(grid) - true.unproject(grid)).max()
        assert off * true.focal_px < 5.0 < np.abs(unbent(true).unproject(grid) - true.unproject(grid)).max() * 3000


def test_distortion_stays_out_where_features_bunch_in_the_centre(make_capture: Make) -> None:
    capture = make_capture(layout="arc", points=600)
    near = [
        np.linalg.norm(f.xy - [frame.width / 2, frame.height / 2], axis=1) < 0.27 * min(frame.width, frame.height)
        for f, frame in zip(capture.correspondences.features, capture.frames, strict=True)
    ]
    pairs = tuple(
        replace(p, matches=p.matches[near[p.i][p.matches[:, 0]] & near[p.j][p.matches[:, 1]]])
        for p in capture.correspondences.pairs
    )
    scene = refine(capture.with_pairs(pairs))
    assert {camera.model for camera in scene.cameras.values()} == {"SIMPLE_PINHOLE"}


def test_a_camera_far_off_is_registered_anew(make_capture: Make, random_poses: Poses) -> None:
    capture = make_capture(frames=10, prior_deg=2.0, prior_shift=0.02)
    broken = capture.prediction.cam_from_world.copy()
    broken[4] = random_poses(1)[0]
    scene = refine(capture.with_prior(broken))
    assert capture.pose_errors(scene.cam_from_world)[0] < 0.2
    assert scene.candidates[0].name == "prior"


def test_two_runs_give_the_same_bits(make_capture: Make, identical_poses: Poses) -> None:
    for capture in (make_capture(), make_capture().with_prior(identical_poses(8))):
        first, second = refine(capture), refine(capture)
        assert np.array_equal(first.cam_from_world, second.cam_from_world)
        assert np.array_equal(first.tracks.points, second.tracks.points)


def test_tracks_are_consistent_with_the_scene(make_capture: Make) -> None:
    capture = make_capture()
    scene = refine(capture)
    tracks, lengths = scene.tracks, np.bincount(scene.tracks.observation_point)
    assert len(lengths) == len(tracks) and lengths.min() >= 2
    seen = set(zip(tracks.observation_point.tolist(), tracks.observation_frame.tolist(), strict=True))
    assert len(seen) == len(tracks.observation_point)
    for index in range(8):
        mine = tracks.observation_frame == index
        pose = scene.cam_from_world[index]
        in_camera = tracks.points[tracks.observation_point[mine]] @ pose[:, :3].T + pose[:, 3]
        camera = scene.cameras[capture.frames[index].camera_id]
        error = np.linalg.norm(camera.project(in_camera) - tracks.observation_xy[mine], axis=1)
        error *= WORKING_PX / max(camera.width, camera.height)
        assert np.median(error) < 0.8 and error.max() < 4.01
    assert (tracks.colours == (200, 120, 40)).all()


def test_large_photographs_are_solved_small_and_returned_in_their_own_pixels(make_capture: Make) -> None:
    capture = make_capture()
    config = RefineConfig.model_validate({"features": {"max_long_side_px": 400}})
    scene = refine(capture, config)
    assert [camera.width for camera in scene.cameras.values()] == [3200, 3000]
    assert capture.focal_error(scene.cameras) < 0.01
    assert capture.pose_errors(scene.cam_from_world)[0] < 0.3


def test_depth_scale_turns_the_priors_depth_into_scene_units(make_capture: Make) -> None:
    capture = make_capture(surface="relief", prior_deg=1.0)
    scene = refine(capture)
    tracks = scene.tracks
    for index in range(8):
        mine = tracks.observation_frame == index
        pose = scene.cam_from_world[index]
        depth = tracks.points[tracks.observation_point[mine]] @ pose[2, :3] + pose[2, 3]
        assert scene.depth_scale[index] == pytest.approx(np.median(depth), rel=0.05)  # the prior says 1 everywhere


def test_planar_scene(make_capture: Make) -> None:
    capture = make_capture(surface="plane", prior_focal=1.0)
    scene = refine(capture)
    assert capture.pose_errors(scene.cam_from_world)[0] < 1.5
    assert scene.pose_source == ("refined",) * 8


@pytest.mark.parametrize("bent", [False, True])
def test_pure_rotation_is_turned_by_matches_placed_by_the_prior_and_said_to_be(bent: bool, make_capture: Make) -> None:
    """A lens that bends lines unknown to the solver passes for a little depth: the verdict does not believe it."""
    lenses = (LANDSCAPE, PORTRAIT if bent else unbent(PORTRAIT))
    capture = make_capture(layout="rotation", prior_deg=1.0, prior_focal=1.0, lenses=lenses)
    scene = refine(capture)
    assert bent or scene.pose_source == ("guided",) * 8
    assert not scene.verdict.passed
    assert bent or not gate(scene, "refined share")
    before, after = (
        rotation_angle_deg(poses[1:, :, :3] @ poses[0, :, :3].T, relative_truth)
        for relative_truth in [capture.cam_from_world[1:, :, :3] @ capture.cam_from_world[0, :, :3].T]
        for poses in (capture.prediction.cam_from_world, scene.cam_from_world)
    )
    assert after.max() < 0.6 < 1.2 < before.max()


def test_no_matches_at_all(make_capture: Make) -> None:
    capture = make_capture(frames=4)
    features = tuple(type(f).empty() for f in capture.correspondences.features)
    scene = refine(replace(capture, correspondences=Correspondences(features, ())))
    assert scene.pose_source == ("unverified",) * 4
    assert len(scene.tracks) == 0
    assert not scene.verdict.passed and "prior" in scene.verdict.summary


def test_a_frame_without_features_follows_the_prior(make_capture: Make) -> None:
    capture = make_capture(prior_deg=0.5, prior_shift=0.005)
    features = list(capture.correspondences.features)
    features[3] = type(features[3]).empty()
    pairs = tuple(p for p in capture.correspondences.pairs if 3 not in (p.i, p.j))
    # The prior lives in a world of its own: the frame must be moved along.
    elsewhere = Sim3(3.0, align_cameras(capture.cam_from_world[:1], capture.cam_from_world[5:6]).rotation, np.ones(3))
    prior = elsewhere.apply_to_cameras(capture.prediction.cam_from_world)
    scene = refine(replace(capture.with_prior(prior), correspondences=Correspondences(tuple(features), pairs)))
    assert scene.pose_source[3] == "prior" and scene.pose_source.count("refined") == 7
    assert capture.pose_errors(scene.cam_from_world)[1] < 0.05
    assert scene.trust.poses and not scene.unverified


def test_neighbours_that_are_torn_apart_fail_the_verdict_and_are_named(make_capture: Make) -> None:
    capture = make_capture(lenses=(landscape(),)).filmed()
    capture = capture.with_prior(np.tile(np.eye(3, 4), (8, 1, 1)))  # which knows nothing, and is not asked
    scene = refine(with_lookalike(capture, 2, 3))
    assert not gate(scene, "refuted neighbours")
    names = [capture.frames[k].name for k in (2, 3)]
    assert f"torn apart: {names[0]} and {names[1]} are next to each other" in scene.verdict.summary
    assert f"add images between {names[0]} and {names[1]}" in scene.verdict.summary
    assert gate(refine(capture), "refuted neighbours")


def test_a_frame_that_matches_nothing_is_named_and_another_place_does_not_fail_the_rest(make_capture: Make) -> None:
    """Of ten frames one shows another place: nothing in it matches, and the prior has not proved itself."""
    capture = make_capture(frames=10, lenses=(landscape(),))
    pairs = tuple(pair for pair in capture.correspondences.pairs if 9 not in (pair.i, pair.j))
    alone = replace(capture.with_pairs(pairs).with_prior(np.tile(np.eye(3, 4), (10, 1, 1))))
    scene = refine(alone)
    assert scene.pose_source == ("refined",) * 9 + ("unverified",)
    stranger = capture.frames[9].name
    assert "nothing in it matches any other image" in scene.unverified[stranger]
    assert gate(scene, "refined share")
    assert f"9 of 10 images, left out: {stranger}" in scene.verdict.summary


def test_disconnected_halves_fail_the_verdict(make_capture: Make) -> None:
    capture = make_capture(frames=10, layout="halves", prior_deg=1.0, prior_shift=0.0)
    scene = refine(capture)
    assert scene.pose_source.count("refined") == 5
    assert scene.figures["components"] == 2
    assert not scene.verdict.passed
    assert np.isfinite(scene.cam_from_world).all()


def test_two_frames(make_capture: Make) -> None:
    capture = make_capture(frames=2, prior_focal=1.0, lenses=(landscape(),))
    scene = refine(capture)
    assert scene.pose_source == ("refined", "refined")
    assert capture.pose_errors(scene.cam_from_world)[0] < 1.0
    assert capture.focal_error(scene.cameras) < 0.02


def test_given_poses_and_camera_stay_untouched(make_capture: Make) -> None:
    capture = make_capture()
    frames = tuple(
        replace(frame, known_cam_from_world=pose, known_camera=capture.cameras[frame.camera_id])
        for frame, pose in zip(capture.frames, capture.cam_from_world, strict=True)
    )
    scene = refine(capture.with_frames(frames))
    assert np.abs(scene.cam_from_world - capture.cam_from_world).max() < 1e-12
    for key, camera in capture.cameras.items():
        assert scene.cameras[key].params == pytest.approx(camera.params)
    assert scene.verdict.passed and len(scene.tracks) > 400


def test_wrong_matches_never_make_a_good_verdict(make_capture: Make) -> None:
    capture = make_capture(frames=6)
    rng = np.random.default_rng(0)
    shuffled = tuple(
        replace(p, matches=np.column_stack([p.matches[:, 0], rng.permutation(p.matches[:, 1])]))
        for p in capture.correspondences.pairs
    )
    scene = refine(replace(capture, correspondences=replace(capture.correspondences, pairs=shuffled)))
    assert not scene.verdict.passed


def test_a_pair_that_only_looks_alike_is_outvoted_and_counted(make_capture: Make) -> None:
    capture = make_capture(frames=10)
    assert refine(capture).figures["false_pairs"] == 0
    first, last = capture.correspondences.pairs[0], capture.correspondences.pairs[-1]
    # The matches of a true pair, claimed to be between two other frames: consistent with a geometry, the wrong one.
    rows = np.minimum(first.matches, len(capture.correspondences.features[9].xy) - 1)
    alike = replace(first, i=0, j=9, matches=rows, fundamental=last.fundamental)
    others = tuple(pair for pair in capture.correspondences.pairs if (pair.i, pair.j) != (0, 9))
    scene = refine(replace(capture, correspondences=replace(capture.correspondences, pairs=(*others, alike))))
    rotation_deg, shift = capture.pose_errors(scene.cam_from_world)
    assert rotation_deg < 0.2 and shift < 0.01
    assert scene.figures["false_pairs"] == 1


def test_switched_off_gives_the_prior(make_capture: Make) -> None:
    prediction = make_capture(frames=3).prediction
    scene = run(prediction, RefineConfig(refine=False), SilentProgress())
    assert np.array_equal(scene.cam_from_world, prediction.cam_from_world)
    assert scene.pose_source == ("prior",) * 3
    assert scene.cameras == prediction.cameras
    assert (scene.depth_scale == 1).all()
    assert not scene.verdict.passed
    assert np.isfinite(centres(scene.cam_from_world)).all()
