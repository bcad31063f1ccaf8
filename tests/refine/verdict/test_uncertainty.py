"""What few views leave open: told apart from what they determine."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scenes import LANDSCAPE, Make, Synthetic, landscape

from da3_pipeline.geometry import Camera
from da3_pipeline.refine.config import SolveConfig
from da3_pipeline.refine.solve.adjustment import focal_sigmas
from da3_pipeline.refine.solve.problem import Estimate
from da3_pipeline.refine.solve.rounds import Fit, fit_points, refine_estimate, resettle
from da3_pipeline.refine.verdict.uncertainty import focal_uncertainty, let_bend, let_go

SOLVE = SolveConfig()


def fitted(capture: Synthetic) -> Fit:
    return fit_points(capture.problem(), capture.truth, 1.0, 4.0)


def test_sigma_is_what_repeated_measurements_scatter_by(make_capture: Make) -> None:
    """Ten captures that differ in their noise alone: their focal lengths scatter as the covariance says."""
    found, said = [], []
    for seed in range(10):
        capture = make_capture(
            frames=5, noise_px=1.0, false_matches=0.0, lenses=(LANDSCAPE,), seed=seed, prior_deg=0.5, prior_focal=1.02
        )
        problem = capture.problem()
        rough = refine_estimate(problem, capture.truth, SolveConfig(max_lens="SIMPLE_PINHOLE"), 0)
        fit = fit_points(problem, rough.estimate, 1.0, 4.0)
        sigma = focal_uncertainty(problem, fit, SOLVE)
        assert sigma is not None
        (camera,) = rough.estimate.cameras.values()
        found.append(camera.focal_px / LANDSCAPE.focal_px * (LANDSCAPE.width / camera.width))
        said.append(sigma)
    assert np.std(found, ddof=1) == pytest.approx(np.mean(said), rel=0.8)


def test_fewer_points_leave_the_focal_length_more_open(make_capture: Make) -> None:
    """As the square root of their number."""
    few, many = (make_capture(frames=5, points=points, lenses=(LANDSCAPE,)) for points in (150, 1350))
    vague, sure = (focal_uncertainty(capture.problem(), fitted(capture), SOLVE) for capture in (few, many))
    assert vague is not None and sure is not None
    assert vague / sure == pytest.approx(3.0, rel=0.4)


def test_without_observations_nothing_is_determined(make_capture: Make) -> None:
    capture = make_capture(frames=4)
    fit = fitted(capture)
    assert (
        focal_sigmas(capture.problem(), capture.truth, fit.points, np.zeros(len(fit.kept), bool), SOLVE.adjustment)
        == {}
    )


def test_given_focal_lengths_are_not_uncertain(make_capture: Make) -> None:
    capture = make_capture(frames=4)
    problem = replace(capture.problem(), known_cameras=frozenset(capture.problem().camera_names))
    assert focal_uncertainty(problem, fitted(capture), SOLVE) is None


def test_what_matches_determine_does_not_move_when_it_is_let_go(make_capture: Make) -> None:
    capture = make_capture(frames=8, noise_px=0.3, false_matches=0.0)
    problem, every = capture.problem(), np.ones(8, bool)
    right = refine_estimate(problem, capture.truth, SolveConfig(), 0).estimate
    still = let_go(problem, right, every, SolveConfig())
    assert still.rotation_deg < 0.1 and still.focal < 0.01
    cameras = {
        name: replace(camera, params=((1.15 if name == "landscape" else 1) * camera.params[0], *camera.params[1:]))
        for name, camera in right.cameras.items()
    }
    held = Estimate(right.cam_from_world, cameras)
    moved = let_go(problem, held, every, SolveConfig())
    assert moved.camera == "landscape"
    assert moved.focal > 0.05, "the one focal length that something held in a wrong place springs back"


def test_residuals_of_one_pixel_make_the_covariance_the_uncertainty(make_capture: Make) -> None:
    """The median length of a plane error with one sigma along each axis is the square root of 2 ln 2."""
    capture = make_capture(frames=5)
    problem = capture.problem()
    fit = fitted(capture)
    sigmas = focal_sigmas(problem, fit.estimate, fit.points, fit.kept, SOLVE.adjustment)
    assert len(sigmas) == 2
    pixel = np.sqrt(2 * np.log(2))
    for errors_px, times in ((pixel, 1.0), (4 * pixel, 4.0), (1e-6, 0.05)):
        said = focal_uncertainty(problem, replace(fit, median_px=errors_px), SOLVE)
        assert said == pytest.approx(times * max(sigmas.values()), rel=1e-3)
    one = replace(problem, known_cameras=frozenset({max(sigmas, key=sigmas.__getitem__)}))
    assert focal_uncertainty(one, replace(fit, median_px=pixel), SOLVE) == pytest.approx(min(sigmas.values()), rel=1e-3)


def test_a_camera_that_something_holds_turned_springs_back_and_others_are_not_asked(make_capture: Make) -> None:
    capture = make_capture(frames=6, noise_px=0.2, false_matches=0.0)
    problem = capture.problem()
    right = refine_estimate(problem, capture.truth, SolveConfig(), 0).estimate
    poses = right.cam_from_world.copy()
    poses[2] = cv2.Rodrigues(np.radians([0.1, 0.0, 0.0]))[0] @ poses[2]
    held = replace(right, cam_from_world=poses)
    moved = let_go(problem, held, np.ones(6, bool), SolveConfig())
    assert moved.rotation_deg == pytest.approx(0.1, rel=0.2)
    assert moved.turned_deg.argmax() == 2 and np.delete(moved.turned_deg, 2).max() < 0.02
    assert let_go(problem, held, np.arange(6) != 2, SolveConfig()).rotation_deg < 0.02
    assert let_go(problem, held, np.arange(6) == 2, SolveConfig()).rotation_deg == 0.0, "there is no other"


@pytest.mark.parametrize(("k1", "turns"), [(0.0, False), (-0.25, True)])
def test_a_lens_thought_to_be_straight_bends_the_scene(make_capture: Make, k1: float, turns: bool) -> None:
    """Solved with a pinhole: through a barrel the cameras turn to make up for it, and back when the lens may bend."""
    capture = make_capture(frames=5, points=1200, lenses=(landscape(k1=k1),), noise_px=0.2, false_matches=0.0)
    problem, every = capture.problem(), np.ones(5, bool)
    name, camera = next(iter(capture.truth.cameras.items()))
    straight = Camera.pinhole(camera.width, camera.height, camera.focal_px)
    pinhole = SolveConfig(max_lens="SIMPLE_PINHOLE")
    found = resettle(problem, Estimate(capture.cam_from_world, {name: straight}), pinhole).estimate
    assert found.cameras[name].model == "SIMPLE_PINHOLE"
    turned = let_bend(problem, found, every, SolveConfig())
    assert turned is not None and (turned.rotation_deg > 0.1) == turns
    assert (turned.explained > 0.3) == turns and turned.explained < 1
    known = replace(problem, known_cameras=frozenset({name}))
    assert let_bend(known, found, every, SolveConfig()) is None
