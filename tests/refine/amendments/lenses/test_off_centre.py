"""Pictures cropped to one side: their centres are found, cameras are not turned instead, no lens is taken for one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import LANDSCAPE, WORKING_PX, Make, Synthetic

from da3_pipeline.geometry import Camera
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine import RefineConfig, refinement
from da3_pipeline.refine.amendments.lenses.off_centre import (
    CENTRES_OPEN,
    _aside,
    _derivatives,
    centre_pulls,
    with_centres_found,
)
from da3_pipeline.refine.amendments.solution import Solution
from da3_pipeline.refine.config import OffCentreConfig
from da3_pipeline.refine.initialisation.candidates import Candidate
from da3_pipeline.refine.refinement import refine_matched
from da3_pipeline.refine.solve.problem import Estimate
from da3_pipeline.refine.solve.rounds import refine_estimate
from da3_pipeline.types import CandidateScore, Scene

CONFIG, SILENT = RefineConfig(), SilentProgress()


def lens(across: float = 0.0, down: float = 0.0) -> Camera:
    """Of a picture whose centre lies so far aside, shares of its longer side."""
    focal, cx, cy, k1 = LANDSCAPE.params
    return replace(LANDSCAPE, params=(focal, cx + across * LANDSCAPE.width, cy + down * LANDSCAPE.width, k1))


def cropped(make_capture: Make, *aside: tuple[float, float]) -> Synthetic:
    """Twelve pictures, every third and fourth of four cropped."""
    lenses = (lens(), lens(), *(lens(*one) for one in aside))
    return make_capture(frames=12, points=1500, lenses=lenses, noise_px=0.3, prior_focal=1.0)


def as_one_camera(capture: Synthetic) -> Synthetic:
    camera = next(iter(capture.prediction.cameras.values()))
    capture = replace(capture, prediction=replace(capture.prediction, cameras={"camera": camera}))
    return capture.with_frames(replace(frame, camera_id="camera") for frame in capture.frames)


def refined(capture: Synthetic, config: RefineConfig = CONFIG) -> Scene:
    return refine_matched(capture.prediction, capture.correspondences, config, SILENT)


ASIDE = ((0.12, -0.05), (-0.08, 0.1))


def test_centres_of_cropped_pictures_are_found(make_capture: Make) -> None:
    capture = cropped(make_capture, *ASIDE)
    scene = refined(capture)
    rotation_deg, shift = capture.pose_errors(scene.cam_from_world)
    assert rotation_deg < 0.5 and shift < 0.01
    assert len(scene.cameras) == 7 and "4 more are cropped to one side" in scene.verdict.summary
    for k, frame in enumerate(scene.frames):
        camera = scene.cameras[frame.camera_id]
        true = lens() if k % 4 < 2 else lens(*ASIDE[k % 4 - 2])
        np.testing.assert_allclose(camera.K[:2, 2], true.K[:2, 2], atol=0.008 * LANDSCAPE.width)
    assert scene.verdict.unverified, scene.verdict.summary
    (gate,) = [gate for gate in scene.verdict.gates if not gate.passed]
    assert (gate.name, gate.value) == ("cropped pictures", 6.0) and "uncropped originals" in gate.remedy


def test_without_it_their_cameras_are_turned_instead(make_capture: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    others = tuple(one for one in refinement.OF_THE_WINNER if one.__name__ != "with_centres_found")
    monkeypatch.setattr(refinement, "OF_THE_WINNER", others)
    capture = cropped(make_capture, *ASIDE)
    assert capture.pose_errors(refined(capture).cam_from_world)[0] > 3


@pytest.mark.parametrize("aside", [((0.0, 0.0), (0.0, 0.0)), ((0.01, 0.005), (0.01, 0.005))])
def test_lenses_that_are_not_quite_centred_are_no_crops(make_capture: Make, aside: tuple[tuple[float, float]]) -> None:
    scene = refined(cropped(make_capture, *aside))
    assert set(scene.cameras) == {"camera"} and "cropped" not in scene.verdict.summary
    assert scene.verdict.passed, scene.verdict.summary


def test_given_cameras_and_large_captures_are_left_alone(make_capture: Make) -> None:
    capture = cropped(make_capture, *ASIDE)
    given = capture.with_frames(replace(frame, known_camera=lens()) for frame in capture.frames)
    assert set(refined(given).cameras) == {"camera"}
    few = RefineConfig(off_centre=OffCentreConfig(most_frames=11))
    assert set(refined(capture, few).cameras) == {"camera"}


def believing_the_middle(capture: Synthetic) -> Solution:
    """Solved from the truth with cameras whose centres are in the middle."""
    problem = capture.problem()
    cameras = {name: Camera.pinhole(it.width, it.height, 1500.0) for name, it in problem.prior.cameras.items()}
    fit = refine_estimate(problem, Estimate(capture.cam_from_world, cameras), CONFIG.solve, 0)
    score = CandidateScore("found", 0.9, 0.8, len(capture.frames), fit.median_px, 0.0)
    return Solution(capture.prediction, capture.correspondences, problem, (Candidate(fit, score, 0.9),))


def test_where_next_to_none_would_keep_its_centre_none_moves(make_capture: Make) -> None:
    """All of them cropped, each another way: nothing is believed then, and the verdict says so."""
    every = ((0.12, -0.05), (-0.08, 0.1), (-0.1, -0.1), (0.09, 0.08))
    capture = make_capture(
        frames=6, points=500, lenses=tuple(lens(*one) for one in every), noise_px=0.3, false_matches=0.0
    )
    solution = believing_the_middle(as_one_camera(capture))
    told = with_centres_found(solution, CONFIG, SILENT)
    assert told == replace(solution, figures={CENTRES_OPEN: 6.0})
    config = RefineConfig(off_centre=OffCentreConfig(most_aside=1.0))
    moved = with_centres_found(solution, config, SILENT)
    assert len(moved.problem.known_cameras) == 6 and "4 more are cropped" in moved.remarks[0]


def test_centres_that_none_is_believed_of_fail_the_verdict(make_capture: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    capture = make_capture(points=1500, noise_px=0.3)
    assert refined(capture).verdict.passed

    def all_aside(solution: Solution, *_: object) -> Solution:
        return solution.saying({CENTRES_OPEN: 8.0})

    monkeypatch.setattr(refinement, "OF_THE_WINNER", (all_aside,))
    scene = refined(capture)
    failed = [(gate.name, gate.value) for gate in scene.verdict.gates if not gate.passed]
    assert failed == [("cropped pictures", 8.0)]


def test_a_single_picture_may_be_cropped(make_capture: Make) -> None:
    lenses = (*([lens()] * 5), lens(0.1, 0.08))
    capture = make_capture(frames=6, points=500, lenses=lenses, noise_px=0.3, false_matches=0.0)
    solution = believing_the_middle(as_one_camera(capture))
    moved = with_centres_found(solution, CONFIG, SILENT)
    assert moved.remarks == ("005.png is cropped to one side",)
    assert [frame.camera_id == "camera" for frame in moved.frames] == [True] * 5 + [False]
    camera = moved.winner.fit.estimate.cameras[moved.frames[5].camera_id]
    np.testing.assert_allclose(camera.K[:2, 2] / WORKING_PX, [0.6, 0.375 + 0.08], atol=0.01)


def test_the_pull_is_where_the_centre_went(make_capture: Make) -> None:
    """Solved with the right centres a picture is not pulled; told a centre that is off by 2 %, it is, by about that."""
    capture = make_capture(frames=6, points=1500, lenses=(lens(),), noise_px=0.2, false_matches=0.0)
    problem = capture.problem()
    fit = refine_estimate(problem, capture.truth, CONFIG.solve, 0)
    still, unexplained = centre_pulls(problem, fit, 100)
    assert len(still) == 6 and still.max() < 0.003 and 0 <= unexplained.min() <= unexplained.max() < 0.5
    xy = problem.observations.xy + np.where((problem.observations.frame == 2)[:, None], [0.02 * WORKING_PX, 0.0], 0.0)
    moved = problem.with_observations(replace(problem.observations, xy=xy))
    pull, explained = centre_pulls(moved, fit, 100)
    assert pull[2] == pytest.approx(0.02, rel=0.2) and 0.5 < explained[2] <= 1
    np.testing.assert_allclose(np.delete(pull, 2), np.delete(still, 2))
    seen = np.bincount(problem.observations.frame[fit.kept])[2]
    for fewest, told in ((seen, True), (seen + 1, False)):
        assert bool(centre_pulls(moved, fit, int(fewest))[0][2]) is told


@pytest.mark.parametrize("model", ["SIMPLE_RADIAL", "OPENCV_FISHEYE"])
def test_the_centre_is_where_the_lens_model_has_it(make_capture: Make, model: str) -> None:
    """Models keep it in different places of their parameters, and some have two focal lengths before it."""
    capture = make_capture(frames=6, lenses=(lens(),))
    problem, (name, camera) = capture.problem(), next(iter(capture.truth.cameras.items()))
    focal, cx, cy, _ = camera.params
    params = (focal, focal, cx, cy, 0.0, 0.0, 0.0, 0.0) if model == "OPENCV_FISHEYE" else camera.params
    middle = replace(camera, model=model, params=params)
    each = {f"{name} {k}": middle for k in range(6)}
    own = replace(problem, camera_names=tuple(each), camera_index=np.arange(6))
    found = replace(capture.truth, cameras=each)
    assert not len(_aside(own, found, problem, np.arange(6), 0.02))
    for share, aside in ((0.1, [4]), (0.018, [])):
        moved = list(params)
        moved[params.index(cx)] += share * camera.width
        found = replace(found, cameras=each | {f"{name} 4": replace(middle, params=tuple(moved))})
        assert _aside(own, found, problem, np.arange(6), 0.02).tolist() == aside
    seen = np.random.default_rng(0).uniform((-1, -1, 4), (1, 1, 8), (50, 3))
    longer = middle.to_pycolmap().focal_length_idxs()
    bigger = replace(middle, params=tuple(1.01 * v if k in longer else v for k, v in enumerate(params)))
    by_focal = _derivatives(middle, seen)[:, :, 6]
    np.testing.assert_allclose(by_focal, (bigger.project(seen) - middle.project(seen)) / 0.01, atol=1e-3 * focal)
