"""Large synthetic adjustments: the problem is what it says, and the bench measures it."""

from __future__ import annotations

import numpy as np
import pytest

from da3_pipeline.benchmark.metrics.growth import growth_of
from da3_pipeline.benchmark.refinement.adjustment_parts import parts_of
from da3_pipeline.benchmark.refinement.adjustment_scale import AdjustmentOptions, measure_adjustment, measure_parts
from da3_pipeline.benchmark.refinement.synthetic_problem import ProblemSize, synthetic_problem
from da3_pipeline.benchmark.truth.prior_noise import PriorNoise
from da3_pipeline.geometry import centres
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine.matching.verification import sampson_error_px
from da3_pipeline.refine.solve.score import agreement
from da3_pipeline.refine.solve.triangulation import reprojection_errors, triangulate


@pytest.mark.parametrize("path", ["orbit", "walk"])
def test_points_are_seen_by_a_few_near_frames_with_noise_and_false_places(path: str) -> None:
    case = synthetic_problem(ProblemSize(40), path, PriorNoise(), seed=0)  # type: ignore[arg-type]
    observations = case.problem.observations
    assert (np.diff(observations.track) >= 0).all()
    same = np.diff(observations.track) == 0
    assert (np.diff(observations.frame)[same] > 0).all()
    assert observations.lengths.min() >= 3
    assert observations.lengths.max() <= 10
    assert np.bincount(observations.frame, minlength=40).min() > 300
    points = triangulate(case.problem, case.truth, observations)
    errors = reprojection_errors(case.problem, case.truth, points, observations)
    assert 0.2 < np.median(errors) < 0.8
    assert 0.03 < (errors > 5).mean() < 0.25  # a false place also spoils the short track that it is in
    pairs = np.stack([observations.frame * 10_000 + observations.keypoint])
    assert np.unique(pairs).size == len(observations)


def test_matches_and_fundamental_matrices_agree_with_the_truth() -> None:
    case = synthetic_problem(ProblemSize(12), "orbit", PriorNoise(3, 0.03, 0.03), seed=1)
    matches = case.problem.matches
    for pair, fundamental in enumerate(matches.fundamental):
        mine = matches.pair == pair
        assert mine.sum() > 50
        error_px = sampson_error_px(fundamental, matches.xy_first[mine], matches.xy_second[mine])
        assert np.median(error_px) < 1
    assert agreement(case.problem, case.truth) > 0.85
    assert agreement(case.problem, case.problem.prior) < 0.5


def test_the_walk_closes() -> None:
    places = centres(synthetic_problem(ProblemSize(60), "walk", PriorNoise(), 0).cam_from_world)
    step = np.linalg.norm(np.diff(places, axis=0), axis=1)
    assert np.linalg.norm(places[0] - places[-1]) < 2 * step.max()


def test_cameras_take_turns_and_their_lenses_differ() -> None:
    case = synthetic_problem(ProblemSize(20, cameras=5, tracks=1000), "orbit", PriorNoise(focal=0.03), seed=0)
    truth, guessed = case.cameras, case.problem.prior.cameras
    assert len({camera.focal_px for camera in truth.values()}) == 5
    ratios = [guessed[name].focal_px / camera.focal_px for name, camera in truth.items()]
    assert np.allclose(np.abs(np.log(ratios)), np.log(1.03))
    observations = case.problem.observations
    assert 800 < observations.num_tracks <= 1000
    points = triangulate(case.problem, case.truth, observations)
    assert np.median(reprojection_errors(case.problem, case.truth, points, observations)) < 0.8
    assert agreement(case.problem, case.truth) > 0.85, "fundamental matrices are of either frame's own camera"


def test_growth_is_the_slope_of_logarithms_with_its_interval() -> None:
    sizes = np.repeat([100.0, 200.0, 400.0, 800.0], 3)
    noise = np.tile([0.95, 1.0, 1.05], 4)
    for power in (1.0, 2.0):
        growth = growth_of(sizes, 3e-6 * sizes**power * noise)
        assert growth.low < power < growth.high
        assert growth.exponent == pytest.approx(power, abs=0.03)
        assert growth.high - growth.low < 0.1
    assert growth_of(sizes, sizes**1.5 * noise).low > 1.3
    assert np.isnan(growth_of(np.array([9.0, 9.0]), np.array([1.0, 2.0])).exponent)
    assert np.isnan(growth_of(np.array([9.0, 18.0]), np.array([1.0, 2.0])).low)


def test_every_part_runs_and_has_a_line() -> None:
    case = synthetic_problem(ProblemSize(16, cameras=4, tracks=1200), "orbit", PriorNoise(3, 0.03, 0.03), seed=0)
    parts = {name: part() for name, part in parts_of(case).items()}
    assert np.isfinite(parts["triangulation"]).all() and np.median(parts["score"]) < 1
    options = AdjustmentOptions(cameras=8, tracks=2000)
    what, _, *lines = measure_parts([16, 8], options, 1, SilentProgress()).splitlines()
    assert what.startswith("orbit; 8 cameras")
    assert [line[:22].strip() for line in lines] == list(parts)


def test_the_table_tells_size_cost_and_what_became_of_the_errors() -> None:
    _, line = measure_adjustment([12], AdjustmentOptions(cameras=3), SilentProgress()).splitlines()
    fields = line.replace("->", " ").split()
    images, cameras, tracks, observed, kept, seconds, _, peak_mb, *errors = map(float, fields)
    rotation_before, rotation_after, before, after, focal_before, focal_after = errors
    assert (images, cameras) == (12, 3)
    assert 2000 < tracks < observed
    assert observed >= kept > 2000
    assert seconds > 0
    assert peak_mb > 100
    assert rotation_before > 1.5 > 0.3 > rotation_after
    assert before > 1 > 0.3 > after
    assert focal_before > 2 > 0.3 > focal_after
