"""When the contest between candidates may end, and who wins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scenes import Make, Synthetic, landscape

from da3_pipeline.arrays import Float
from da3_pipeline.geometry import Sim3, rotation_angle_deg
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine.config import RefineConfig
from da3_pipeline.refine.initialisation import candidates as module
from da3_pipeline.refine.initialisation.candidates import Candidate, _convincing, _starts, compete
from da3_pipeline.refine.solve.rounds import fit_points
from da3_pipeline.refine.solve.score import AGREE_PX, precision
from da3_pipeline.types import CandidateScore, PriorTrust

HELD = ["held by the prior", "best of these, held by the prior"]


def candidate(score: float, weakest: float = 0.9, median_px: float = 0.3) -> Candidate:
    return Candidate(None, CandidateScore("x", score, score, 25, median_px, 1.0), weakest)


def test_nearly_all_matches_explained_ends_the_contest() -> None:
    assert _convincing([candidate(0.99)], RefineConfig())
    assert not _convincing([candidate(0.95)], RefineConfig())


def test_a_good_total_does_not_hide_frames_whose_own_matches_disagree() -> None:
    assert not _convincing([candidate(0.98, weakest=0.03)], RefineConfig())


def test_two_starts_that_end_alike_end_the_contest_amid_false_matches() -> None:
    assert _convincing([candidate(0.901), candidate(0.902)], RefineConfig())
    assert not _convincing([candidate(0.901), candidate(0.86)], RefineConfig())


def test_large_errors_never_convince() -> None:
    assert not _convincing([candidate(0.99, median_px=3.0)], RefineConfig())


def test_precision_falls_with_the_square_of_the_error_and_ends_at_a_pixel() -> None:
    assert precision(np.array([0.0, 0.5, 1.0, 2.0, np.inf])) == pytest.approx((1 + 0.75) / 5)
    assert precision(np.zeros(0)) == 0.0


def test_true_matches_kept_exact_outweigh_false_ones_brought_near() -> None:
    """Bending to 20 false matches brings them within 2 px and doubles the errors of the 900 true ones."""
    generator = np.random.default_rng(0)
    true, false = np.abs(generator.normal(0, 0.35, 900)), generator.uniform(2.5, 50, 100)
    bent = np.concatenate([2 * true, generator.uniform(0.5, 1.9, 20), false[20:]])
    straight = np.concatenate([true, false])
    assert (bent < AGREE_PX).mean() > (straight < AGREE_PX).mean()
    assert precision(bent) < precision(straight)


def names_of_starts(capture: Synthetic, count: int, config: RefineConfig | None = None) -> list[str]:
    starts = _starts(capture.problem(), config or RefineConfig(), [candidate(0.9)], (), SilentProgress())
    return [name for name, _ in islice(starts, count)]


def test_a_priors_positions_are_a_start_where_its_rotations_agree_with_those_of_matches(
    make_capture: Make, random_poses: Callable[[int], Float], identical_poses: Callable[[int], Float]
) -> None:
    capture = make_capture(frames=5)
    assert names_of_starts(capture, 9) == ["prior", "two-view geometry", "two-view rotations, prior positions"]
    for useless in (random_poses(5), identical_poses(5)):
        assert names_of_starts(capture.with_prior(useless), 9) == ["prior", "two-view geometry"]
    some = capture.prediction.cam_from_world.copy()
    some[0] = np.nan
    assert names_of_starts(capture.with_prior(some), 9) == ["prior", "two-view geometry"]
    assert names_of_starts(capture.with_pairs(()), 9) == ["prior", "two-view geometry"]


@pytest.mark.parametrize(("frames", "each"), [(5, 400), (50, 400), (80, 250), (1000, 150)])
def test_many_frames_compete_on_fewer_observations_each(frames: int, each: int) -> None:
    assert RefineConfig().solve.observations_in_contest(frames) == each


def test_starts_from_two_view_geometry_have_its_rotations(make_capture: Make) -> None:
    capture = make_capture(frames=5, false_matches=0.0, prior_deg=20.0)
    for name, start in islice(_starts(capture.problem(), RefineConfig(), [candidate(0.9)], (), SilentProgress()), 1, 3):
        relative, truth = (
            some[1:, :, :3] @ some[0, :, :3].T for some in (start.cam_from_world, capture.cam_from_world)
        )
        assert rotation_angle_deg(relative, truth).max() < 5.0, name


def test_the_contest_of_few_frames_is_between_free_and_held_ones(make_capture: Make) -> None:
    for frames in (2, 4):
        capture = make_capture(frames=frames, lenses=(landscape(),), prior_focal=1.0, prior_deg=1.0, prior_shift=0.01)
        candidates = compete(capture.problem(), RefineConfig(), SilentProgress(), PriorTrust(poses=True))
        names = [candidate.score.name for candidate in candidates]
        assert names[:2] in (HELD, HELD[::-1]) and "prior, unrefined" in names[2:] and "prior" in names[2:]
        assert [candidate.score.chosen for candidate in candidates] == [True] + [False] * (len(candidates) - 1)
        assert [candidate.held_by is not None for candidate in candidates] == [name in HELD for name in names]
        assert {candidate.score.registered for candidate in candidates} == {frames}
        assert all(candidate.score.seconds >= 0 for candidate in candidates)
        rest = [round(candidate.score.precision, 3) for candidate in candidates[2:]]
        assert rest == sorted(rest, reverse=True)


def test_a_prior_that_matches_contradict_does_no_harm(make_capture: Make, random_poses: Callable[[int], Float]) -> None:
    capture = make_capture(frames=5).with_prior(random_poses(5))
    candidates = compete(capture.problem(), RefineConfig(), SilentProgress())
    assert candidates[0].score.score > 0.8
    assert capture.pose_errors(candidates[0].fit.estimate.cam_from_world)[0] < 0.6


def test_many_frames_are_not_held_and_given_ones_do_not_compete(make_capture: Make) -> None:
    capture = make_capture(frames=9, lenses=(landscape(),))
    candidates = compete(capture.problem(), RefineConfig(), SilentProgress())
    assert not any(candidate.held_by for candidate in candidates)
    told = capture.with_frames(
        replace(frame, known_cam_from_world=pose)
        for frame, pose in zip(capture.frames, capture.cam_from_world, strict=True)
    )
    (given,) = compete(told.problem(), RefineConfig(), SilentProgress())
    assert given.score.name == "given" and given.score.chosen
    np.testing.assert_array_equal(given.fit.estimate.cam_from_world, capture.cam_from_world)
    assert given.score.score > 0.9 and given.weakest_agreement > 0.8


def test_without_poses_there_is_no_candidate(make_capture: Make) -> None:
    capture = make_capture(frames=3).with_pairs(()).with_prior(np.full((3, 3, 4), np.nan))
    assert compete(capture.problem(), RefineConfig(), SilentProgress()) == ()


@pytest.mark.parametrize(
    ("held", "free", "order"),
    [
        ([(0.80, 0.3), (0.95, 0.3)], [0.96, 0.50], ["best held", "held", "free", "free"]),
        ([(0.93, 0.3), (0.80, 0.3)], [0.96, 0.50], ["free", "free", "held", "best held"]),
        ([(0.951, 0.5), (0.949, 0.3)], [0.96, 0.95], ["best held", "held", "free", "free"]),
    ],
    ids=["within the margin", "beyond it", "of equals the more exact"],
)
def test_held_ones_win_within_two_hundredths_of_the_matches(
    make_capture: Make,
    monkeypatch: pytest.MonkeyPatch,
    held: list[tuple[float, float]],
    free: list[float],
    order: list[str],
) -> None:
    capture = make_capture(frames=3)
    problem, told = capture.problem(), iter(held)

    def entered(name: str, *_: object) -> Candidate:
        score, median_px = next(told)
        return candidate(score, median_px=median_px)

    monkeypatch.setattr(module, "refine_estimate", lambda *_: None)
    monkeypatch.setattr(module, "_entered", entered)
    fit: Any = SimpleNamespace(estimate=capture.truth)
    ranked = module._with_held(problem, problem, [replace(candidate(score), fit=fit) for score in free], RefineConfig())
    names = {held[0]: "held", held[1]: "best held"}
    found = [names.get((c.score.score, c.score.median_error_px), "free") if c.held_by else "free" for c in ranked]
    assert found == order


def test_a_solution_is_moved_onto_the_prior_which_places_what_it_lacks(make_capture: Make) -> None:
    capture = make_capture(frames=5)
    problem = capture.with_prior(capture.cam_from_world).problem()
    elsewhere = Sim3(3.0, np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([5.0, 6, 7]))
    poses = elsewhere.apply_to_cameras(capture.cam_from_world)
    poses[2] = np.nan
    found = module._in_world_of_prior(problem, replace(capture.truth, cam_from_world=poses))
    np.testing.assert_allclose(found.cam_from_world, capture.cam_from_world, atol=1e-9)
    assert found.cameras == capture.truth.cameras
    nowhere = replace(capture.truth, cam_from_world=np.full((5, 3, 4), np.nan))
    assert module._in_world_of_prior(problem, nowhere) is problem.prior


def test_an_entry_tells_of_the_frame_whose_matches_agree_least(make_capture: Make) -> None:
    capture = make_capture(frames=6, false_matches=0.0, lenses=(landscape(),))
    problem, poses = capture.problem(), capture.cam_from_world.copy()
    poses[3, :, 3] += 1.0
    entry = module._entered("x", problem, fit_points(problem, replace(capture.truth, cam_from_world=poses), 1.0), 0.0)
    assert entry.weakest_agreement < 0.2 and 0.5 < entry.score.score < 0.75, "ten pairs of fifteen"
    assert entry.score.registered == 6 and entry.score.precision <= entry.score.score
    nothing = make_capture(frames=3).with_pairs(())
    empty = module._entered("x", nothing.problem(), fit_points(nothing.problem(), nothing.truth, 1.0), 0.0)
    assert empty.score.score == 0.0 and np.isnan(empty.weakest_agreement)
