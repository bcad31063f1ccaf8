"""One bundle adjustment: which observations it uses, where in the world it happens, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pycolmap
import pytest
from scenes import Make, landscape

from da3_pipeline.arrays import Float
from da3_pipeline.geometry import Sim3, align_cameras, centres, rotation_angle_deg
from da3_pipeline.refine.config import AdjustmentConfig, SolveConfig
from da3_pipeline.refine.solve.adjustment import Adjustment, _sound, adjust, local_frame
from da3_pipeline.refine.solve.priors import Priors
from da3_pipeline.refine.solve.problem import Estimate, Problem
from da3_pipeline.refine.solve.rounds import fit_points, refine_estimate
from da3_pipeline.refine.solve.triangulation import reprojection_errors

LIMITS = AdjustmentConfig()
UTM = Sim3(1.0, np.eye(3), np.array([441547.0, 5121946.0, 217.0]))
WORLDS = {
    "survey coordinates": UTM,
    "the other side of the earth": Sim3(1.0, np.eye(3), np.full(3, 5e6)),
    "kilometres": Sim3(1e-3, np.eye(3), np.array([3.0, 4.0, 5.0])),
    "millimetres": Sim3(1e3, np.eye(3), np.zeros(3)),
}


def moved(estimate: Estimate, world: Sim3) -> Estimate:
    return replace(estimate, cam_from_world=world.apply_to_cameras(estimate.cam_from_world))


def off(found: Float, truth: Float) -> tuple[float, float]:
    """Largest rotation error in degrees, and of centres as a share of the extent, after a similarity."""
    aligned = align_cameras(found, truth).apply_to_cameras(found)
    shift = np.linalg.norm(centres(aligned) - centres(truth), axis=1).max()
    extent = np.linalg.norm(np.ptp(centres(truth), axis=0))
    return float(rotation_angle_deg(aligned[:, :, :3], truth[:, :, :3]).max()), float(shift / extent)


def test_a_frame_that_is_left_with_few_observations_is_not_turned(make_capture: Make) -> None:
    """Frame 0 has six observations, but five of them on points that only it and another such frame see."""
    capture = make_capture(frames=8, noise_px=0.2, false_matches=0.0)
    problem, truth = capture.problem(), capture.truth
    fit = fit_points(problem, truth, 1.0)
    observations, keep = problem.observations, fit.kept.copy()
    for frame, other in ((0, 1), (1, 0)):
        shared = {
            int(track)
            for track in observations.track[keep & (observations.frame == frame)]
            if other in observations.frame[observations.track == track]
        }
        chosen = np.isin(observations.track, sorted(shared)[:6])
        keep &= (observations.frame != frame) | chosen
    # All but one of the points of frame 0 lose their other observers.
    lonely = np.unique(observations.track[keep & (observations.frame == 0)])[1:]
    keep &= ~(np.isin(observations.track, lonely) & (observations.frame != 0))
    assert np.bincount(observations.frame[keep], minlength=8)[0] == 6
    found, _ = adjust(problem, truth, fit.points, keep, Adjustment(1.0, LIMITS))
    np.testing.assert_array_equal(found.cam_from_world[0], truth.cam_from_world[0])
    assert (found.cam_from_world[3] != truth.cam_from_world[3]).any(), "the others are adjusted"


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_where_the_world_lies_and_what_its_unit_is_does_not_matter(make_capture: Make, world: Sim3) -> None:
    capture = make_capture(frames=8, prior_deg=2.0, prior_shift=0.02, prior_focal=1.05)
    problem = capture.problem()
    here = refine_estimate(problem, problem.prior, SolveConfig(), 0)
    there = refine_estimate(problem, moved(problem.prior, world), SolveConfig(), 0)
    assert there.kept.sum() == pytest.approx(here.kept.sum(), rel=0.01)
    assert there.median_px == pytest.approx(here.median_px, rel=0.01)
    rotation_deg, shift = off(there.estimate.cam_from_world, here.estimate.cam_from_world)
    assert rotation_deg < 0.01 and shift < 1e-3


@pytest.mark.parametrize("priors", [False, True], ids=["free", "held by priors"])
def test_fixed_poses_stay_to_the_last_bit_in_survey_coordinates(make_capture: Make, priors: bool) -> None:
    capture = make_capture(frames=8)
    problem, far = capture.problem(), moved(capture.truth, UTM)
    fixed = np.arange(8) < 4
    nothing = np.full((8, 3), np.nan)
    prior = Priors(far.cam_from_world, 0.1, 0.1, nothing, nothing) if priors else None
    fit = fit_points(problem, far, 1.0)
    found, _ = adjust(problem, far, fit.points, fit.kept, Adjustment(1.0, LIMITS, fixed=fixed, priors=prior))
    np.testing.assert_array_equal(found.cam_from_world[fixed], far.cam_from_world[fixed])
    assert (found.cam_from_world[~fixed] != far.cam_from_world[~fixed]).any(axis=(1, 2)).all()
    assert np.abs(centres(found.cam_from_world) - centres(far.cam_from_world)).max() < 0.2


def test_a_scene_that_lies_beside_the_origin_keeps_its_size(make_capture: Make) -> None:
    """A start from global positioning is anywhere: centre at 18 units, extent under one (found on photographs)."""
    capture = make_capture(frames=9, prior_deg=1.0, prior_shift=0.02, prior_focal=1.1)
    problem = capture.problem()
    world = Sim3(0.06, np.eye(3), np.array([11.0, -9.0, 12.0]))
    start = moved(problem.prior, world)
    fit = fit_points(problem, start, 1.0)
    found, _ = adjust(problem, start, fit.points, fit.kept, Adjustment(4.0, LIMITS, max_iterations=50))
    before, after = (np.ptp(centres(some.cam_from_world), axis=0).max() for some in (start, found))
    assert after == pytest.approx(before, rel=0.2)


class _Summary:
    def __init__(self, usable: bool) -> None:
        self._usable = usable

    def is_solution_usable(self) -> bool:
        return self._usable

    def brief_report(self) -> str:
        return "made up"


class _Spoiler:
    """Stands in for Ceres: says what it is told to, after it has done something to the model."""

    def __init__(self, model: pycolmap.Reconstruction, usable: bool, scale: float) -> None:
        self.model, self.usable, self.scale = model, usable, scale

    def solve(self) -> _Summary:
        self.model.transform(pycolmap.Sim3d(self.scale, pycolmap.Rotation3d(), np.ones(3)))
        return _Summary(self.usable)


@pytest.mark.parametrize(
    ("usable", "scale", "accepted"),
    [(True, 1.0, True), (False, 1.0, False), (True, 0.1, False), (True, 2.0, True), (True, -1.0, False)],
    ids=["usable", "Ceres gives up", "the scene shrinks", "it grows", "it turns inside out"],
)
def test_a_bad_step_is_refused(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch, usable: bool, scale: float, accepted: bool
) -> None:
    capture = make_capture(frames=6)
    problem, truth = capture.problem(), capture.truth
    fit = fit_points(problem, truth, 1.0)

    def spoiler(options: object, config: object, model: pycolmap.Reconstruction) -> _Spoiler:
        if scale < 0:
            for point in model.points3D.values():
                point.xyz = -10 * point.xyz + 100 * np.array([0, 0, -1])
        return _Spoiler(model, usable, abs(scale))

    monkeypatch.setattr("pycolmap.create_default_bundle_adjuster", spoiler)
    found, points = adjust(problem, truth, fit.points, fit.kept, Adjustment(1.0, LIMITS))
    assert (found is not truth) == accepted
    assert (points is not fit.points) == accepted


def test_what_holds_a_world_in_place() -> None:
    nothing, poses = np.full((4, 3), np.nan), np.full((4, 3, 4), np.nan)

    def told(places: list[list[float]]) -> Priors:
        positions = nothing.copy()
        positions[: len(places)] = np.reshape(places, (-1, 3))
        return Priors(poses, 1.0, 1.0, positions, np.ones((4, 3)))

    assert not told([]).hold_the_gauge
    assert not told([[0, 0, 0], [1, 0, 0]]).hold_the_gauge, "the world may still turn about the line"
    assert not told([[0, 0, 0], [1, 0, 0], [2, 0, 0]]).hold_the_gauge
    assert told([[0, 0, 0], [1, 0, 0], [0, 2, 0]]).hold_the_gauge
    two = poses.copy()
    two[:2] = np.eye(3, 4)
    assert not Priors(two, 1.0, 1.0, nothing, nothing).hold_the_gauge, "one place tells no scale"
    two[1, 0, 3] = 1.0
    assert Priors(two, 1.0, 1.0, nothing, nothing).hold_the_gauge


def test_many_cameras_are_told_apart(make_capture: Make) -> None:
    """The solver's errors are those of each frame's own camera, whatever the order of names."""
    capture = make_capture(frames=6, noise_px=0.0, false_matches=0.0)
    problem: Problem = capture.problem()
    names = {problem.camera_of(frame) for frame in range(6)}
    assert len(names) == 2
    seen = np.concatenate([chosen for _, chosen in problem.by_camera(problem.observations.frame)])
    np.testing.assert_array_equal(np.sort(seen), np.arange(len(problem.observations)))
    for name, chosen in problem.by_camera(problem.observations.frame):
        assert {problem.camera_of(int(frame)) for frame in problem.observations.frame[chosen]} == {name}


@pytest.mark.parametrize("frames", [2, 3])
def test_two_views_do_not_calibrate_and_three_do(make_capture: Make, frames: int) -> None:
    capture = make_capture(frames=frames, lenses=(landscape(),), noise_px=0.0, false_matches=0.0)
    problem, truth = capture.problem(), capture.truth
    camera = truth.cameras["camera"]
    wrong = {"camera": replace(camera, params=(1.05 * camera.focal_px, *camera.params[1:]))}
    estimate = replace(truth, cameras=wrong)
    for _ in range(3):
        fit = fit_points(problem, estimate, 0.0)
        estimate, _ = adjust(problem, estimate, fit.points, fit.kept, Adjustment(1.0, LIMITS, max_iterations=50))
    off = abs(estimate.cameras["camera"].focal_px / camera.focal_px - 1)
    assert off == pytest.approx(0.05) if frames == 2 else off < 0.01


def test_every_point_that_two_frames_see_is_adjusted_the_first_and_the_last_too(make_capture: Make) -> None:
    capture = make_capture(frames=5, noise_px=0.5, false_matches=0.0)
    problem, truth = capture.problem(), capture.truth
    fit = fit_points(problem, truth, 1.0)
    kept = fit.kept & (problem.observations.lengths >= 3)[problem.observations.track]
    found, points = adjust(problem, truth, fit.points, kept, Adjustment(1.0, LIMITS))
    adjusted = np.isin(np.arange(len(points)), problem.observations.track[kept])
    np.testing.assert_array_equal((points != fit.points).any(axis=1), adjusted)
    before, after = (
        reprojection_errors(problem, *some, problem.observations)[kept]
        for some in ((truth, fit.points), (found, points))
    )
    assert (after**2).mean() < (before**2).mean()


@pytest.mark.parametrize("offset", [0.0, 5e6])
def test_where_all_cameras_are_one_place_the_points_give_the_size(make_capture: Make, offset: float) -> None:
    """Coordinates of so many metres are rounded to a billionth, which is no distance between cameras."""
    capture = make_capture(frames=5, layout="rotation")
    problem = capture.problem()
    points = np.random.default_rng(0).normal(size=(problem.observations.num_tracks, 3))
    points *= 8 / np.linalg.norm(points, axis=1, keepdims=True)
    there = moved(capture.truth, Sim3(1.0, np.eye(3), np.full(3, offset)))
    local = local_frame(there, points + offset, problem.observations)
    assert local.scale == pytest.approx(1 / 8, rel=1e-6)
    np.testing.assert_allclose(local.apply(np.full((1, 3), offset)), 0.0, atol=1e-6)


def test_a_camera_that_is_no_number_is_refused_whoever_looks_through_it(make_capture: Make) -> None:
    capture = make_capture(frames=4)
    problem, truth = capture.problem(), capture.truth
    fit = fit_points(problem, truth, 1.0)
    upright = problem.observations.where(np.isin(problem.observations.frame, problem.frames_of("portrait")))
    for parameter in (0, 3):
        params = list(truth.cameras["landscape"].params)
        assert _sound(problem, truth, (truth, fit.points), upright, Adjustment(1.0, LIMITS))
        params[parameter] = np.nan
        spoiled = {**truth.cameras, "landscape": replace(truth.cameras["landscape"], params=tuple(params))}
        found = replace(truth, cameras=spoiled)
        assert not _sound(problem, truth, (found, fit.points), upright, Adjustment(1.0, LIMITS))
