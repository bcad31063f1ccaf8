"""Tracks built again from the matches that agree, and whether the winner is polished on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import Make, Synthetic

from da3_pipeline.arrays import Int
from da3_pipeline.geometry import compose, invert
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine.amendments import second_look as module
from da3_pipeline.refine.amendments.second_look import _looked, _some_disagree, second_look
from da3_pipeline.refine.amendments.solution import Solution
from da3_pipeline.refine.config import RefineConfig
from da3_pipeline.refine.initialisation.candidates import Candidate
from da3_pipeline.refine.solve.problem import Estimate
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


@pytest.mark.parametrize(
    ("agreements", "some_disagree", "looks", "kept"),
    [
        ([0.5, 0.5], False, 1, 1),
        ([0.5, 0.6, 0.6], False, 2, 2),
        ([0.5, 0.6, 0.6, 0.6, 0.6, 0.6], True, 4, 4),  # one that helped and three in vain
        ([0.5, 0.5, 0.5, 0.6, 0.6, 0.6, 0.6], True, 6, 6),
        ([0.5, 0.6, 0.55], True, 2, 1),
        ([0.5, 0.495, 0.49, 0.485], True, 3, 3),
        ([0.5, 0.51, 0.52, 0.53, 0.54, 0.55, 0.56, 0.57, 0.58, 0.59], True, 8, 8),
    ],
)
def test_it_looks_again_while_that_helps(
    make_capture: Make,
    monkeypatch: pytest.MonkeyPatch,
    agreements: list[float],
    some_disagree: bool,
    looks: int,
    kept: int,
) -> None:
    """agreements: before any look, then after each."""
    before, told = solved(make_capture(frames=4, points=100)), iter(agreements)
    solutions = [before]

    def look(solution: Solution, _: RefineConfig) -> Solution:
        assert solution is solutions[-1]
        solutions.append(replace(solution, figures={"look": float(len(solutions))}))
        return solutions[-1]

    monkeypatch.setattr(module, "agreement", lambda *_: next(told))
    monkeypatch.setattr(module, "_looked", look)
    monkeypatch.setattr(module, "_some_disagree", lambda *_: some_disagree)
    after = looked(before)
    assert len(solutions) == 1 + looks and after is solutions[kept]


def test_some_disagree_where_a_tenth_of_the_frames_does(make_capture: Make) -> None:
    """Frames without any match say nothing."""
    capture = make_capture(frames=8, false_matches=0.0)
    alone = capture.with_pairs(pair for pair in capture.correspondences.pairs if pair.j < 7)
    nothing = capture.with_pairs(())
    for some in (capture, alone, nothing):
        assert not _some_disagree(solved(some), RefineConfig())
        poses = some.cam_from_world.copy()
        poses[2, :, 3] += poses[2, :, :3] @ [0.0, 2.0, 0.0]
        assert _some_disagree(solved(replace(some, cam_from_world=poses)), RefineConfig()) == (some is not nothing)


def test_a_frame_without_a_pose_gets_one(make_capture: Make) -> None:
    capture = make_capture(frames=8, false_matches=0.0)
    poses = capture.cam_from_world.copy()
    poses[5] = np.nan
    after = _looked(solved(replace(capture, cam_from_world=poses)), RefineConfig())
    rotation_deg, shift = capture.pose_errors(after.winner.fit.estimate.cam_from_world)
    assert rotation_deg < 0.2 and shift < 0.01


@pytest.mark.parametrize(("stray", "given", "found"), [([2], False, [2]), ([], False, None), ([2], True, None)])
def test_strays_are_found_again_unless_somebody_placed_them(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch, stray: list[int], given: bool, found: list[int] | None
) -> None:
    before = solved(make_capture(frames=4, points=100))
    before = replace(before, problem=replace(before.problem, given_poses=given))
    asked: list[list[int]] = []

    def register(_problem: object, estimate: Estimate, frames: Int, *_: object) -> Estimate:
        asked.append(frames.tolist())
        return estimate

    monkeypatch.setattr(module, "strays", lambda *_: np.array(stray, int))
    monkeypatch.setattr(module, "register", register)
    _looked(before, RefineConfig())
    assert asked == ([] if found is None else [found])


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
