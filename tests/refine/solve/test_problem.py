"""What is solved is stated in working pixels: every size, focal length and matrix of each camera at its own scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import LANDSCAPE, PORTRAIT, Make, Synthetic

from da3_pipeline.geometry import Camera
from da3_pipeline.refine.matching.verification import sampson_error_px
from da3_pipeline.refine.solve.problem import Estimate, pose_problem, rigs_in_world, with_trusted_tracks
from da3_pipeline.types import RigPlace

STRAIGHT = (LANDSCAPE, replace(PORTRAIT, params=(*PORTRAIT.params[:3], 0.0)))


def test_pixels_are_working_pixels_of_each_frame(make_capture: Make) -> None:
    capture = make_capture(frames=4, false_matches=0.0)
    problem = capture.problem()
    np.testing.assert_allclose(problem.scale, [[0.5, 0.5], [0.4, 0.4]] * 2)
    np.testing.assert_array_equal(problem.size_px, [[1600, 1200], [1200, 1600]] * 2)
    features, observations, matches = capture.correspondences.features, problem.observations, problem.matches
    for k in range(0, len(observations), 50):
        frame = observations.frame[k]
        expected = features[frame].xy[observations.keypoint[k]] * (0.5, 0.4)[frame % 2]
        np.testing.assert_allclose(observations.xy[k], expected)
    for number, pair in enumerate(capture.correspondences.pairs):
        assert matches.frames[number].tolist() == [pair.i, pair.j]
        mine = matches.pair == number
        first, second = features[pair.i].xy[pair.matches[:, 0]], features[pair.j].xy[pair.matches[:, 1]]
        np.testing.assert_allclose(matches.xy_first[mine], first * (0.5, 0.4)[pair.i % 2])
        np.testing.assert_allclose(matches.xy_second[mine], second * (0.5, 0.4)[pair.j % 2])


def test_fundamental_matrices_are_those_of_working_pixels(make_capture: Make) -> None:
    problem = make_capture(frames=4, noise_px=0.0, false_matches=0.0, lenses=STRAIGHT).problem()
    matches = problem.matches
    for number in range(len(matches.frames)):
        mine = matches.pair == number
        errors = sampson_error_px(matches.fundamental[number], matches.xy_first[mine], matches.xy_second[mine])
        assert errors.max() < 0.01


def test_sides_are_whole_pixels_and_small_pictures_stay(make_capture: Make) -> None:
    capture = make_capture(frames=3, lenses=(Camera.pinhole(4033, 3001, 4000.0),))
    problem = pose_problem(capture.prediction, capture.correspondences, 400)
    np.testing.assert_array_equal(problem.size_px, [[400, 298]] * 3)
    np.testing.assert_allclose(problem.scale, [[400 / 4033, 298 / 3001]] * 3)
    camera = problem.prior.cameras["camera"]
    assert (camera.width, camera.height) == (400, 298)
    large = pose_problem(capture.prediction, capture.correspondences, 5000)
    np.testing.assert_array_equal(large.size_px, [[4033, 3001]] * 3)
    np.testing.assert_array_equal(large.scale, 1.0)


def told(capture: Synthetic) -> Synthetic:
    """The upright camera is known, the other has EXIF's focal length."""
    return capture.with_frames(
        replace(frame, known_camera=PORTRAIT) if frame.camera_id == "portrait" else replace(frame, exif_focal_px=3100.0)
        for frame in capture.frames
    )


def test_known_cameras_keep_their_lens_and_unknown_ones_begin_as_centred_pinholes(make_capture: Make) -> None:
    problem = told(make_capture(frames=5, prior_focal=1.2)).problem()
    assert problem.known_cameras == {"portrait"}
    assert problem.prior.cameras["portrait"] == PORTRAIT.resized(1200, 1600)
    guess = problem.prior.cameras["landscape"]
    assert guess.model == "SIMPLE_PINHOLE"
    assert guess.params == pytest.approx((1.2 * 1500, 800, 600))
    assert problem.exif_focal_px == {"landscape": pytest.approx(1550.0)}
    assert told(make_capture(frames=2)).problem().exif_focal_px == {"landscape": pytest.approx(1550.0)}


