"""Cameras on a rig: what is known of them, what is measured, and an adjustment in which they move together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scenes import Make, Synthetic, landscape, on_spheres

from da3_pipeline.geometry import compose, invert, rotation_angle_deg
from da3_pipeline.geometry.poses import nearest_rotation
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine import RefineConfig
from da3_pipeline.refine.config import AdjustmentConfig
from da3_pipeline.refine.initialisation.candidates import compete
from da3_pipeline.refine.refinement import refine_matched
from da3_pipeline.refine.solve.adjustment import Adjustment, adjust
from da3_pipeline.refine.solve.problem import Estimate, Problem, rigs_in_world
from da3_pipeline.refine.solve.rigs import rigs_of
from da3_pipeline.refine.solve.rounds import fit_points, refine_estimate
from da3_pipeline.types import RigPlace

LEFT_FROM_RIGHT = np.array([[0.995, 0.0, 0.0998, 0.4], [0.0, 1.0, 0.0, 0.0], [-0.0998, 0.0, 0.995, 0.05]])


def on_rig(capture: Synthetic, given: NDArray[np.float64] | None) -> Synthetic:
    """Even frames are the reference `left`, odd ones (of the upright camera) `right` of the instant before."""
    frames = tuple(
        replace(
            frame,
            camera_id="right" if k % 2 else "left",
            rig=RigPlace("head", "right" if k % 2 else "left", str(k // 2), k % 2 == 0, given if k % 2 else None),
        )
        for k, frame in enumerate(capture.prediction.frames.frames)
    )
    guess, true = (
        {"left": cameras["landscape"], "right": cameras["portrait"]}
        for cameras in (capture.prediction.cameras, capture.cameras)
    )
    capture = replace(capture, prediction=replace(capture.prediction, cameras=guess), cameras=true)
    return capture.with_frames(frames)


def test_relative_poses_are_measured_and_frames_completed(make_capture: Make) -> None:
    capture = on_rig(make_capture(frames=6), None)
    rigs = rigs_of(capture.prediction.frames.frames)
    assert rigs is not None and rigs.num_rigs == 1 and rigs.reference_camera(0) == "left"
    poses = capture.cam_from_world.copy()
    right_from_left = np.concatenate([LEFT_FROM_RIGHT[:, :3].T, [[-0.4], [0.0], [-0.05]]], axis=1)
    right_from_left[:, :3] = np.linalg.svd(right_from_left[:, :3])[0] @ np.linalg.svd(right_from_left[:, :3])[2]
    poses[1::2] = compose(right_from_left, poses[::2])
    measured = rigs.measured(poses)
    np.testing.assert_allclose(measured.cam_from_rig[measured.sensor_of_camera["right"]], right_from_left, atol=1e-9)
    lost = poses.copy()
    lost[3] = np.nan
    np.testing.assert_allclose(measured.completed(lost), poses, atol=1e-9)


def test_each_rig_is_measured_at_its_own_instants(make_capture: Make) -> None:
    """Two rigs in turn, whose instants have the same names; of one instant the reference is lost, of another a pose."""
    capture = make_capture(frames=16)
    one = np.concatenate([nearest_rotation(LEFT_FROM_RIGHT[:, :3]), LEFT_FROM_RIGHT[:, 3:]], axis=1)
    right_from_left = {"a": one, "b": invert(one)}
    poses = capture.cam_from_world.copy()
    frames = []
    for k, frame in enumerate(capture.prediction.frames.frames):
        rig, sensor, instant = "ab"[k % 4 // 2], ("left", "right")[k % 2], str(k // 4)
        place = RigPlace(rig, sensor, instant, sensor == "left", None)
        frames.append(replace(frame, camera_id=f"{rig} {sensor}", rig=place))
        if sensor == "right":
            poses[k] = compose(right_from_left[rig], poses[k - 1])
    rigs = rigs_of([frame for k, frame in enumerate(frames) if k != 4])
    assert rigs is not None and rigs.num_rigs == 2
    seen = np.delete(poses, 4, axis=0)
    seen[-1] = np.nan
    measured = rigs.measured(seen)
    for rig, pose in right_from_left.items():
        np.testing.assert_allclose(measured.cam_from_rig[measured.sensor_of_camera[f"{rig} right"]], pose, atol=1e-9)
    np.testing.assert_allclose(measured.completed(seen), np.delete(poses, 4, axis=0), atol=1e-9)


def test_given_relative_poses_set_the_scale(make_capture: Make) -> None:
    capture = make_capture(frames=6)
    given = np.concatenate([np.eye(3), [[-0.5], [0.0], [0.0]]], axis=1)
    rigs = rigs_of(on_rig(capture, given).prediction.frames.frames)
    assert rigs is not None
    poses = capture.cam_from_world.copy()
    poses[1::2] = compose(np.concatenate([np.eye(3), [[-1.5], [0.0], [0.0]]], axis=1), poses[::2])
    assert rigs.scale_to_world(poses) == pytest.approx(3.0)
    scaled = rigs.scaled(3.0)
    assert scaled.cam_from_rig[scaled.sensor_of_camera["right"], 0, 3] == pytest.approx(-1.5)


def test_frames_without_a_rig_have_none(make_capture: Make) -> None:
    assert rigs_of(make_capture(frames=3).prediction.frames.frames) is None


def test_refined_rigs_are_rigid(make_capture: Make) -> None:
    """Truth whose odd frames are not bolted to the even ones would be bent; here they are, and the fit says so."""
    capture = on_rig(make_capture(frames=10, layout="rig", prior_deg=2.0, prior_focal=1.05), None)
    scene = refine_matched(capture.prediction, capture.correspondences, RefineConfig(), SilentProgress())
    relative = compose(scene.cam_from_world[1::2], invert(scene.cam_from_world[::2]))
    assert rotation_angle_deg(relative[:, :, :3], relative[:1, :, :3]).max() < 1e-6
    np.testing.assert_allclose(relative, np.tile(relative[:1], (5, 1, 1)), atol=1e-6)
    rotation_deg, shift = capture.pose_errors(scene.cam_from_world)
    assert rotation_deg < 0.2
    assert shift < 0.01


def test_a_rig_without_its_reference_takes_another(make_capture: Make) -> None:
    frames = on_rig(make_capture(frames=6), None).prediction.frames.frames
    third = np.array([[1.0, 0, 0, -0.5], [0, 1, 0, 0], [0, 0, 1, 0.1]])
    second = np.array([[0.0, 0, 1, -0.3], [0, 1, 0, 0.2], [-1, 0, 0, 0]])
    lone = [
        replace(frame, camera_id=name, rig=RigPlace("head", name, frame.rig.instant, False, pose))
        for frame in frames
        for name, pose in [("b", second) if frame.rig.reference else ("c", third)]
    ]
    rigs = rigs_of(lone)
    assert rigs is not None and rigs.reference_camera(0) == "b"
    np.testing.assert_allclose(rigs.cam_from_rig[rigs.sensor_of_camera["c"]], compose(third, invert(second)))
    poses = np.tile(np.eye(3, 4), (6, 1, 1))
    assert rigs.completed(rigs.measured(poses).scaled(rigs.scale_to_world(poses)).completed(poses)).shape == (6, 3, 4)


def test_an_instant_with_one_image_only_is_adjusted_like_the_others(make_capture: Make) -> None:
    """The right image of one instant and the left one of another are missing: what is there is placed all the same."""
    capture = on_rig(make_capture(frames=12, layout="rig", prior_deg=2.0, prior_focal=1.05), None)
    there = [k for k in range(12) if k not in (3, 6)]
    number = {k: n for n, k in enumerate(there)}
    prediction, matches = capture.prediction, capture.correspondences
    part = replace(
        capture,
        prediction=replace(
            prediction,
            frames=replace(prediction.frames, frames=tuple(prediction.frames.frames[k] for k in there)),
            depth=prediction.depth[there],
            conf=prediction.conf[there],
            cam_from_world=prediction.cam_from_world[there],
            view_intrinsics=prediction.view_intrinsics[there],
            pixel_maps=prediction.pixel_maps[:10],
        ),
        correspondences=replace(
            matches,
            features=tuple(matches.features[k] for k in there),
            pairs=tuple(
                replace(pair, i=number[pair.i], j=number[pair.j])
                for pair in matches.pairs
                if pair.i in number and pair.j in number
            ),
        ),
        cam_from_world=capture.cam_from_world[there],
    )
    scene = refine_matched(part.prediction, part.correspondences, RefineConfig(), SilentProgress())
    rotation_deg, shift = part.pose_errors(scene.cam_from_world)
    assert rotation_deg < 0.2
    assert shift < 0.01


def test_the_reference_of_each_rig_is_its_own_whichever_frame_comes_first(make_capture: Make) -> None:
    capture = make_capture(frames=8)
    frames = [
        replace(frame, camera_id=f"{rig}{sensor}", rig=RigPlace(rig, sensor, str(k // 4), sensor == "2", None))
        for k, frame in enumerate(capture.frames)
        for rig, sensor in [("aabb"[k % 4], "1212"[k % 4])]
    ]
    rigs = rigs_of(frames)
    assert rigs is not None
    assert [rigs.reference_camera(rig) for rig in (0, 1)] == ["a2", "b2"]


def three_cameras(capture: Synthetic) -> Problem:
    """Two on a rig, `a` the reference and `c`; frames of a third, `b`, stand alone."""
    names = ["a", "c", "b", "b"]
    sizes = {name: capture.prediction.cameras[capture.frames[k].camera_id] for k, name in ((0, "a"), (1, "c"))}
    frames = [
        replace(
            frame,
            camera_id=names[k % 4] + ("" if k % 4 < 3 else "'"),
            rig=RigPlace("head", names[k % 4], str(k // 4), k % 4 == 0, None) if k % 4 < 2 else None,
        )
        for k, frame in enumerate(capture.frames)
    ]
    cameras = {"a": sizes["a"], "c": sizes["c"], "b": sizes["a"], "b'": sizes["c"]}
    return replace(capture, prediction=replace(capture.prediction, cameras=cameras)).with_frames(frames).problem()


def test_cameras_beside_a_rig_are_adjusted_with_it(make_capture: Make) -> None:
    capture = make_capture(frames=12, layout="rig", noise_px=0.2, false_matches=0.0)
    problem = three_cameras(capture)
    cameras = {
        name: capture.truth.cameras["landscape" if name in "ab" else "portrait"] for name in problem.camera_names
    }
    truth = Estimate(capture.cam_from_world, cameras)
    rough = capture.cam_from_world.copy()
    rough[::2, :, 3] += 0.03 * np.random.default_rng(0).standard_normal((6, 3))
    rough[1::4] = compose(capture.cam_from_world[1], compose(invert(capture.cam_from_world[0]), rough[::4]))
    start = replace(truth, cam_from_world=rough)
    rigs = rigs_in_world(problem, start)
    for _ in range(3):
        fit = fit_points(problem, start, 1.0)
        start, _ = adjust(problem, start, fit.points, fit.kept, Adjustment(1.0, AdjustmentConfig(), rigs=rigs))
    rotation_deg, shift = capture.pose_errors(start.cam_from_world)
    assert rotation_deg < 0.1 and shift < 0.005
    relative = compose(start.cam_from_world[1::4], invert(start.cam_from_world[::4]))
    np.testing.assert_allclose(relative, np.tile(relative[:1], (3, 1, 1)), atol=1e-6)


def test_views_of_one_centre_compete_together(make_capture: Make) -> None:
    """Views that look away from each other share no match: nothing but their rig says how they stand."""
    capture = on_spheres(make_capture(frames=15, layout="around", lenses=(landscape(1600.0),), points=1200))
    silent = 4
    pairs = tuple(pair for pair in capture.correspondences.pairs if silent not in (pair.i, pair.j))
    assert all(pair.i % 3 == pair.j % 3 for pair in pairs), "three sights"
    candidates = compete(capture.with_pairs(pairs).problem(), RefineConfig(), SilentProgress())
    found = candidates[0].fit.estimate.cam_from_world
    for spot in range(0, 15, 3):
        ahead = next(k for k in range(spot, spot + 3) if capture.frames[k].rig.reference)  # type: ignore[union-attr]
        for k in range(spot, spot + 3):
            given = capture.frames[k].rig.cam_from_rig  # type: ignore[union-attr]
            np.testing.assert_allclose(found[k], compose(given, found[ahead]), atol=1e-9)
    rotation_deg, shift = capture.pose_errors(found)
    assert rotation_deg < 0.2 and shift < 0.01


def test_a_start_for_some_views_is_one_for_all_of_their_centre(make_capture: Make) -> None:
    capture = on_spheres(make_capture(frames=12, layout="around", lenses=(landscape(1600.0),), points=1200))
    problem = capture.problem()
    ahead = capture.truth.cam_from_world.copy()
    ahead[np.arange(12) % 3 > 0] = np.nan
    fit = refine_estimate(problem, Estimate(ahead, capture.truth.cameras), RefineConfig().solve, 0)
    assert fit.estimate.posed.all() and capture.pose_errors(fit.estimate.cam_from_world)[0] < 0.2


def test_rigs_hold_from_the_start_where_no_size_is_open(make_capture: Make) -> None:
    concentric = on_spheres(make_capture(frames=6, layout="around", lenses=(landscape(1600.0),)))
    spread = on_rig(make_capture(frames=6), np.concatenate([np.eye(3), [[-0.5], [0.0], [0.0]]], axis=1))
    measured = on_rig(make_capture(frames=6), None)
    others = tuple(
        replace(frame, camera_id=f"{kind}-{frame.camera_id}", rig=replace(frame.rig, rig=kind))  # type: ignore[type-var]
        for kind, capture in (("spread", spread), ("measured", measured))
        for frame in capture.frames
    )
    rigs = rigs_of((*concentric.frames, *others))
    assert rigs is not None
    early = rigs.of_one_centre()
    assert early is not None
    assert [early.rig_of_frame(k) >= 0 for k in range(18)] == [True] * 6 + [False] * 12
    for other in (spread, measured):
        assert rigs_of(other.frames).of_one_centre() is None  # type: ignore[union-attr]


def test_frames_that_cannot_be_adjusted_follow_their_rig(make_capture: Make) -> None:
    capture = on_spheres(make_capture(frames=6, layout="around", lenses=(landscape(1600.0),)))
    rigs = rigs_of(capture.frames)
    assert rigs is not None
    poses = capture.cam_from_world.copy()
    poses[[1, 2]] = np.eye(3, 4)
    leaders = np.array([0, 4])
    np.testing.assert_allclose(rigs.following(poses, leaders), capture.cam_from_world, atol=1e-9)
    np.testing.assert_array_equal(rigs.following(poses, leaders)[leaders], poses[leaders])
    alone = rigs.following(poses, np.array([4]))
    np.testing.assert_array_equal(alone[:3], poses[:3])
