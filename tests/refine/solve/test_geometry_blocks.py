"""The blocks of the solver against truth: triangulation, parallax, score, focal vote, PnP, lens ladder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import PORTRAIT, Make, Synthetic, landscape

from da3_pipeline.geometry import Camera, centres
from da3_pipeline.refine.config import SolveConfig, TwoViewConfig
from da3_pipeline.refine.initialisation.colmap_mapper import map_with_colmap
from da3_pipeline.refine.initialisation.two_view import guessed_cameras, pairs_by_camera, relative_poses
from da3_pipeline.refine.solve.lens_model import carried_models, plausible
from da3_pipeline.refine.solve.problem import Estimate, Problem
from da3_pipeline.refine.solve.registration import register, strays
from da3_pipeline.refine.solve.score import agreement, frame_agreement, match_errors_px
from da3_pipeline.refine.solve.triangulation import ray_spread_deg, reprojection_errors, triangulate, world_rays

SOLVE, TWO_VIEW = SolveConfig(), TwoViewConfig()


def stated(capture: Synthetic) -> tuple[Problem, Estimate]:
    """The problem, and the true cameras."""
    problem = capture.problem()
    return problem, capture.truth


def test_triangulation_is_exact_without_noise(make_capture: Make) -> None:
    problem, truth = stated(make_capture(noise_px=0.0, false_matches=0.0))
    points = triangulate(problem, truth, problem.observations)
    assert reprojection_errors(problem, truth, points, problem.observations).max() < 1e-3  # float32 keypoints


def test_triangulation_shrugs_off_wrong_observations(make_capture: Make) -> None:
    problem, truth = stated(make_capture(frames=8, noise_px=0.2, false_matches=0.0))
    clean = triangulate(problem, truth, problem.observations)
    xy = problem.observations.xy.copy()
    long = problem.observations.lengths >= 6
    first = np.flatnonzero(np.r_[True, np.diff(problem.observations.track) > 0])
    xy[first] += 80.0
    soiled = triangulate(problem, truth, replace(problem.observations, xy=xy))
    assert np.quantile(np.linalg.norm(soiled - clean, axis=1)[long], 0.9) < 0.05


def test_frames_without_a_pose_carry_no_points(make_capture: Make) -> None:
    problem, truth = stated(make_capture(frames=3))
    poses = truth.cam_from_world.copy()
    poses[1:] = np.nan
    points = triangulate(problem, replace(truth, cam_from_world=poses), problem.observations)
    assert np.isnan(points).all()


def test_ray_spread_is_the_angle_between_the_outermost_rays(make_capture: Make) -> None:
    problem, truth = stated(make_capture(noise_px=0.0, false_matches=0.0))
    observations = problem.observations
    points = triangulate(problem, truth, observations)
    origins, _ = world_rays(problem, truth, observations)
    spread = ray_spread_deg(observations, origins, points, np.ones(len(observations), bool))
    for track in range(0, observations.num_tracks, 40):
        rays = points[track] - origins[observations.track == track]
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        widest = np.degrees(np.arccos(np.clip(rays @ rays.T, -1, 1))).max()
        assert 0.5 * widest <= spread[track] <= widest + 1e-6
    assert (ray_spread_deg(observations, origins, points, np.zeros(len(observations), bool)) == 0).all()


def test_score_of_truth_noise_and_nothing(make_capture: Make) -> None:
    capture = make_capture(false_matches=0.1)
    problem, truth = stated(capture)
    assert 0.88 < agreement(problem, truth) <= 0.95  # some false matches lie on their epipolar line
    assert agreement(problem, problem.prior) < 0.4
    missing = truth.cam_from_world.copy()
    missing[0] = np.nan
    with_first = (problem.matches.frames == 0).any(1)[problem.matches.pair]
    errors = match_errors_px(problem, replace(truth, cam_from_world=missing))
    assert np.isinf(errors[with_first]).all()
    assert frame_agreement(problem, errors)[0] == 0


def test_score_knows_front_from_behind(make_capture: Make) -> None:
    """The mirrored solution has the same epipolar lines; its points lie behind the cameras."""
    problem, truth = stated(make_capture(false_matches=0.0))
    mirrored = truth.cam_from_world.copy()
    mirrored[:, :, 3] *= -1
    assert agreement(problem, truth) > 0.99
    assert agreement(problem, replace(truth, cam_from_world=mirrored)) < 0.05


def test_coincident_cameras_are_scored_by_rotation_alone(make_capture: Make) -> None:
    problem, truth = stated(make_capture(layout="rotation", false_matches=0.0))
    assert agreement(problem, truth) > 0.95
    wrong = truth.cam_from_world.copy()
    wrong[::2] = wrong[0]
    assert agreement(problem, replace(truth, cam_from_world=wrong)) < 0.5


@pytest.mark.parametrize("focal_px", [2100.0, 3000.0, 5500.0])
def test_fundamental_matrices_vote_for_the_focal_length(make_capture: Make, focal_px: float) -> None:
    capture = make_capture(lenses=(landscape(focal_px), PORTRAIT), prior_focal=2.0, frames=14)
    guessed = guessed_cameras(capture.problem(), TWO_VIEW)
    for key, camera in capture.truth.cameras.items():
        bent = key == "portrait"  # lines that the lens bends shift the vote
        assert guessed[key].focal_px == pytest.approx(camera.focal_px, rel=0.2 if bent else 0.08)


def test_planar_pairs_do_not_vote(make_capture: Make) -> None:
    """The prior's focal length is left then, unless EXIF or the user knows better."""
    problem, truth = stated(make_capture(surface="plane", frames=10))
    prior = problem.prior.cameras
    guessed = guessed_cameras(problem, TWO_VIEW)
    assert [camera.focal_px for camera in guessed.values()] == [camera.focal_px for camera in prior.values()]
    told = replace(problem, exif_focal_px={"landscape": 1234.0}, known_cameras=frozenset({"portrait"}))
    told = replace(told, prior=truth)
    guessed = guessed_cameras(told, TWO_VIEW)
    assert guessed["landscape"].focal_px == 1234.0
    assert guessed["portrait"] == truth.cameras["portrait"]