def test_frames_know_their_cameras(make_capture: Make) -> None:
    capture = make_capture(frames=5)
    problem = capture.problem()
    assert problem.camera_names == ("landscape", "portrait")
    assert problem.camera_index.tolist() == [0, 1, 0, 1, 0]
    assert [problem.camera_of(k) for k in range(2)] == ["landscape", "portrait"]
    assert problem.frames_of("portrait").tolist() == [1, 3]
    assert problem.frames_of("landscape").tolist() == [0, 2, 4]
    grouped = {name: chosen.tolist() for name, chosen in problem.by_camera(np.array([1, 0, 3, 3]))}
    assert grouped == {"landscape": [1], "portrait": [0, 2, 3]}
    np.testing.assert_allclose(problem.focal_px(capture.truth), [1500, 1400, 1500, 1400, 1500])


@pytest.mark.parametrize(("count", "all_given"), [(3, True), (2, False)])
def test_poses_that_all_frames_were_given_are_the_prior(count: int, all_given: bool, make_capture: Make) -> None:
    capture = make_capture(frames=3)
    given = capture.with_frames(
        replace(frame, known_cam_from_world=capture.cam_from_world[k] if k < count else None)
        for k, frame in enumerate(capture.frames)
    )
    problem = given.problem()
    assert problem.given_poses is all_given
    expected = capture.cam_from_world if all_given else capture.prediction.cam_from_world
    np.testing.assert_array_equal(problem.prior.cam_from_world, expected)


def test_tracks_of_trusted_matches_are_in_working_pixels_too(make_capture: Make) -> None:
    capture = make_capture(frames=4)
    problem = capture.problem()
    everything = with_trusted_tracks(problem, capture.correspondences, np.ones(len(problem.matches), bool))
    np.testing.assert_array_equal(everything.observations.xy, problem.observations.xy)
    half = np.arange(len(problem.matches)) % 2 == 0
    fewer = with_trusted_tracks(problem, capture.correspondences, half).observations
    assert 0 < len(fewer) < len(problem.observations)
    assert (fewer.xy <= problem.size_px[fewer.frame]).all()


def test_frames_are_posed_where_all_numbers_are_finite() -> None:
    poses = np.tile(np.eye(3, 4), (3, 1, 1))
    poses[1, 2, 3] = np.nan
    poses[2] = np.inf
    assert Estimate(poses, {}).posed.tolist() == [True, False, False]


def test_cameras_are_in_the_order_of_their_names_whichever_took_the_first_frame(make_capture: Make) -> None:
    capture = make_capture(frames=4)
    new = {"landscape": "z", "portrait": "a"}
    prediction = replace(capture.prediction, cameras={new[k]: v for k, v in capture.prediction.cameras.items()})
    renamed = replace(capture, prediction=prediction)
    problem = renamed.with_frames(replace(f, camera_id=new[f.camera_id]) for f in capture.frames).problem()
    assert problem.camera_names == ("a", "z")
    assert problem.camera_index.tolist() == [1, 0, 1, 0]


def test_rigs_have_no_place_in_a_world_without_poses(make_capture: Make) -> None:
    capture = make_capture(frames=4)
    bolted = capture.with_frames(
        replace(frame, rig=RigPlace("head", frame.camera_id, str(k // 2), k % 2 == 0, None))
        for k, frame in enumerate(capture.frames)
    )
    problem = bolted.problem()
    assert rigs_in_world(problem, capture.truth) is not None
    nobody = replace(capture.truth, cam_from_world=np.full((4, 3, 4), np.nan))
    assert rigs_in_world(problem, nobody) is None
    assert rigs_in_world(capture.problem(), capture.truth) is None
