"""What the verdict looks at is what it says: of the frames that were refined, against the truth that is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import Make, Synthetic

from da3_pipeline.arrays import Bool, Float
from da3_pipeline.refine import RefineConfig
from da3_pipeline.refine.assembly import Assembly
from da3_pipeline.refine.solve.priors import Priors, priors_of
from da3_pipeline.refine.solve.problem import Problem
from da3_pipeline.refine.solve.rounds import fit_points
from da3_pipeline.refine.verdict import evidence as module
from da3_pipeline.refine.verdict.evidence import gather_evidence
from da3_pipeline.refine.verdict.gates import Evidence
from da3_pipeline.refine.verdict.halves import Spread
from da3_pipeline.refine.verdict.held_out import HeldOut
from da3_pipeline.refine.verdict.jackknife import Scatter
from da3_pipeline.refine.verdict.uncertainty import LetGo
from da3_pipeline.types import PriorTrust

CONFIG = RefineConfig()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested elsewhere, and takes adjustments, has an answer at once."""
    monkeypatch.setattr(module, "split_halves", lambda *_: Spread(0.25, 0.125, np.zeros(0), np.zeros(0)))
    scatter = Scatter(np.array([[0, 1], [0, 2]]), np.array([0.5, 0.0]), np.array([0.25, 1.0]))
    monkeypatch.setattr(module, "block_jackknife", lambda *_: scatter)
    monkeypatch.setattr(module, "let_go", lambda *_: LetGo(0.5, 0.0625, np.zeros(0), ""))
    monkeypatch.setattr(module, "focal_uncertainty", lambda *_: 0.03125)


def evidence_of(
    capture: Synthetic,
    problem: Problem | None = None,
    poses: Float | None = None,
    refined: Bool | None = None,
    held_by: Priors | None = None,
    scales: Float | None = None,
) -> Evidence:
    """On the truth, or the given poses, of all frames or the given ones."""
    problem = problem or capture.problem()
    estimate = replace(capture.truth, cam_from_world=capture.cam_from_world if poses is None else poses)
    fit = fit_points(problem, estimate, 1.0, 4.0)
    refined = np.ones(problem.num_frames, bool) if refined is None else refined
    kept = fit.kept & refined[problem.observations.frame]
    assembly = Assembly(fit, refined, ~refined, kept, estimate.cam_from_world, 1.0, 1)
    scales = np.ones(problem.num_frames) if scales is None else scales
    trust = PriorTrust(True, True, True)
    return gather_evidence(capture.prediction, problem, assembly, scales, held_by, trust, CONFIG)[0]


def test_frames_that_were_not_refined_count_in_their_share_alone(make_capture: Make) -> None:
    """Four of fourteen stand in wrong places, and are not part of the scene."""
    capture = make_capture(frames=14, false_matches=0.0)
    poses = capture.cam_from_world.copy()
    poses[10:, :, 3] += poses[10:, :, :3] @ [0.5, 1.0, 0.0]  # together, so that they agree with each other
    wrong = evidence_of(capture, poses=poses)
    left_out = evidence_of(capture, poses=poses, refined=np.arange(14) < 10, scales=np.exp(np.arange(14) >= 10))
    assert wrong.weakest == pytest.approx(3 / 13, abs=0.05), "the share of a wrong one's partners that are, too"
    assert left_out.weakest == pytest.approx(9 / 13, abs=0.08)
    assert (wrong.frames, wrong.refined_share, left_out.refined_share) == (14, 1.0, pytest.approx(10 / 14))
    assert wrong.weakest_cut is not None and left_out.weakest_cut is not None
    assert wrong.weakest_cut < 0.2 and left_out.weakest_cut > 0.9
    assert left_out.scale_jump == 0.0
    assert left_out.false_pairs == 10 * 4, "pairs of a right frame and a wrong one"


def test_a_trainers_frames_are_the_measure_where_some_are_chosen(make_capture: Make) -> None:
    capture = make_capture(frames=6)
    some = capture.with_frames(replace(frame, training=k < 2) for k, frame in enumerate(capture.frames))
    none = capture.with_frames(replace(frame, training=False) for frame in capture.frames)
    refined = np.arange(6) > 0
    assert evidence_of(some, refined=refined).refined_share == 0.5
    assert evidence_of(none, refined=refined).refined_share == pytest.approx(5 / 6)


def test_lengths_angles_and_errors_are_those_of_the_observations(make_capture: Make) -> None:
    capture = make_capture(frames=6, noise_px=0.5, false_matches=0.0)
    problem = capture.problem()
    fit = fit_points(problem, capture.truth, 1.0, 4.0)
    found = evidence_of(capture)
    assert found.mean_track_length == pytest.approx(np.bincount(problem.observations.track[fit.kept]).mean(), rel=0.01)
    assert found.observations_per_frame == np.median(np.bincount(problem.observations.frame[fit.kept]))
    # Two degrees of freedom of each observation, less the point's three: shorter than Rayleigh's 1.18 sigma.
    assert found.median_error_px is not None and 0.25 < found.median_error_px < 0.5 * 1.18
    assert found.p95_error_px is not None and 2 * found.median_error_px < found.p95_error_px < 4.0
    assert found.ray_spread_deg is not None and 20 < found.ray_spread_deg < 60, "an arc of one radian"
    assert found.cells is not None and found.cells > 0.5
    assert found.agreement > 0.95 and found.false_pairs == 0