def test_pairs_of_two_cameras_vote_for_neither(make_capture: Make) -> None:
    problem, _ = stated(make_capture(frames=6))
    frames = problem.matches.frames
    for number, pairs in enumerate(map(pairs_by_camera(problem).__getitem__, range(2))):
        wanted = (problem.camera_index[frames] == number).all(axis=1)
        np.testing.assert_array_equal(pairs, np.flatnonzero(wanted))


def test_relative_poses_come_from_matches_alone(make_capture: Make) -> None:
    capture = make_capture(false_matches=0.2)
    problem, truth = stated(capture)
    relative = relative_poses(problem, truth.cameras, TWO_VIEW, seed=0)
    assert len(relative.frames) == 28
    for (i, j), pose in zip(relative.frames, relative.second_from_first, strict=True):
        true = truth.cam_from_world[j, :, :3] @ truth.cam_from_world[i, :, :3].T
        assert np.degrees(np.linalg.norm(pose[:, :3] - true) / np.sqrt(2)) < 3.0
        baseline = truth.cam_from_world[j, :, 3] - true @ truth.cam_from_world[i, :, 3]
        assert pose[:, 3] @ baseline / np.linalg.norm(baseline) > 0.95


def test_pnp_finds_a_lost_camera(make_capture: Make) -> None:
    problem, truth = stated(make_capture())
    lost = truth.cam_from_world.copy()
    lost[2] = np.nan
    estimate = replace(truth, cam_from_world=lost)
    points = triangulate(problem, estimate, problem.observations)
    errors = reprojection_errors(problem, estimate, points, problem.observations)
    assert strays(problem, estimate, errors, 4.0, SOLVE.registration).tolist() == [2]
    found = register(problem, estimate, np.array([2]), 4.0, SOLVE.registration, seed=0)
    assert np.abs(centres(found.cam_from_world)[2] - centres(truth.cam_from_world)[2]).max() < 0.05


def test_colmap_maps_our_matches(make_capture: Make) -> None:
    capture = make_capture(frames=6)
    problem, _ = stated(capture)
    guess = {"landscape": Camera.pinhole(1600, 1200, 1550.0), "portrait": Camera.pinhole(1200, 1600, 1450.0)}
    found = map_with_colmap(problem, guess, seed=0)
    assert found.posed.all()
    assert capture.pose_errors(found.cam_from_world)[0] < 0.5


def test_colmap_without_matches_finds_nothing(make_capture: Make) -> None:
    capture = make_capture(frames=3)
    capture = replace(capture, correspondences=replace(capture.correspondences, pairs=()))
    problem, truth = stated(capture)
    assert not map_with_colmap(problem, truth.cameras, seed=0).posed.any()


def test_lens_ladder_follows_coverage(make_capture: Make) -> None:
    rich, _ = stated(make_capture(frames=16, points=3000, spread=6.0, false_matches=0.0))
    assert carried_models(rich, np.ones(len(rich.observations), bool), SOLVE.lens)["landscape"] == "RADIAL"
    assert carried_models(rich, np.ones(len(rich.observations), bool), SOLVE.lens)["portrait"] == "RADIAL"
    upright = rich.frames_of("portrait")
    middle = np.linalg.norm(rich.observations.xy - [600, 800], axis=1) < 375
    middle |= ~np.isin(rich.observations.frame, upright)
    assert carried_models(rich, middle, SOLVE.lens)["portrait"] == "SIMPLE_PINHOLE"
    assert carried_models(rich, middle, SOLVE.lens)["landscape"] == "RADIAL"
    few, _ = stated(make_capture(frames=10, points=250))
    assert carried_models(few, np.ones(len(few.observations), bool), SOLVE.lens)["portrait"] == "SIMPLE_RADIAL"


def test_folded_and_shifted_lenses_are_not_plausible() -> None:
    assert plausible(Camera("RADIAL", 640, 480, (600, 322, 238, -0.1, 0.01)), SOLVE.lens)
    assert not plausible(Camera("SIMPLE_RADIAL", 640, 480, (300, 320, 240, -0.5)), SOLVE.lens)
    assert not plausible(Camera("RADIAL", 640, 480, (600, 420, 240, 0, 0)), SOLVE.lens)
    for width, height in ((640, 480), (480, 640)):  # a shift of 3 % of the longer side, along either
        for shift, right in (((18, 0), True), ((0, 18), True), ((21, 0), False), ((0, -21), False)):
            camera = Camera("SIMPLE_PINHOLE", width, height, (600, width / 2 + shift[0], height / 2 + shift[1]))
            assert plausible(camera, SOLVE.lens) is right
    assert not plausible(Camera("SIMPLE_RADIAL", 640, 480, (1833, 320, 240, -3.4)), SOLVE.lens), (
        "a barrel of 20 degrees"
    )
    assert plausible(Camera("RADIAL", 640, 480, (420, 320, 240, -0.28, 0.06)), SOLVE.lens), "a wide one"
