"""EXIF's focal length: wrong ones cost nothing and are named, right ones and those not refuted stay evidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import LANDSCAPE, Make, Synthetic, landscape

from da3_pipeline.geometry import Camera
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine import RefineConfig
from da3_pipeline.refine.amendments import contest
from da3_pipeline.refine.amendments.lenses import exif_focal as module
from da3_pipeline.refine.amendments.lenses.exif_focal import (
    _at,
    doubted,
    exif_judged,
    without_exif,
    without_refuted_exif,
)
from da3_pipeline.refine.amendments.solution import Solution
from da3_pipeline.refine.initialisation.candidates import Candidate
from da3_pipeline.refine.refinement import refine_matched
from da3_pipeline.refine.solve.lenses import turned
from da3_pipeline.refine.solve.problem import Estimate
from da3_pipeline.refine.solve.rounds import fit_points, refine_estimate
from da3_pipeline.types import CandidateScore, PriorTrust, Scene

CONFIG, SILENT = RefineConfig(), SilentProgress()
LENS = landscape(k1=-0.03)


def saying(capture: Synthetic, ratio: float) -> Synthetic:
    """With EXIF focal lengths so many times the true ones, which the prior's cameras believe, as `infer` does."""
    cameras = {
        name: Camera.pinhole(lens.width, lens.height, ratio * lens.focal_px) for name, lens in capture.cameras.items()
    }
    capture = replace(capture, prediction=replace(capture.prediction, cameras=cameras))
    return capture.with_frames(
        replace(frame, exif_focal_px=cameras[frame.camera_id].focal_px) for frame in capture.frames
    )


def refined(capture: Synthetic) -> Scene:
    return refine_matched(capture.prediction, capture.correspondences, CONFIG, SILENT)


def measured(scene: Scene) -> set[str]:
    return {gate.name for gate in scene.verdict.gates}


@pytest.mark.parametrize(("frames", "ratio"), [(8, 2.34), (8, 1.3), (8, 0.45), (12, 2.34)])
def test_a_wrong_focal_length_costs_nothing_and_is_named(make_capture: Make, frames: int, ratio: float) -> None:
    capture = saying(make_capture(frames=frames, lenses=(LENS,)), ratio)
    scene = refined(capture)
    rotation_deg, shift = capture.pose_errors(scene.cam_from_world)
    assert rotation_deg < 0.1 and shift < 0.002 and capture.focal_error(scene.cameras) < 0.002
    assert scene.verdict.passed, scene.verdict.summary
    said = f"EXIF says a focal length of {32.4 * ratio:.0f} mm (on 35 mm film), the matches 32 mm"
    assert said in scene.verdict.summary
    assert "focal vs EXIF" not in measured(scene) and "focal vs prior" not in measured(scene)
    assert scene.trust.poses or frames > 8 or ratio == 1.3, "a good prior proves itself all the same"


@pytest.mark.parametrize("layout", ["row", "rotation"])
def test_where_matches_say_little_of_it_a_wrong_one_does_not_hold(make_capture: Make, layout: str) -> None:
    """Side by side, and on the spot: 29 and 141 % off, when cameras were held to EXIF's."""
    capture = saying(make_capture(lenses=(LENS,), layout=layout), 2.34)
    assert capture.focal_error(refined(capture).cameras) < 0.01


@pytest.mark.parametrize("ratio", [1.0, 0.93, 1.12])
def test_a_rounded_focal_length_stays_evidence(make_capture: Make, ratio: float) -> None:
    scene = refined(saying(make_capture(frames=12, lenses=(LENS,)), ratio))
    assert "focal vs EXIF" in measured(scene) and "EXIF says" not in scene.verdict.summary and scene.verdict.passed


