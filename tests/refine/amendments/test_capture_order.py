"""Folds that the order of the capture gives away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import Make, Synthetic, landscape, with_lookalike

from da3_pipeline.arrays import Float, Int
from da3_pipeline.geometry import rotation_angle_deg
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine.amendments import capture_order as module
from da3_pipeline.refine.amendments.capture_order import chained_rotations, in_capture_order, joined_chains
from da3_pipeline.refine.amendments.solution import Solution
from da3_pipeline.refine.config import RefineConfig
from da3_pipeline.refine.initialisation.candidates import Candidate, compete
from da3_pipeline.refine.initialisation.two_view import RelativePoses
from da3_pipeline.refine.solve.rounds import fit_points
from da3_pipeline.types import CandidateScore


def about_y(degrees: Float) -> Float:
    angle = np.radians(degrees)
    zero, one = np.zeros_like(angle), np.ones_like(angle)
    columns = [np.cos(angle), zero, np.sin(angle), zero, one, zero, -np.sin(angle), zero, np.cos(angle)]
    return np.stack(columns, -1).reshape(*angle.shape, 3, 3)


def relative(
    degrees: Float, pairs: list[tuple[int, int]], support: Int | None = None, off: dict | None = None
) -> RelativePoses:
    """Pairs of cameras that are turned by `degrees` (N,) about y; `off`: by how much a pair is wrong."""
    first, second = np.array(pairs).T
    wrong = np.array([(off or {}).get(pair, 0.0) for pair in pairs])
    poses = np.concatenate([about_y(degrees[second] - degrees[first] + wrong), np.ones((len(pairs), 3, 1))], axis=2)
    return RelativePoses(np.array(pairs), poses, np.full(len(pairs), 100) if support is None else support)


def turned_alike(rotations: Float, degrees: Float) -> float:
    """Largest angle by which rotations differ from those about y, up to a turn of all."""
    true = about_y(degrees)
    return float(rotation_angle_deg(rotations @ rotations[0].T, true @ true[0].T).max())


def test_rotations_are_chained_along_neighbours_by_the_best_supported() -> None:
    degrees = np.array([0.0, 20.0, 50.0, 45.0, 90.0])
    pairs = [(0, 1), (1, 2), (2, 3), (3, 4), (0, 2)]
    told = relative(degrees, pairs, np.array([100, 100, 100, 100, 20]), {(0, 2): 90.0})
    rotations, chain = chained_rotations(5, told, np.ones(5, bool))
    assert chain.tolist() == [0] * 5
    assert turned_alike(rotations, degrees) < 1e-6


def test_a_chain_may_go_back_to_an_earlier_frame() -> None:
    degrees = np.array([0.0, 70.0, 30.0, 10.0])
    rotations, _ = chained_rotations(4, relative(degrees, [(0, 3), (2, 3), (1, 2)]), np.ones(3, bool))
    assert turned_alike(rotations, degrees) < 1e-6


def test_frames_without_links_are_chains_of_their_own() -> None:
    told = relative(np.arange(5.0), [(0, 1), (3, 4), (0, 4)])
    _, chain = chained_rotations(5, told, np.array([True, True, False]))
    assert len(set(chain.tolist())) == 3
    assert chain[0] == chain[1] and chain[3] == chain[4]


@pytest.mark.parametrize("swapped", [False, True])
def test_chains_are_joined_as_most_matches_between_them_say(swapped: bool) -> None:
    degrees = np.array([0.0, 10.0, 20.0, 200.0, 210.0])
    links, joints = [(0, 1), (1, 2), (3, 4)], [(0, 3), (1, 3), (2, 4)]
    if swapped:  # the later chain comes first
        links, joints = [(4 - b, 4 - a) for a, b in links], [(4 - b, 4 - a) for a, b in joints]
        degrees = degrees[::-1].copy()
    pairs = links + joints
    told = relative(degrees, pairs, np.array([90, 90, 90, 60, 50, 100]), {joints[2]: 120.0})
    rotations, chain = chained_rotations(5, told, np.arange(6) < 3)
    rotations, chain = joined_chains(rotations, chain, told, 45.0)
    assert len(set(chain.tolist())) == 1
    assert turned_alike(rotations, degrees) < 1e-6


def folded(capture: Synthetic) -> tuple[Solution, RefineConfig]:
    """The capture with its winner replaced: from the middle on cameras look back from the other side."""
    problem = capture.problem()
    poses = capture.cam_from_world.copy()
    poses[4:, :, :3] = about_y(np.full(4, 170.0)) @ poses[4:, :, :3]
    fit = fit_points(problem, replace(capture.truth, cam_from_world=poses), 1.0)
    winner = Candidate(fit, CandidateScore("made", 0.9, 0.8, 8, fit.median_px, 0.0), 0.9)
    return Solution(capture.prediction, capture.correspondences, problem, (winner,)), RefineConfig()


def test_a_fold_is_solved_again_without_what_the_order_contradicts(make_capture: Make) -> None:
    """Two pairs, far from each other in the capture, match as if the second picture were rolled by 60 degrees."""
    capture = make_capture(frames=8, lenses=(landscape(),)).filmed()
    for pair in ((0, 5), (1, 6)):
        capture = with_lookalike(capture, *pair)
    solution, config = folded(capture)
    amended = in_capture_order(solution, config, SilentProgress())
    left = {(pair.i, pair.j) for pair in amended.correspondences.pairs}
    assert {(pair.i, pair.j) for pair in capture.correspondences.pairs} - left == {(0, 5), (1, 6)}
    assert capture.pose_errors(amended.winner.fit.estimate.cam_from_world)[0] < 0.5
    assert "order of the capture" in amended.remarks[0]


@pytest.mark.parametrize("found", ["nothing", "the same"])
def test_another_solution_that_refutes_as_many_is_not_taken(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch, found: str
) -> None:
    solution, config = folded(with_lookalike(make_capture(frames=8, lenses=(landscape(),)).filmed(), 0, 5))
    monkeypatch.setattr(module, "compete", lambda *_: () if found == "nothing" else solution.candidates)
    assert in_capture_order(solution, config, SilentProgress()) is solution


def test_a_fold_that_no_pair_causes_stays_as_it_is(make_capture: Make) -> None:
    solution, config = folded(make_capture(frames=8, lenses=(landscape(),)).filmed())
    assert in_capture_order(solution, config, SilentProgress()) is solution


def test_names_without_order_contradict_nothing(make_capture: Make) -> None:
    """All pairs match, so that pictures next to each other are no more likely to show the same than any two."""
    capture = make_capture(frames=8, lenses=(landscape(),))
    for pair in ((0, 5), (1, 6)):
        capture = with_lookalike(capture, *pair)
    solution, config = folded(capture)
    assert in_capture_order(solution, config, SilentProgress()) is solution


def test_what_refutes_no_neighbours_stays(make_capture: Make) -> None:
    capture, config = make_capture(frames=6, lenses=(landscape(),)).filmed(), RefineConfig()
    candidates = compete(capture.problem(), config, SilentProgress())
    solution = Solution(capture.prediction, capture.correspondences, capture.problem(), candidates)
    assert in_capture_order(solution, config, SilentProgress()) is solution
