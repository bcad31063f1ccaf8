"""A refinement under way: what is stated anew, what is kept, and how rigs come together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import Make, Synthetic

from da3_pipeline.geometry import compose, invert
from da3_pipeline.refine.amendments.solution import Solution, settle, thinned
from da3_pipeline.refine.config import RefineConfig
from da3_pipeline.refine.initialisation.candidates import Candidate
from da3_pipeline.refine.solve.rounds import fit_points
from da3_pipeline.types import CandidateScore, RigPlace

CONFIG = RefineConfig()


def candidate(capture: Synthetic, name: str) -> Candidate:
    fit = fit_points(capture.problem(), capture.truth, 1.0)
    return Candidate(fit, CandidateScore(name, 0.9, 0.8, len(capture.frames), fit.median_px, 0.0), 0.9)


@pytest.fixture
def solution(make_capture: Make) -> Solution:
    capture = make_capture(frames=4)
    both = (candidate(capture, "first"), candidate(capture, "second"))
    return Solution(
        capture.prediction, capture.correspondences, capture.problem(), both, {"old": 1.0}, ("before",), 0.1
    )


def test_a_new_statement_has_no_candidates_and_keeps_what_was_said(solution: Solution) -> None:
    same = solution.restated(CONFIG)
    assert same.prediction is solution.prediction and same.correspondences is solution.correspondences
    assert same.candidates == () and len(same.problem.matches) == len(solution.problem.matches)
    assert (same.figures, same.remarks, same.search_radius) == ({"old": 1.0}, ("before",), 0.1)
    fewer = solution.restated(CONFIG, correspondences=replace(solution.correspondences, pairs=()))
    assert len(fewer.problem.matches) == 0 and fewer.prediction is solution.prediction
    other = replace(solution.prediction, cam_from_world=2 * solution.prediction.cam_from_world)
    moved = solution.restated(CONFIG, prediction=other)
    np.testing.assert_array_equal(moved.problem.prior.cam_from_world, other.cam_from_world)
    assert moved.correspondences is solution.correspondences


def test_the_winner_alone_gets_another_fit(solution: Solution) -> None:
    fit = replace(solution.winner.fit, median_px=7.0)
    won = solution.won_by(fit, {"new": 2.0})
    assert won.winner.fit is fit and won.winner.score is solution.winner.score
    assert won.candidates[1:] == solution.candidates[1:]
    assert won.figures == {"old": 1.0, "new": 2.0}
    assert solution.won_by(fit).figures == {"old": 1.0}
    said = solution.saying({"old": 3.0, "more": 4.0}, "after")
    assert said.figures == {"old": 3.0, "more": 4.0} and said.remarks == ("before", "after")


def test_thinning_leaves_about_what_was_asked_for(make_capture: Make) -> None:
    problem = make_capture(frames=4, points=2000).problem()
    few = thinned(problem, CONFIG)
    counts = np.bincount(few.observations.frame)
    assert (counts >= CONFIG.solve.observations_per_frame).all() and len(few.observations) < len(problem.observations)


def test_frames_of_a_rig_come_together_unless_some_are_fixed(make_capture: Make) -> None:
    """One of the right frames has no pose: the other instants tell where it stands."""
    capture = make_capture(frames=8, layout="rig", noise_px=0.2, false_matches=0.0)
    bolted = capture.with_frames(
        replace(frame, rig=RigPlace("head", frame.camera_id, str(k // 2), k % 2 == 0, None))
        for k, frame in enumerate(capture.frames)
    )
    problem = bolted.problem()
    poses = capture.cam_from_world.copy()
    poses[3] = np.nan
    estimate = replace(capture.truth, cam_from_world=poses)
    together = settle(problem, estimate, CONFIG).estimate.cam_from_world
    relative = compose(together[1::2], invert(together[::2]))
    np.testing.assert_allclose(relative, np.tile(relative[:1], (4, 1, 1)), atol=1e-6)
    assert capture.pose_errors(together)[0] < 0.1
    fixed = settle(problem, estimate, CONFIG, fixed=np.arange(8) < 2).estimate.cam_from_world
    np.testing.assert_array_equal(fixed[:2], poses[:2])
    assert np.isnan(fixed[3]).all()