def test_a_second_start_is_for_doubts_only(make_capture: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    contests: list[bool] = []
    compete = contest.compete

    def counting(problem, *others):  # type: ignore[no-untyped-def]
        contests.append(bool(problem.exif_focal_px))
        return compete(problem, *others)

    monkeypatch.setattr(contest, "compete", counting)
    capture = make_capture(layout="rotation", lenses=(LENS,), prior_focal=1.0)
    refined(saying(capture, 1.0))
    assert contests == [True]
    refined(saying(capture, 2.34))
    assert contests == [True, True, False]


def posed(capture: Synthetic, focal: float, wrong: bool = False) -> Solution:
    """A solution of a capture, its focal length held at so many times the true one."""
    problem, truth = capture.problem(), capture.truth
    cameras = {name: _at(camera, focal * camera.focal_px) for name, camera in truth.cameras.items()}
    held = replace(problem, known_cameras=frozenset(cameras))
    start = Estimate(truth.cam_from_world, cameras)
    fit = fit_points(held, start, 1.0) if wrong else refine_estimate(held, start, CONFIG.solve, 0)
    entry = CandidateScore("found", 0.9, 0.9, len(capture.frames), fit.median_px, 0.0, chosen=True)
    trust = PriorTrust(focal=True)
    return Solution(capture.prediction, capture.correspondences, problem, (Candidate(fit, entry, 0.9),), trust=trust)


def test_a_solution_that_is_wrong_does_not_refute_a_right_one(make_capture: Make) -> None:
    solution = posed(saying(make_capture(lenses=(LENS,)), 1.0), 1.6)
    judged = exif_judged(solution, CONFIG, SILENT)
    assert judged.problem.exif_focal_px == {"camera": 1500.0} and not judged.remarks and judged.trust.focal


def test_a_solution_that_explains_little_refutes_nothing(make_capture: Make) -> None:
    capture = saying(make_capture(lenses=(LENS,), false_matches=0.6), 2.34)
    assert not exif_judged(posed(capture, 1.0, wrong=True), CONFIG, SILENT).remarks
    capture = saying(make_capture(lenses=(LENS,), false_matches=0.1), 2.34)
    assert exif_judged(posed(capture, 1.0, wrong=True), CONFIG, SILENT).remarks


@pytest.mark.parametrize("known", [False, True], ids=["dropped before", "there"])
def test_what_the_matches_leave_open_is_not_refuted(make_capture: Make, known: bool) -> None:
    """Two views: any focal length explains them, so that EXIF's comes back into the evidence, far off as it is."""
    capture = saying(make_capture(frames=2, lenses=(LENS,), false_matches=0.0, layout="row"), 1.4)
    solution = posed(capture, 1.0)
    if not known:
        solution = replace(solution, problem=replace(solution.problem, exif_focal_px={}))
    judged = exif_judged(solution, CONFIG, SILENT)
    assert judged.problem.exif_focal_px == {"camera": pytest.approx(2100)} and not judged.remarks


def test_poses_that_are_given_stay_where_they_are_while_it_is_tried(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cameras alone are fitted to EXIF's focal length, and a wrong one explains less."""
    monkeypatch.setattr(module, "refine_estimate", None)
    kept = CONFIG.model_copy(update={"solve": CONFIG.solve.model_copy(update={"poses_as": "fixed"})})
    for ratio, refuted in ((2.0, True), (1.0, False)):
        solution = posed(saying(make_capture(lenses=(LENS,)), ratio), 1.0)
        judged = exif_judged(replace(solution, problem=replace(solution.problem, given_poses=True)), kept, SILENT)
        assert bool(judged.remarks) == refuted and (not judged.problem.exif_focal_px) == refuted


def test_only_the_camera_with_the_wrong_one_loses_it(make_capture: Make) -> None:
    capture = make_capture(frames=10)
    right = saying(capture, 1.0)
    wrong = right.with_frames(
        replace(frame, exif_focal_px=2 * frame.exif_focal_px) if frame.camera_id == "portrait" else frame
        for frame in right.frames
    )
    judged = exif_judged(posed(wrong, 1.0), CONFIG, SILENT)
    assert judged.problem.exif_focal_px.keys() == {"landscape"}
    assert judged.trust.focal is None and len(judged.remarks) == 1


@pytest.mark.parametrize(("ratio", "dropped"), [(1.0, False), (1.12, False), (1.3, True), (2.34, True), (0.45, True)])
def test_pairs_refute_it_before_anything_is_built_on_it(make_capture: Make, ratio: float, dropped: bool) -> None:
    capture = saying(make_capture(frames=8, lenses=(LENS,)), ratio)
    before = Solution(capture.prediction, capture.correspondences, capture.problem())
    after = without_refuted_exif(before, CONFIG, SILENT).problem
    assert bool(after.exif_focal_px) is not dropped
    expected = 1500 if dropped else 1500 * ratio
    assert after.prior.cameras["camera"].focal_px == pytest.approx(expected, rel=0.05)
    again = replace(before, problem=after).restated(CONFIG)
    assert again.problem.exif_focal_px == after.exif_focal_px and again.problem.prior.cameras == after.prior.cameras
    given = replace(before, problem=replace(before.problem, given_poses=True))
    assert without_refuted_exif(given, CONFIG, SILENT) is given


@pytest.mark.parametrize(("share", "dropped"), [(0.5, False), (1.0, False), (1.5, True)])
def test_a_vote_refutes_it_that_explains_clearly_more(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch, share: float, dropped: bool
) -> None:
    capture = saying(make_capture(frames=4, lenses=(LENS,)), 2.34)
    more = CONFIG.exif.explains_more
    explained = {True: 0.25, False: 0.25 + share * more}
    monkeypatch.setattr(module, "_explained", lambda problem, name, focal_px, _: explained[focal_px > 3000])
    before = Solution(capture.prediction, capture.correspondences, capture.problem())
    assert bool(without_refuted_exif(before, CONFIG, SILENT).problem.exif_focal_px) is not dropped


def test_pairs_of_one_lens_refute_it_together(make_capture: Make) -> None:
    """Two pictures upright and two on their side: of each camera a single pair."""
    capture = saying(make_capture(frames=4, lenses=(LENS, turned(LENS, 1)), false_matches=0.0), 2.34)
    for lens, left in ((None, {"landscape", "portrait"}), ("one", set())):
        shared = capture.with_frames(replace(frame, lens=lens) for frame in capture.frames)
        solution = Solution(shared.prediction, shared.correspondences, shared.problem())
        after = without_refuted_exif(solution, CONFIG, SILENT).problem
        assert after.exif_focal_px.keys() == left
    assert after.prior.cameras["portrait"].focal_px == after.prior.cameras["landscape"].focal_px


def test_without_a_vote_the_prior_says_what_it_saw(make_capture: Make) -> None:
    """1.15 times the truth, at half size; the prior's own camera has EXIF's."""
    capture = saying(make_capture(lenses=(LANDSCAPE,), layout="rotation"), 2.34)
    problem = without_exif(capture.problem(), capture.prediction, {"camera"}, CONFIG)
    guess = problem.prior.cameras["camera"]
    assert guess.focal_px == pytest.approx(1.15 * 1500) and (guess.width, guess.height) == (1600, 1200)
    assert doubted(posed(capture, 1.0, wrong=True), CONFIG) == {"camera"}
    assert doubted(posed(saying(capture, 1.1), 1.0, wrong=True), CONFIG) == set()
    assert doubted(posed(saying(capture, 1.0), 1.3, wrong=True), CONFIG) == {"camera"}


def test_a_camera_at_another_focal_length_bends_the_same_pixels() -> None:
    camera = Camera("RADIAL", 3200, 2400, (3000.0, 1640.0, 1175.0, -0.07, 0.02))
    longer = _at(camera, 4500.0)
    assert longer.focal_px == pytest.approx(4500)
    plane = np.random.default_rng(0).uniform(-0.4, 0.4, (20, 2))
    points = np.column_stack([plane, np.ones(20)])
    np.testing.assert_allclose(longer.project(points * [1 / 1.5, 1 / 1.5, 1.0]), camera.project(points))
