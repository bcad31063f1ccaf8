"""Priors in the adjustment: they hold what observations leave open, and give way where observations know better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scenes import Make, Synthetic, landscape

from da3_pipeline.geometry import Sim3, centres
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine import RefineConfig
from da3_pipeline.refine.config import PriorConfig
from da3_pipeline.refine.refinement import refine_matched
from da3_pipeline.refine.solve.adjustment import Adjustment, adjust
from da3_pipeline.refine.solve.priors import Priors, extent, priors_of
from da3_pipeline.refine.solve.problem import Estimate, Problem
from da3_pipeline.refine.solve.rounds import fit_points


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
        estimate, _ = adjust(problem, estimate, fit.points, fit.kept, Adjustment(1.0, max_iterations=50, priors=priors))
    assert np.abs(centres(estimate.cam_from_world) - centres(truth.cam_from_world)).max() < 0.02


def test_many_observations_overrule_wrong_priors(make_capture: Make) -> None:
    capture = make_capture(frames=6, false_matches=0.0, prior_deg=5.0, prior_shift=0.1)
    problem, truth = stated(capture)
    fit = fit_points(problem, truth, 1.0)
    priors = priors_of(problem, PriorConfig())
    found, _ = adjust(problem, truth, fit.points, fit.kept, Adjustment(1.0, max_iterations=50, priors=priors))
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
