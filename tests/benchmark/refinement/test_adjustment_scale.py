"""Large synthetic adjustments: the problem is what it says, and the bench measures it."""

from __future__ import annotations

import numpy as np
import pytest

from da3_pipeline.benchmark.refinement.adjustment_scale import measure_adjustment
from da3_pipeline.benchmark.refinement.synthetic_problem import synthetic_problem
from da3_pipeline.benchmark.truth.prior_noise import PriorNoise
from da3_pipeline.geometry import centres
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine.matching.verification import sampson_error_px
from da3_pipeline.refine.solve.problem import Estimate
from da3_pipeline.refine.solve.score import agreement
from da3_pipeline.refine.solve.triangulation import reprojection_errors, triangulate


@pytest.mark.parametrize("path", ["orbit", "walk"])
def test_points_are_seen_by_a_few_near_frames_with_noise_and_false_places(path: str) -> None:
    case = synthetic_problem(40, path, PriorNoise(), seed=0)  # type: ignore[arg-type]
    observations = case.problem.observations
    assert (np.diff(observations.track) >= 0).all()
    same = np.diff(observations.track) == 0
    assert (np.diff(observations.frame)[same] > 0).all()
    assert observations.lengths.min() >= 3
    assert observations.lengths.max() <= 10
    assert np.bincount(observations.frame, minlength=40).min() > 300
    truth = Estimate(case.cam_from_world, {"camera": case.camera})
    errors = reprojection_errors(case.problem, truth, triangulate(case.problem, truth, observations), observations)
    assert 0.2 < np.median(errors) < 0.8
    assert 0.03 < (errors > 5).mean() < 0.25  # a false place also spoils the short track that it is in
    pairs = np.stack([observations.frame * 10_000 + observations.keypoint])
    assert np.unique(pairs).size == len(observations)


def test_matches_and_fundamental_matrices_agree_with_the_truth() -> None:
    case = synthetic_problem(12, "orbit", PriorNoise(3, 0.03, 0.03), seed=1)
    matches = case.problem.matches
    for pair, fundamental in enumerate(matches.fundamental):
        mine = matches.pair == pair
        assert mine.sum() > 50
        error_px = sampson_error_px(fundamental, matches.xy_first[mine], matches.xy_second[mine])
        assert np.median(error_px) < 1
    assert agreement(case.problem, Estimate(case.cam_from_world, {"camera": case.camera})) > 0.85
    assert agreement(case.problem, case.problem.prior) < 0.5


def test_the_walk_closes() -> None:
    places = centres(synthetic_problem(60, "walk", PriorNoise(), 0).cam_from_world)
    step = np.linalg.norm(np.diff(places, axis=0), axis=1)
    assert np.linalg.norm(places[0] - places[-1]) < 2 * step.max()


def test_the_table_tells_size_cost_and_what_became_of_the_errors() -> None:
    _, line = measure_adjustment([12], "orbit", 0, SilentProgress()).splitlines()
    fields = line.replace("->", " ").split()
    images, observed, kept, seconds, _, peak_mb, rotation_before, rotation_after, before, after, *_ = map(float, fields)
    assert images == 12
    assert observed >= kept > 2000
    assert seconds > 0
    assert peak_mb > 100
    assert rotation_before > 1.5 > 0.3 > rotation_after
    assert before > 1 > 0.3 > after
