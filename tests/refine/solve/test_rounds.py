"""Rounds of triangulation and adjustment: what is kept, when they end, and what stays where it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import Make, Synthetic, landscape

from da3_pipeline.arrays import Float, Int
from da3_pipeline.geometry import Camera, centres
from da3_pipeline.refine.config import SolveConfig
from da3_pipeline.refine.solve import rounds as module
from da3_pipeline.refine.solve.adjustment import Adjustment
from da3_pipeline.refine.solve.priors import Priors
from da3_pipeline.refine.solve.problem import Estimate, Problem
from da3_pipeline.refine.solve.rounds import (
    Fit,
    adjust_held,
    calibrate,
    fit_points,
    judge,
    loose_cauchy_px,
    polish,
    refine_estimate,
    resettle,
    strict_cauchy_px,
)
from da3_pipeline.refine.solve.triangulation import triangulate

SOLVE = SolveConfig()
ENDLESS = SolveConfig(good_median_px=1e-9)  # no strict passes at the end


@pytest.fixture
def exact(make_capture: Make) -> Synthetic:
    return make_capture(frames=6, noise_px=0.0, false_matches=0.0, lenses=(landscape(),))


def beside(problem: Problem, distances_px: Float) -> Problem:
    """With observations moved sideways by so many pixels each."""
    xy = problem.observations.xy + np.column_stack([distances_px, np.zeros(len(distances_px))])
    return problem.with_observations(replace(problem.observations, xy=xy))


@pytest.mark.parametrize(("median_px", "gate_px"), [(0.5, 4.0), (2.0, 12.0)])
def test_observations_are_kept_up_to_six_medians_and_four_pixels_at_least(
    exact: Synthetic, median_px: float, gate_px: float
) -> None:
    problem = exact.problem()
    points = triangulate(problem, exact.truth, problem.observations)
    distances = np.full(len(problem.observations), median_px)
    distances[::20], distances[1::20] = 0.95 * gate_px, 1.05 * gate_px
    fit = judge(beside(problem, distances), exact.truth, points, 0.0)
    assert fit.median_px == pytest.approx(median_px, abs=1e-3)
    np.testing.assert_allclose(fit.errors_px, distances, atol=2e-3)
    long = problem.observations.lengths[problem.observations.track] >= 4  # and so kept with another
    np.testing.assert_array_equal(fit.kept[long], (distances < gate_px)[long])
    given = judge(beside(problem, distances), exact.truth, points, 0.0, 1.1 * gate_px)
    assert given.kept.all()


def test_where_most_points_lie_behind_the_median_of_the_others_is_the_measure(exact: Synthetic) -> None:
    problem = exact.problem()
    points = triangulate(problem, exact.truth, problem.observations)
    behind = np.arange(len(points)) % 4 > 0
    points[behind, 2] = -1000.0
    seen = ~behind[problem.observations.track]
    place = np.arange(len(seen)) % 10
    distances = np.select([place == 0, place == 5], [17.0, 19.0], 3.0)
    fit = judge(beside(problem, distances), exact.truth, points, 0.0)
    assert fit.median_px == np.inf
    long = problem.observations.lengths[problem.observations.track] >= 4
    np.testing.assert_array_equal(fit.kept[long], (seen & (distances < 6 * 3.0))[long])


def test_points_without_parallax_are_not_kept(exact: Synthetic) -> None:
    problem = exact.problem()
    assert fit_points(problem, exact.truth, 1.0).kept.all()
    assert not fit_points(problem, exact.truth, 179.0).kept.any()
    nobody = replace(exact.truth, cam_from_world=np.full((6, 3, 4), np.nan))
    lost = fit_points(problem, nobody, 1.0)
    assert not lost.kept.any() and lost.median_px == np.inf


def with_median(problem: Problem, estimate: Estimate, median_px: float) -> Fit:
    return replace(fit_points(problem, estimate, 1.0), median_px=median_px)


def test_observations_lose_weight_from_half_the_median_and_at_last_from_twice(exact: Synthetic) -> None:
    fits = [with_median(exact.problem(), exact.truth, median) for median in (0.1, 0.4, 6.0, np.inf)]
    assert [loose_cauchy_px(fit, SOLVE) for fit in fits] == [1.0, 1.0, 3.0, 50.0]
    assert [strict_cauchy_px(fit, SOLVE) for fit in fits] == [0.3, 0.8, 1.0, 1.0]


@pytest.mark.parametrize(("median_px", "cauchy_px"), [(0.5, 1.0), (10.0, 5.0), (np.inf, 160.0)])
def test_a_round_weighs_by_its_error_and_without_any_by_the_picture(
    exact: Synthetic, monkeypatch: pytest.MonkeyPatch, median_px: float, cauchy_px: float
) -> None:
    seen: list[Adjustment] = []

    def noted(problem: Problem, estimate: Estimate, points: Float, keep: Float, how: Adjustment) -> tuple:  # type: ignore[type-arg]
        seen.append(how)
        return estimate, points

    start = with_median(exact.problem(), exact.truth, median_px)
    monkeypatch.setattr(module, "fit_points", lambda *_: start)
    monkeypatch.setattr(module, "adjust", noted)
    refine_estimate(exact.problem(), exact.truth, SolveConfig(max_rounds=1, good_median_px=1e-9), 0)
    assert [how.cauchy_px for how in seen] == [cauchy_px]


class Script:
    """Rounds with the given median errors in turn, and frames that always stray."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, medians: list[float], strays: list[int]) -> None:
        self.medians, self.rounds, self.found = medians, 0, 0
        monkeypatch.setattr(module, "_round", self._round)
        monkeypatch.setattr(module, "strays", lambda *_: np.array(strays, np.int64))
        monkeypatch.setattr(module, "register", self._register)
        monkeypatch.setattr(module, "polish", lambda problem, fit, *_: replace(fit, median_px=-1.0))

    def _round(self, problem: Problem, fit: Fit, *_: object) -> Fit:
        self.rounds += 1
        return replace(fit, median_px=self.medians[self.rounds - 1])

    def _register(self, problem: Problem, estimate: Estimate, frames: Int, *_: object) -> Estimate:
        self.found += 1
        return estimate


