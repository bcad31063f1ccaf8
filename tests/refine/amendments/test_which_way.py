"""Pictures of one lens turned nobody knows how: the matches tell, by the centre, or it stays in the middle."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scenes import Make, Synthetic

from da3_pipeline.geometry import Camera
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine import RefineConfig
from da3_pipeline.refine.amendments import which_way
from da3_pipeline.refine.amendments.solution import Solution
from da3_pipeline.refine.amendments.which_way import turned_as_matches_say
from da3_pipeline.refine.initialisation.candidates import Candidate
from da3_pipeline.refine.solve.lenses import turned
from da3_pipeline.refine.solve.priors import priors_of
from da3_pipeline.refine.solve.problem import Estimate
from da3_pipeline.refine.solve.rounds import Fit, refine_estimate
from da3_pipeline.types import CandidateScore

CONFIG = RefineConfig()
LENS = Camera("RADIAL", 3200, 2400, (3000.0, 1640.0, 1175.0, -0.07, 0.02))
CENTRED = Camera("RADIAL", 3200, 2400, (3000.0, 1600.0, 1200.0, -0.07, 0.02))


def solved(capture: Synthetic) -> Solution:
    """From the truth, but for the cameras: pinholes with their centres in the middle."""
    capture = capture.with_frames(replace(frame, lens="one") for frame in capture.frames)
    problem = capture.problem()
    cameras = {name: Camera.pinhole(it.width, it.height, 1500.0) for name, it in problem.prior.cameras.items()}
    fit = refine_estimate(problem, Estimate(capture.cam_from_world, cameras), CONFIG.solve, 0)
    entry = CandidateScore("found", 1.0, 1.0, len(capture.frames), fit.median_px, 0.0, chosen=True)
    return Solution(capture.prediction, capture.correspondences, problem, (Candidate(fit, entry, 1.0),))


def off_px(capture: Synthetic, solution: Solution) -> float:
    """How far the centres are off at most, in working pixels."""
    found, true = solution.winner.fit.estimate.cameras, capture.truth.cameras
    return max(abs(found[name].params[k] - true[name].params[k]) for name in true for k in (1, 2))


@pytest.mark.parametrize("quarters", [1, 3])
def test_the_right_way_is_the_one_with_one_centre(make_capture: Make, quarters: int) -> None:
    capture = make_capture(frames=10, points=900, lenses=(LENS, turned(LENS, quarters)), noise_px=0.3)
    before = solved(capture)
    after = turned_as_matches_say(before, CONFIG, SilentProgress())
    assert off_px(capture, before) == pytest.approx(20)
    assert off_px(capture, after) < 1
    lenses = after.problem.lenses
    assert lenses is not None and lenses.views["portrait"].certain
    assert turned(LENS, lenses.views["portrait"].quarters + quarters) == LENS
    was, now = (capture.pose_errors(some.winner.fit.estimate.cam_from_world) for some in (before, after))
    assert now[0] < 0.3 * was[0] and now[1] < 0.5 * was[1]
    assert turned_as_matches_say(after, CONFIG, SilentProgress()) is after


def test_where_neither_way_is_better_the_centre_stays(make_capture: Make) -> None:
    capture = make_capture(frames=10, points=900, lenses=(CENTRED, turned(CENTRED, 1)), noise_px=0.3)
    before = solved(capture)
    assert turned_as_matches_say(before, CONFIG, SilentProgress()) is before
    assert off_px(capture, before) == 0


def test_what_held_the_winner_holds_it_either_way(make_capture: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    capture = make_capture(frames=4, points=200, lenses=(LENS, turned(LENS, 1)), false_matches=0.0)
    before = solved(capture)
    priors = priors_of(before.problem, CONFIG.priors)
    before = replace(before, candidates=(replace(before.winner, held_by=priors),))
    held = []

    def polish(_problem: object, fit: Fit, _config: object, priors: object, rigs: object) -> Fit:
        held.append((priors, rigs))
        return fit

    monkeypatch.setattr(which_way, "polish", polish)
    assert turned_as_matches_say(before, CONFIG, SilentProgress()) is before
    assert held == [(priors, None)] * 2


def test_poses_that_are_given_and_fixed_are_not_moved(make_capture: Make) -> None:
    capture = make_capture(frames=10, points=900, lenses=(LENS, turned(LENS, 1)), noise_px=0.3)
    before = solved(capture)
    given = replace(before, problem=replace(before.problem, given_poses=True))
    assert turned_as_matches_say(given, CONFIG, SilentProgress()) is given
    alone = replace(before, problem=replace(before.problem, lenses=None))
    assert turned_as_matches_say(alone, CONFIG, SilentProgress()) is alone
