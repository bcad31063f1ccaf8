"""Held-out errors are the noise of the observations at the truth, and show what fitted ones hide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scenes import Make

from da3_pipeline.refine.solve.problem import pose_problem
from da3_pipeline.refine.verdict.held_out import held_out_errors


def test_errors_at_the_truth_are_noise(make_capture: Make) -> None:
    capture = make_capture(frames=10, noise_px=0.5, false_matches=0.0)
    problem = capture.problem()
    truth = capture.truth
    found = held_out_errors(problem, truth, np.zeros(len(problem.observations), bool), seed=0)
    errors = found.errors_px
    assert len(errors) == (problem.observations.lengths >= 3).sum()
    # The median of a Rayleigh distribution is 1.18 sigma; the point's own error comes on top.
    assert 0.5 * 1.17 < np.median(errors) < 0.5 * 1.6
    again = held_out_errors(problem, truth, np.zeros(len(problem.observations), bool), seed=0)
    assert np.array_equal(errors, again.errors_px)


def test_a_frame_in_a_wrong_place_shows(make_capture: Make) -> None:
    capture = make_capture(frames=6, noise_px=0.2, false_matches=0.0)
    problem = capture.problem()
    poses = capture.cam_from_world.copy()
    poses[:, :, 3] += 0.2 * np.random.default_rng(1).standard_normal((6, 3))
    wrong = replace(capture.truth, cam_from_world=poses)
    found = held_out_errors(problem, wrong, np.zeros(len(problem.observations), bool), seed=0)
    assert np.median(found.errors_px) > 5.0


def test_adjusted_tracks_and_pairs_are_left_alone(make_capture: Make) -> None:
    capture = make_capture(frames=2)
    problem = capture.problem()
    truth = capture.truth
    assert len(held_out_errors(problem, truth, np.zeros(len(problem.observations), bool), seed=0).frame) == 0
    longer = make_capture(frames=6)
    problem = pose_problem(longer.prediction, longer.correspondences, 1600)
    assert len(held_out_errors(problem, problem.prior, np.ones(len(problem.observations), bool), seed=0).frame) == 0
    nowhere = replace(problem.prior, cam_from_world=np.full_like(problem.prior.cam_from_world, np.nan))
    assert len(held_out_errors(problem, nowhere, np.zeros(len(problem.observations), bool), seed=0).frame) == 0