def test_the_camera_that_is_farthest_from_the_usual_one_is_told(make_capture: Make) -> None:
    """Views of 56.1 and 59.5 degrees; focal lengths are 1500 and 1400."""
    capture = make_capture(frames=4)
    found = evidence_of(capture)
    assert found.fov_deg == pytest.approx(2 * np.degrees(np.arctan(1600 / 3000)))
    assert found.exif_ratio is None and found.prior_ratio == pytest.approx(1 / 1.15)
    exif = {"landscape": 1500 / 1.1, "portrait": 1400 * 1.3}
    told = evidence_of(capture, replace(capture.problem(), exif_focal_px=exif))
    assert told.exif_ratio == pytest.approx(1 / 1.3) and told.prior_ratio is None
    known = evidence_of(capture, replace(capture.problem(), known_cameras=frozenset({"landscape", "portrait"})))
    assert known.prior_ratio is None


@pytest.mark.parametrize(("count", "told"), [(49, None), (50, 0.75)])
def test_few_observations_that_were_held_out_say_nothing(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch, count: int, told: float | None
) -> None:
    errors = np.full(count, 0.75)
    errors[0] = 1000.0
    monkeypatch.setattr(module, "held_out_errors", lambda *_: HeldOut(errors, np.zeros(count, np.int64)))
    assert evidence_of(make_capture(frames=4)).held_out_px == told


def test_halves_are_compared_where_nothing_but_matches_holds_them(make_capture: Make) -> None:
    capture = make_capture(frames=4)
    found = evidence_of(capture)
    assert (found.halves_deg, found.halves_position) == (0.25, 0.125)
    given = evidence_of(capture, replace(capture.problem(), given_poses=True))
    assert given.halves_deg is given.halves_position is None


def proofs(found: Evidence) -> tuple[float | None, ...]:
    return (
        found.linking_points,
        found.focal_sigma,
        found.let_go_deg,
        found.let_go_focal,
        found.known_focal,
        found.relief,
    )


def test_few_views_are_asked_for_proof(make_capture: Make) -> None:
    few, many = (make_capture(frames=frames, false_matches=0.0) for frames in (12, 13))
    linking, *others = proofs(evidence_of(few))
    assert others == [0.03125, None, None, None, None] and linking is not None and 400 < linking <= 500
    held = proofs(evidence_of(few, held_by=priors_of(few.problem(), CONFIG.priors)))
    assert held == (linking, 0.03125, 0.5, 0.0625, None, None)
    assert proofs(evidence_of(many)) == (None,) * 6
    assert proofs(evidence_of(few, replace(few.problem(), given_poses=True))) == (None,) * 6
    assert proofs(evidence_of(many, refined=np.arange(13) > 0))[1] == 0.03125
    assert proofs(evidence_of(few, refined=np.arange(12) == 0)) == (None,) * 6


def test_many_views_too_must_stay_without_parts_of_the_scene(make_capture: Make) -> None:
    capture = make_capture(frames=4)
    assert evidence_of(capture).scatter_deg == 0.75
    assert evidence_of(capture, refined=np.arange(4) < 2).scatter_deg is None
    assert evidence_of(capture, replace(capture.problem(), given_poses=True)).scatter_deg is None
    many, too_many = (make_capture(frames=frames, points=100) for frames in (100, 101))
    assert evidence_of(many).scatter_deg == 0.75
    assert evidence_of(too_many).scatter_deg is None


@pytest.mark.parametrize(("frames", "scatter_deg"), [(12, 0.75), (13, None)])
def test_what_measured_depth_holds_is_not_asked_of_matches_alone(
    make_capture: Make, frames: int, scatter_deg: float | None
) -> None:
    capture = make_capture(frames=frames, points=100)
    problem, seen = capture.problem(), capture.problem().observations
    sensed = replace(problem, observations=replace(seen, depth=np.ones(len(seen))))
    assert evidence_of(capture, sensed).scatter_deg == scatter_deg


def test_points_that_two_views_share_link_nothing(make_capture: Make) -> None:
    capture = make_capture(frames=3)
    problem = capture.problem()
    lengths = problem.observations.lengths
    short = problem.with_observations(problem.observations.subset((lengths == 2)[problem.observations.track]))
    assert proofs(evidence_of(capture, short))[0] == 0.0


def test_of_two_views_focal_lengths_and_relief_are_asked(make_capture: Make) -> None:
    capture = make_capture(frames=2)
    assert proofs(evidence_of(capture)) == (None, None, None, None, 0.0, pytest.approx(0.7))
    one = replace(capture.problem(), known_cameras=frozenset({"portrait"}))
    assert evidence_of(capture, one).known_focal == 0.5
    flat = make_capture(frames=2, surface="plane")
    assert evidence_of(flat).relief == pytest.approx(0.0)


def test_nothing_refined_leaves_nothing_to_measure(make_capture: Make) -> None:
    found = evidence_of(make_capture(frames=4), refined=np.zeros(4, bool))
    assert found.refined_share == 0.0
    for name in ("median_error_px", "p95_error_px", "weakest", "weakest_cut", "mean_track_length", "cells"):
        assert getattr(found, name) is None
    assert found.observations_per_frame is None and found.ray_spread_deg is None


def test_two_wrong_frames_of_twelve_are_the_weakest_and_one_of_twenty_is_not(make_capture: Make) -> None:
    """A tenth of the frames: where these disagree with most of their partners it shows."""
    for frames, wrong, low, high in ((12, 2, 0.05, 0.3), (20, 1, 0.8, 1.0)):
        capture = make_capture(frames=frames, false_matches=0.0)
        poses = capture.cam_from_world.copy()
        poses[frames - wrong :, :, 3] += poses[frames - wrong :, :, :3] @ [0.5, 1.0, 0.0]
        found = evidence_of(capture, poses=poses).weakest
        assert found is not None and low < found < high
