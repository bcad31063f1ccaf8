"""Without a part of its points a solution goes where adjusting without them takes it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import LANDSCAPE, Make, landscape
from scipy.spatial.transform import Rotation

from da3_pipeline.arrays import Float, Int
from da3_pipeline.geometry import Camera, Sim3, centres
from da3_pipeline.refine.config import SolveConfig
from da3_pipeline.refine.solve.lenses import Lenses, View
from da3_pipeline.refine.solve.problem import Estimate, Problem
from da3_pipeline.refine.solve.rounds import Fit, fit_points, strict_cauchy_px
from da3_pipeline.refine.verdict.halves import readjusted
from da3_pipeline.refine.verdict.newton import linearised

BENT = landscape(2800.0, -0.1)


def settled(problem: Problem, estimate: Estimate, config: SolveConfig) -> tuple[Estimate, Fit]:
    """The minimum, from which a step is zero."""
    for _ in range(5):
        estimate = readjusted(problem, estimate, config)
    return estimate, fit_points(problem, estimate, config.min_ray_spread_deg, config.strict_gate_px)


def relative(poses: Float) -> Float:
    """(P, 6) of pairs: rotation vector to the second from the first, and the unit vector to its centre, in the first;
    what does not depend on the world."""
    first, second = np.triu_indices(len(poses), 1)
    turns = Rotation.from_matrix(poses[second, :, :3] @ np.swapaxes(poses[first, :, :3], 1, 2)).as_rotvec()
    apart = np.einsum("pij,pj->pi", poses[first, :, :3], centres(poses)[second] - centres(poses)[first])
    return np.concatenate([turns, apart / np.linalg.norm(apart, axis=1, keepdims=True)], axis=1)


def steps(
    problem: Problem, estimate: Estimate, fit: Fit, part: Int, config: SolveConfig
) -> tuple[list[Float], list[Float]]:
    """What moved in pairs without each part, foretold and found by adjusting."""
    foretold = [relative(poses) for poses in linearised(problem, estimate, fit, config).without_each(part)]
    observations, found = problem.observations, []
    for number in range(part.max() + 1):
        rest = problem.with_observations(observations.subset((part != number)[observations.track]))
        found.append(relative(settled(rest, estimate, config)[0].cam_from_world))
    here = relative(estimate.cam_from_world)
    return [poses - here for poses in foretold], [poses - here for poses in found]


def off(foretold: list[Float], found: list[Float]) -> float:
    """The part of all that moved, root mean square, which is not foretold."""
    return float(np.linalg.norm(np.subtract(foretold, found)) / np.linalg.norm(found))


def by_place(fit: Fit, parts: int) -> Int:
    """(T,) by what lies left and right of each other."""
    placed = np.isfinite(fit.points).all(axis=1)
    edges = np.nanquantile(fit.points[placed, 0], np.linspace(0, 1, parts + 1)[1:-1])
    return np.where(placed, np.searchsorted(edges, fit.points[:, 0]), -1)


@pytest.mark.parametrize(
    ("lenses", "richest"),
    [((LANDSCAPE,), "SIMPLE_PINHOLE"), (None, "SIMPLE_PINHOLE"), ((BENT, LANDSCAPE), "SIMPLE_RADIAL")],
    ids=["one camera", "two cameras", "lenses that bend"],
)
def test_where_adjusting_without_a_part_takes_it(
    make_capture: Make, lenses: tuple[Camera, ...] | None, richest: str
) -> None:
    config = SolveConfig(max_lens=richest)
    chosen = {} if lenses is None else {"lenses": lenses}
    capture = make_capture(frames=5, points=300, noise_px=0.2, false_matches=0.05, **chosen)
    problem = capture.problem()
    estimate, fit = settled(problem, capture.truth, config)
    foretold, found = steps(problem, estimate, fit, by_place(fit, 5), config)
    assert np.abs(found).max() > 1e-4, "something moves"
    assert off(foretold, found) < 0.2


def test_outliers_under_the_gate_take_no_camera_along(make_capture: Make) -> None:
    """Their loss curves the other way: one step that believed it would move cameras by many times what they move."""
    config = SolveConfig(max_lens="SIMPLE_PINHOLE")
    capture = make_capture(frames=5, points=300, noise_px=0.2, false_matches=0.0)
    problem, rng = capture.problem(), np.random.default_rng(0)
    observations = problem.observations
    far = rng.normal(0, 1.2, (len(observations), 2)) * (rng.random(len(observations)) < 0.15)[:, None]
    problem = problem.with_observations(replace(observations, xy=observations.xy + far))
    estimate, fit = settled(problem, capture.truth, config)
    beyond = fit.errors_px[fit.kept] > strict_cauchy_px(fit, config)
    assert 0.03 < beyond.mean() < 0.3, "there are some"
    foretold, found = steps(problem, estimate, fit, by_place(fit, 5), config)
    assert off(foretold, found) < 0.5


def test_tracks_of_no_part_stay_in(make_capture: Make) -> None:
    config = SolveConfig(max_lens="SIMPLE_PINHOLE")
    capture = make_capture(frames=4)
    estimate, fit = settled(capture.problem(), capture.truth, config)
    part = by_place(fit, 4)
    whole, some = (
        linearised(capture.problem(), estimate, fit, config).without_each(np.where(part < most, part, -1))
        for most in (4, 2)
    )
    assert len(some) == 2
    np.testing.assert_allclose(some, whole[:2], atol=1e-12)


@pytest.mark.parametrize("frames", [3, 5])
def test_focal_lengths_that_are_known_stay(make_capture: Make, frames: int) -> None:
    """Cameras turn less without a part where they cannot change their focal length with it."""
    config = SolveConfig(max_lens="SIMPLE_PINHOLE")
    capture = make_capture(frames=frames, points=300, noise_px=0.2, false_matches=0.0)
    problem = capture.problem()
    known = replace(problem, known_cameras=frozenset(problem.camera_names))
    sizes = []
    for one in (problem, known):
        estimate, fit = settled(one, capture.truth, config)
        foretold, found = steps(one, estimate, fit, by_place(fit, 5), config)
        assert off(foretold, found) < 0.25
        sizes.append(float(np.sqrt(np.mean(np.square(foretold)))))
    assert sizes[1] < 0.8 * sizes[0]


@pytest.mark.parametrize(("frames", "known", "free"), [(3, False, True), (2, False, False), (3, True, False)])
def test_what_an_adjustment_keeps_does_not_move(make_capture: Make, frames: int, known: bool, free: bool) -> None:
    config = SolveConfig(max_lens="SIMPLE_PINHOLE")
    capture = make_capture(frames=frames, points=300, false_matches=0.0)
    problem = capture.problem()
    problem = replace(problem, known_cameras=frozenset(problem.camera_names if known else ()))
    fit = fit_points(problem, capture.truth, config.min_ray_spread_deg, config.strict_gate_px)
    unknowns = linearised(problem, capture.truth, fit, config).unknowns
    cameras = {problem.camera_of(k) for k in range(frames)}
    assert unknowns.count == 6 * frames + free * 2 * len(cameras), "a focal length and how the lens bends, of each"


def test_cameras_that_are_one_lens_move_as_one(make_capture: Make) -> None:
    config = SolveConfig(max_lens="SIMPLE_PINHOLE")
    capture = make_capture(frames=6, points=300, noise_px=0.2, lenses=(LANDSCAPE, LANDSCAPE), false_matches=0.0)
    apart = capture.problem()
    first, second = apart.camera_names
    lenses = Lenses({second: View(first, 0, certain=True)})
    problem = replace(apart, lenses=lenses)
    estimate, fit = settled(problem, capture.truth, config)
    foretold, found = steps(problem, estimate, fit, by_place(fit, 4), config)
    assert off(foretold, found) < 0.2


def test_it_does_not_matter_where_in_the_world_and_how_large(make_capture: Make) -> None:
    config = SolveConfig(max_lens="SIMPLE_PINHOLE")
    capture = make_capture(frames=4)
    problem = capture.problem()
    estimate, fit = settled(problem, capture.truth, config)
    world = Sim3(20.0, Rotation.from_rotvec([0.3, -0.2, 0.5]).as_matrix(), np.array([3000.0, -200.0, 10.0]))
    elsewhere = replace(estimate, cam_from_world=world.apply_to_cameras(estimate.cam_from_world))
    moved = replace(fit, estimate=elsewhere, points=world.apply(fit.points))
    part = by_place(fit, 4)
    here = linearised(problem, estimate, fit, config).without_each(part)
    there = linearised(problem, elsewhere, moved, config).without_each(part)
    np.testing.assert_allclose([relative(poses) for poses in there], [relative(poses) for poses in here], atol=1e-6)
