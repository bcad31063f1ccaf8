"""Tracks built again from the matches that agree, and whether the winner is polished on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import Make, Synthetic

from da3_pipeline.geometry import compose, invert
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine.amendments import second_look as module
from da3_pipeline.refine.amendments.second_look import second_look
from da3_pipeline.refine.amendments.solution import Solution
from da3_pipeline.refine.config import RefineConfig
from da3_pipeline.refine.initialisation.candidates import Candidate
from da3_pipeline.refine.solve.rounds import fit_points
from da3_pipeline.types import CandidateScore, RigPlace


def solved(capture: Synthetic) -> Solution:
    """Won by the truth."""
    problem = capture.problem()
    fit = fit_points(problem, replace(problem.prior, **vars(capture.truth)), 1.0)
    score = CandidateScore("made", 0.9, 0.8, problem.num_frames, fit.median_px, 0.0)
    return Solution(capture.prediction, capture.correspondences, problem, (Candidate(fit, score, 0.9),))


def looked(solution: Solution, **solve: object) -> Solution:
    return second_look(solution, RefineConfig(solve=solve), SilentProgress())  # type: ignore[arg-type]


def test_tracks_that_false_matches_ruined_come_back_and_the_winner_is_polished(make_capture: Make) -> None:
    capture = make_capture(frames=8, false_matches=0.1)
    before = solved(capture)
    after = looked(before)
    lengths = [solution.problem.observations.lengths.mean() for solution in (before, after)]
    assert len(after.problem.observations) > len(before.problem.observations) and lengths[1] > lengths[0]
    assert after.winner.fit is not before.winner.fit and after.winner.score is before.winner.score
    assert capture.pose_errors(after.winner.fit.estimate.cam_from_world)[0] < 0.1
    assert len(looked(before, observations_per_frame=50).winner.fit.kept) < len(after.problem.observations)


def test_fixed_poses_get_the_tracks_alone_and_those_that_are_a_prior_are_polished(make_capture: Make) -> None:
    capture = make_capture(frames=6, false_matches=0.1)
    told = capture.with_frames(
        replace(frame, known_cam_from_world=pose)
        for frame, pose in zip(capture.frames, capture.cam_from_world, strict=True)
    )
    before = solved(told)
    after = looked(before)
    assert len(after.problem.observations) > len(before.problem.observations)
    assert after.winner is before.winner
    assert looked(before, poses_as="prior").winner is not before.winner


@pytest.mark.parametrize(("turned", "taken"), [(0.0, True), (0.02, True), (3.0, False)])
def test_a_polish_that_costs_matches_is_refused(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch, turned: float, taken: bool
) -> None:
    capture = make_capture(frames=6)
    before = solved(capture)
    poses = capture.cam_from_world.copy()
    angle = np.radians(turned)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    poses[2] = turn @ poses[2]
    spoiled = fit_points(before.problem, replace(capture.truth, cam_from_world=poses), 1.0)
    monkeypatch.setattr(module, "polish", lambda *_: spoiled)
    after = looked(before)
    assert (after.winner.fit is spoiled) == taken
    assert (after.winner is before.winner) == (not taken)


def test_frames_on_rigs_move_together(make_capture: Make) -> None:
    capture = make_capture(frames=8, layout="rig", noise_px=0.2)
    bolted = capture.with_frames(
        replace(frame, rig=RigPlace("head", frame.camera_id, str(k // 2), k % 2 == 0, None))
        for k, frame in enumerate(capture.frames)
    )
    poses = capture.cam_from_world.copy()
    poses[1::2, :, 3] += 0.01 * np.random.default_rng(0).standard_normal((4, 3))
    before = solved(replace(bolted, cam_from_world=poses))
    found = looked(before).winner.fit.estimate.cam_from_world
    relative = compose(found[1::2], invert(found[::2]))
    np.testing.assert_allclose(relative, np.tile(relative[:1], (4, 1, 1)), atol=1e-6)
