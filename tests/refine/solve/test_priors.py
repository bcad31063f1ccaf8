"""Priors in the adjustment: they hold what observations leave open, and give way where observations know better."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scenes import Make, Synthetic, landscape

from da3_pipeline.geometry import Sim3, centres
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine import RefineConfig
from da3_pipeline.refine.config import AdjustmentConfig, PriorConfig
from da3_pipeline.refine.refinement import refine_matched
from da3_pipeline.refine.solve.adjustment import Adjustment, adjust
from da3_pipeline.refine.solve.priors import Priors, extent, priors_of
from da3_pipeline.refine.solve.problem import Estimate, Problem, rigs_in_world
from da3_pipeline.refine.solve.rounds import fit_points
from da3_pipeline.types import RigPlace

LIMITS = AdjustmentConfig()


def stated(capture: Synthetic) -> tuple[Problem, Estimate]:
    """The problem, and the truth as an estimate of it."""
    problem = capture.problem()
    return problem, capture.truth


def test_positions_fix_place_and_scale(make_capture: Make) -> None:
    capture = make_capture(frames=6, false_matches=0.0)
    problem, truth = stated(capture)
    elsewhere = Sim3(1.3, np.eye(3), np.array([0.5, -0.2, 0.3]))
    estimate = replace(truth, cam_from_world=elsewhere.apply_to_cameras(truth.cam_from_world))
    nothing = np.full((6, 3, 4), np.nan)
    priors = Priors(nothing, 1.0, 1.0, centres(truth.cam_from_world), np.full((6, 3), 0.01))
    assert priors.hold_the_gauge
    for _ in range(3):
        fit = fit_points(problem, estimate, 1.0)
        estimate, _ = adjust(
            problem, estimate, fit.points, fit.kept, Adjustment(1.0, LIMITS, max_iterations=50, priors=priors)
        )
    assert np.abs(centres(estimate.cam_from_world) - centres(truth.cam_from_world)).max() < 0.02


def test_many_observations_overrule_wrong_priors(make_capture: Make) -> None:
    capture = make_capture(frames=6, false_matches=0.0, prior_deg=5.0, prior_shift=0.1)
    problem, truth = stated(capture)
    fit = fit_points(problem, truth, 1.0)
    priors = priors_of(problem, PriorConfig())
    found, _ = adjust(problem, truth, fit.points, fit.kept, Adjustment(1.0, LIMITS, max_iterations=50, priors=priors))
    assert capture.pose_errors(found.cam_from_world)[0] < 0.2
    assert capture.focal_error(found.cameras) < 0.01  # the prior's is 15 % off


def test_the_prior_gives_the_scale_that_two_pairs_leave_open(make_capture: Make) -> None:
    """Frames 0-1 and 1-2 share matches, but no point is seen by all three: only the prior ties the two baselines."""
    capture = make_capture(frames=3, prior_deg=3.0, prior_focal=1.05, points=600, lenses=(landscape(),))
    half = [np.arange(len(features)) % 2 == 0 for features in capture.correspondences.features]
    pairs = tuple(
        replace(pair, matches=pair.matches[half[1][pair.matches[:, 1 if pair.j == 1 else 0]] == (pair.j == 1)])
        for pair in capture.correspondences.pairs
        if (pair.i, pair.j) != (0, 2)
    )
    capture = replace(capture, correspondences=replace(capture.correspondences, pairs=pairs))
    scene = refine_matched(capture.prediction, capture.correspondences, RefineConfig(), SilentProgress())
    assert sorted(scene.pose_source) == ["guided", "refined", "refined"]
    before, after = capture.pose_errors(capture.prediction.cam_from_world), capture.pose_errors(scene.cam_from_world)
    assert after[0] < 1.0 < before[0]
    assert after[1] < 0.1


def test_extent_of_one_place_is_a_unit() -> None:
    together = np.tile(np.eye(3, 4), (4, 1, 1))
    assert extent(Estimate(together, {})) == 1.0
    assert extent(Estimate(np.full((2, 3, 4), np.nan), {})) == 1.0


def test_sigmas_are_radians_and_lengths_of_the_world(make_capture: Make) -> None:
    capture = make_capture(frames=6)
    problem = capture.problem()
    config = PriorConfig(rotation_sigma_deg=9.0, position_sigma=0.2, given_rotation_sigma_deg=1.8)
    priors = priors_of(problem, config)
    assert priors.rotation_rad == pytest.approx(np.pi / 20)
    size = np.linalg.norm(np.ptp(centres(problem.prior.cam_from_world), axis=0))
    assert priors.position == pytest.approx(0.2 * size)
    given = priors_of(replace(problem, given_poses=True), config)
    assert given.rotation_rad == pytest.approx(np.pi / 100)
    assert given.position == pytest.approx(config.given_position_sigma * size)
    assert np.isnan(priors.positions).all() and np.isnan(priors.positions_sigma).all()


def test_focal_lengths_come_from_exif_or_the_prior_and_known_cameras_need_none(make_capture: Make) -> None:
    problem = make_capture(frames=4).problem()
    config = PriorConfig()
    assert priors_of(problem, config).focal_px == {
        "landscape": (pytest.approx(1.15 * 1500), config.focal_sigma),
        "portrait": (pytest.approx(1.15 * 1400), config.focal_sigma),
    }
    told = replace(problem, exif_focal_px={"landscape": 1480.0}, known_cameras=frozenset({"portrait"}))
    assert priors_of(told, config).focal_px == {"landscape": (1480.0, config.exif_focal_sigma)}


def test_one_false_position_does_not_pull(make_capture: Make) -> None:
    """Were errors squared, it would take the world a sixth of its way along."""
    capture = make_capture(frames=6, false_matches=0.0)
    problem, truth = stated(capture)
    positions = centres(truth.cam_from_world)
    positions[2] += [0.0, 5.0, 0.0]
    nothing = np.full((6, 3, 4), np.nan)
    priors = Priors(nothing, 1.0, 1.0, positions, np.full((6, 3), 0.02))
    fit = fit_points(problem, truth, 1.0)
    found, _ = adjust(problem, truth, fit.points, fit.kept, Adjustment(1.0, LIMITS, max_iterations=50, priors=priors))
    assert np.abs(centres(found.cam_from_world) - centres(truth.cam_from_world)).max() < 0.1


def test_the_gauge_is_held_by_two_poses_apart_or_three_places_off_a_line() -> None:
    def holds(poses: int, places: np.ndarray) -> bool:
        known = np.full((4, 3, 4), np.nan)
        known[:poses] = np.eye(3, 4)
        known[:poses, 0, 3] = np.arange(poses)
        told = np.full((4, 3), np.nan)
        told[: len(places)] = places
        return Priors(known, 1.0, 1.0, told, np.ones((4, 3))).hold_the_gauge

    line, corner = np.outer(np.arange(4.0), [1.0, 2, 3]), np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    nothing = np.zeros((0, 3))
    assert holds(2, nothing) and holds(0, corner)
    assert not holds(1, nothing) and not holds(0, line) and not holds(0, corner[:2]) and not holds(0, corner[:1])
    together = np.tile(np.eye(3, 4), (4, 1, 1))
    assert not Priors(together, 1.0, 1.0, np.full((4, 3), np.nan), np.ones((4, 3))).hold_the_gauge


def test_moved_priors_are_in_the_other_world(make_capture: Make) -> None:
    capture = make_capture(frames=4)
    priors = priors_of(capture.problem(), PriorConfig())
    priors = replace(priors, positions=centres(capture.cam_from_world), positions_sigma=np.full((4, 3), 0.5))
    other = Sim3(4.0, np.eye(3), np.array([1.0, 2, 3]))
    there = priors.moved(other)
    np.testing.assert_allclose(centres(there.cam_from_world), other.apply(centres(priors.cam_from_world)))
    np.testing.assert_allclose(there.positions, other.apply(priors.positions))
    assert there.position == 4 * priors.position and (there.positions_sigma == 2.0).all()
    assert there.rotation_rad == priors.rotation_rad
    some = priors.only_for(np.array([True, False, True, False]))
    assert np.isfinite(some.cam_from_world).all((1, 2)).tolist() == [True, False, True, False]
    np.testing.assert_array_equal(some.positions, priors.positions)


def test_up_levels_what_may_turn_about_the_line_that_positions_tell(make_capture: Make) -> None:
    """Positions are told along x alone: only where up is in each camera says how the world is turned about it."""
    capture = make_capture(frames=6, noise_px=0.2, false_matches=0.0)
    problem, truth = stated(capture)
    turn = cv2.Rodrigues(np.radians([3.0, 0.0, 0.0]))[0]
    estimate = replace(truth, cam_from_world=Sim3(1.0, turn, np.zeros(3)).apply_to_cameras(truth.cam_from_world))
    up = truth.cam_from_world[:, :, 2].copy()
    up[0] = np.nan  # one that nobody knows
    sigmas = np.tile([0.01, 1e3, 1e3], (6, 1))
    nothing = np.full((6, 3, 4), np.nan)
    priors = Priors(nothing, 1.0, 1.0, centres(truth.cam_from_world), sigmas, up_in_camera=up, up_rad=np.radians(0.1))
    for _ in range(3):
        fit = fit_points(problem, estimate, 1.0)
        estimate, _ = adjust(
            problem, estimate, fit.points, fit.kept, Adjustment(1.0, LIMITS, max_iterations=50, priors=priors)
        )
    level = (estimate.cam_from_world[:, :, 2] * truth.cam_from_world[:, :, 2]).sum(axis=1)
    assert np.degrees(np.arccos(level.min())) < 0.3


def test_what_is_known_of_a_camera_is_not_said_of_its_rig(make_capture: Make) -> None:
    """Poses are told of the right cameras alone, which no term can take yet: they must not place the left ones."""
    capture = make_capture(frames=8, layout="rig", noise_px=0.2, false_matches=0.0)
    bolted = capture.with_frames(
        replace(frame, rig=RigPlace("head", frame.camera_id, str(k // 2), k % 2 == 0, None))
        for k, frame in enumerate(capture.frames)
    )
    problem, truth = bolted.problem(), capture.truth
    told = truth.cam_from_world.copy()
    told[::2] = np.nan
    nothing = np.full((8, 3), np.nan)
    fit = fit_points(problem, truth, 1.0)
    how = Adjustment(
        1.0, LIMITS, priors=Priors(told, 0.001, 0.001, nothing, nothing), rigs=rigs_in_world(problem, truth)
    )
    found, _ = adjust(problem, truth, fit.points, fit.kept, how)
    assert (found.cam_from_world != truth.cam_from_world).any()
    assert np.linalg.norm(centres(found.cam_from_world) - centres(truth.cam_from_world), axis=1).max() < 0.05


@pytest.mark.parametrize(("relative", "held"), [(1e-6, True), (10.0, False)])
def test_focal_lengths_are_held_as_far_as_their_sigma_says(make_capture: Make, relative: float, held: bool) -> None:
    capture = make_capture(frames=5, noise_px=0.2, false_matches=0.0, lenses=(landscape(),))
    problem, truth = stated(capture)
    nothing = np.full((5, 3), np.nan)
    told = Priors(np.full((5, 3, 4), np.nan), 1.0, 1.0, nothing, nothing, {"camera": (1530.0, relative)})
    fit = fit_points(problem, truth, 1.0)
    found, _ = adjust(problem, truth, fit.points, fit.kept, Adjustment(1.0, LIMITS, max_iterations=50, priors=told))
    assert found.cameras["camera"].focal_px == pytest.approx(1530.0 if held else 1500.0, rel=0.005)