@pytest.mark.parametrize(
    ("medians", "rounds", "polished"),
    [
        ([10, 5, 2, 0.9, 0.5, 0.45, 0.44, 0.44], 6, True),
        ([10, 5, 2, 1.8, 1.7, 1.6, 0.9, 0.3], 8, True),
        ([10, 9, 8, 7.5, 7.0, 6.5, 6.0, 6.0], 8, False),
        ([90, 80, 70, 31, 5, 5, 5, 5], 4, False),
        ([90, 80, 70, 29, 5, 5, 5, 5], 8, False),
    ],
    ids=["settles", "late", "never good", "hopeless", "not hopeless"],
)
def test_rounds_go_on_while_the_error_falls(
    exact: Synthetic, monkeypatch: pytest.MonkeyPatch, medians: list[float], rounds: int, polished: bool
) -> None:
    script = Script(monkeypatch, medians, [])
    fit = refine_estimate(exact.problem(), exact.truth, SOLVE, 0)
    assert script.rounds == rounds
    assert (fit.median_px == -1.0) == polished


def test_strays_are_registered_twice_at_most_each_time_the_error_has_settled(
    exact: Synthetic, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script(monkeypatch, [0.5] * 8, [3])
    refine_estimate(exact.problem(), exact.truth, SOLVE, 0)
    assert (script.found, script.rounds) == (2, 6)
    good = Script(monkeypatch, [0.5] * 8, [])
    refine_estimate(exact.problem(), exact.truth, SOLVE, 0)
    assert (good.found, good.rounds) == (0, 2)


@pytest.mark.parametrize(
    ("rounds", "below_px", "focal_moves", "model"),
    [
        (1, 4.0, False, "SIMPLE_PINHOLE"),
        (2, 4.0, True, "SIMPLE_PINHOLE"),
        (3, 4.0, True, "SIMPLE_RADIAL"),
        (3, 1e-9, True, "SIMPLE_PINHOLE"),
    ],
)
def test_lenses_are_freed_step_by_step(
    make_capture: Make, rounds: int, below_px: float, focal_moves: bool, model: str
) -> None:
    capture = make_capture(frames=8, points=1500, lenses=(landscape(k1=-0.05),), spread=6.0)
    camera = capture.truth.cameras["camera"]
    start = Estimate(capture.cam_from_world, {"camera": Camera.pinhole(camera.width, camera.height, 1.02 * 1500)})
    config = ENDLESS.model_copy(update={"max_rounds": rounds, "lens_free_below_px": below_px})
    found = refine_estimate(capture.problem(), start, config, 0).estimate.cameras["camera"]
    assert (found.focal_px != 1.02 * 1500) == focal_moves
    assert found.model == model


def test_known_poses_calibrate_their_cameras_and_stay(make_capture: Make) -> None:
    capture = make_capture(frames=6, noise_px=0.2)
    guess = {name: Camera.pinhole(c.width, c.height, 1.1 * c.focal_px) for name, c in capture.truth.cameras.items()}
    fit = calibrate(capture.problem(), Estimate(capture.cam_from_world, guess), SOLVE)
    np.testing.assert_array_equal(fit.estimate.cam_from_world, capture.cam_from_world)
    for name, camera in capture.truth.cameras.items():
        assert fit.estimate.cameras[name].focal_px == pytest.approx(camera.focal_px, rel=0.02)


def test_frames_that_the_prior_helps_to_place_move_alone(make_capture: Make) -> None:
    """Cameras and fixed frames stay to the last bit."""
    capture = make_capture(frames=6, noise_px=0.2, false_matches=0.0, lenses=(landscape(),))
    problem, truth = capture.problem(), capture.truth
    poses = truth.cam_from_world.copy()
    poses[3, :, 3] += [0.01, -0.01, 0.01]
    nothing = np.full((6, 3), np.nan)
    priors = Priors(poses, np.radians(5.0), 1.0, nothing, nothing)
    fixed = np.arange(6) != 3
    found = adjust_held(problem, replace(truth, cam_from_world=poses), priors, fixed, SOLVE)
    assert found.cameras == truth.cameras
    np.testing.assert_array_equal(found.cam_from_world[fixed], poses[fixed])
    assert np.linalg.norm(centres(found.cam_from_world)[3] - centres(capture.cam_from_world)[3]) < 0.005


def test_a_good_estimate_settles_and_fixed_poses_stay(make_capture: Make) -> None:
    capture = make_capture(frames=8, noise_px=0.2, false_matches=0.0, lenses=(landscape(),))
    poses = capture.cam_from_world.copy()
    poses[4:, :, 3] += 0.02 * np.random.default_rng(0).standard_normal((4, 3))
    fit = resettle(capture.problem(), replace(capture.truth, cam_from_world=poses), SOLVE, fixed=np.arange(8) < 4)
    np.testing.assert_array_equal(fit.estimate.cam_from_world[:4], poses[:4])
    assert np.linalg.norm(centres(fit.estimate.cam_from_world) - centres(capture.cam_from_world), axis=1).max() < 0.01
    assert fit.median_px < 0.3


@pytest.mark.parametrize(
    ("sane", "model"), [(("SIMPLE_PINHOLE",), "SIMPLE_PINHOLE"), (("SIMPLE_PINHOLE", "SIMPLE_RADIAL"), "SIMPLE_RADIAL")]
)
def test_the_richest_lens_that_stays_sane_is_kept(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch, sane: tuple[str, ...], model: str
) -> None:
    capture = make_capture(frames=16, points=3000, spread=6.0, false_matches=0.0, lenses=(landscape(k1=-0.05),))
    problem, camera = capture.problem(), capture.truth.cameras["camera"]
    start = Estimate(capture.cam_from_world, {"camera": Camera.pinhole(camera.width, camera.height, camera.focal_px)})
    fit = fit_points(problem, start, 1.0)
    monkeypatch.setattr(module, "plausible", lambda camera, config: camera.model in sane)
    quick = SolveConfig(strict_iterations=2)
    assert polish(problem, fit, quick).estimate.cameras["camera"].model == model
    monkeypatch.setattr(module, "plausible", lambda camera, config: False)
    assert polish(problem, fit, quick) is fit
