"""Pixels that are not square are found by their matches, and the cameras say so; square ones, and given ones, stay."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import LANDSCAPE, PORTRAIT, Make, Synthetic, landscape

from da3_pipeline.geometry import Camera
from da3_pipeline.progress import Progress, SilentProgress
from da3_pipeline.refine import RefineConfig
from da3_pipeline.refine.amendments.lenses import pixel_aspect as module
from da3_pipeline.refine.amendments.lenses.pixel_aspect import _best_connected as best_connected
from da3_pipeline.refine.amendments.lenses.pixel_aspect import pixel_aspects, with_square_pixels
from da3_pipeline.refine.amendments.solution import Solution
from da3_pipeline.refine.initialisation.candidates import Candidate
from da3_pipeline.refine.refinement import refine_matched
from da3_pipeline.refine.solve.lens_model import as_opencv
from da3_pipeline.refine.solve.problem import Estimate, Problem
from da3_pipeline.refine.solve.rounds import refine_estimate
from da3_pipeline.types import CandidateScore, Scene

CONFIG, SILENT = RefineConfig(), SilentProgress()
SQUEEZED = Camera("OPENCV", 2400, 2400, (2250.0, 3000.0, 1200.0, 1200.0, -0.03, 0.0, 0.0, 0.0))
"""Three quarters as wide as the lens saw it."""


def squeezed(make_capture: Make, **recipe: object) -> Synthetic:
    return make_capture(**{"frames": 10, "points": 1200, "lenses": (SQUEEZED,), "prior_focal": 1.0, **recipe})


def refined(capture: Synthetic, config: RefineConfig = CONFIG) -> Scene:
    return refine_matched(capture.prediction, capture.correspondences, config, SILENT)


def as_solved(capture: Synthetic) -> Solution:
    """From the truth, as far as lenses of one focal length can follow it."""
    problem = capture.problem()
    fit = refine_estimate(problem, replace(problem.prior, cam_from_world=capture.cam_from_world), CONFIG.solve, 0)
    score = CandidateScore("truth", 0.9, 0.8, len(capture.frames), fit.median_px, 0.0)
    return Solution(capture.prediction, capture.correspondences, problem, (Candidate(fit, score, 0.9),))


def test_a_squeezed_capture_comes_out_right_and_says_so(make_capture: Make) -> None:
    capture = squeezed(make_capture)
    scene = refined(capture)
    rotation_deg, shift = capture.pose_errors(scene.cam_from_world)
    assert rotation_deg < 0.2 and shift < 0.01
    assert scene.verdict.passed, scene.verdict.summary
    assert re.search(r"pixels are not square: 1\.3\d times as wide as high", scene.verdict.summary)
    camera = scene.cameras["camera"]
    assert (camera.model, camera.width, camera.height) == ("OPENCV", 2400, 2400)
    np.testing.assert_allclose(np.diag(camera.K)[:2], [2250, 3000], rtol=0.01)
    errors = [
        np.linalg.norm(camera.project(scene.tracks.points @ pose[:, :3].T + pose[:, 3])[points] - xy, axis=1)
        for k, pose in enumerate(scene.cam_from_world)
        for points, xy in [
            (
                scene.tracks.observation_point[scene.tracks.observation_frame == k],
                scene.tracks.observation_xy[scene.tracks.observation_frame == k],
            )
        ]
    ]
    assert np.median(np.concatenate(errors)) < 2.0, "tracks and cameras are in pixels of the pictures as they are"


def test_without_it_the_scene_would_be_bent(make_capture: Make) -> None:
    """What the amendment is for: matches agree all the same."""
    capture = squeezed(make_capture)
    scene = refined(capture, RefineConfig.model_validate({"pixel_aspect": {"least_gone": 0.99}}))
    assert "not square" not in scene.verdict.summary
    assert capture.pose_errors(scene.cam_from_world)[0] > 1.0


@pytest.mark.parametrize("lens", [LANDSCAPE, PORTRAIT, landscape(2100.0, k1=-0.12)])
def test_square_pixels_stay(make_capture: Make, lens: Camera) -> None:
    solution = as_solved(make_capture(frames=10, points=1200, lenses=(lens,), prior_focal=1.0))
    assert with_square_pixels(solution, CONFIG, SILENT) is solution


@pytest.mark.parametrize("apart", [{"camera"}, {"camera", "other"}])
def test_a_shape_that_halves_of_the_pictures_do_not_share_is_none(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch, apart: set[str]
) -> None:
    """As what is folded asks for: one half for this, the other for that; one camera of two is enough."""

    def asked(problem: Problem, estimate: Estimate, config: RefineConfig) -> tuple[dict[str, float], float]:
        whole, first = estimate.posed.all(), estimate.posed[0]
        return {name: 4 / 3 if whole or name not in apart else (1.2 if first else 1.45) for name in names}, 0.6

    def stretched(*_: object) -> Solution:
        raise AssertionError("taken for a shape")

    names = ("other", "camera")
    solution = as_solved(squeezed(make_capture))
    assert with_square_pixels(solution, CONFIG, SILENT) is not solution
    monkeypatch.setattr(module, "pixel_aspects", asked)
    monkeypatch.setattr(module, "_stretched", stretched)
    assert with_square_pixels(solution, CONFIG, SILENT) is solution


def test_a_shape_that_always_wants_more_is_none(make_capture: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "pixel_aspects", lambda *_: ({"camera": 4 / 3}, 0.6))
    solution = as_solved(squeezed(make_capture))
    assert with_square_pixels(solution, CONFIG, SILENT) is solution


def test_a_shape_that_is_solved_no_better_is_none(make_capture: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    solution = as_solved(squeezed(make_capture))

    def solved(stretched: Solution, config: RefineConfig, progress: Progress) -> Solution:
        assert not stretched.candidates and all(frame.pixel_aspect > 1.2 for frame in stretched.frames)
        return replace(stretched, candidates=solution.candidates)

    monkeypatch.setattr(module, "solved", solved)
    assert with_square_pixels(solution, CONFIG, SILENT) is solution


@pytest.mark.parametrize("shape", [4 / 3, 3 / 4])
def test_only_cameras_that_are_far_from_square_are_stretched(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch, shape: float
) -> None:
    asked = iter([{"landscape": 1.03, "portrait": shape}] * 3 + [{"landscape": 1.0, "portrait": 1.0}] * 2)
    monkeypatch.setattr(module, "pixel_aspects", lambda *_: (next(asked), 0.6))
    capture = make_capture(frames=10, points=1200, lenses=(LANDSCAPE, SQUEEZED), prior_focal=1.0)
    done = with_square_pixels(as_solved(capture), CONFIG, SILENT)
    assert {frame.camera_id: frame.pixel_aspect for frame in done.frames} == {"landscape": 1.0, "portrait": shape}


def test_those_that_are_asked_stand_in_the_solution(make_capture: Make) -> None:
    solution = as_solved(squeezed(make_capture, frames=12))
    posed = np.arange(12) != 4
    chosen = best_connected(solution.problem, posed, 6).observations
    assert len(np.unique(chosen.frame)) == 6 and 4 not in chosen.frame
    assert len(chosen) == np.isin(solution.problem.observations.frame, np.unique(chosen.frame)).sum()


@pytest.mark.parametrize(("frames", "asked"), [(4, False), (5, True)])
def test_few_pictures_tell_nothing(make_capture: Make, frames: int, asked: bool) -> None:
    solution = as_solved(squeezed(make_capture, frames=frames))
    aspects, gone = pixel_aspects(solution.problem, solution.winner.fit.estimate, CONFIG)
    assert bool(aspects) == asked and (gone > 0.3) == asked


def test_given_cameras_and_poses_are_not_asked(make_capture: Make) -> None:
    solution = as_solved(squeezed(make_capture))
    known = replace(solution.problem, known_cameras=frozenset({"camera"}))
    assert pixel_aspects(known, solution.winner.fit.estimate, CONFIG) == ({}, 0.0)
    told = replace(solution, problem=replace(solution.problem, given_poses=True))
    assert with_square_pixels(told, CONFIG, SILENT) is told


def test_each_camera_has_its_own_and_many_pictures_cost_no_more(make_capture: Make) -> None:
    capture = make_capture(frames=20, points=1200, lenses=(LANDSCAPE, SQUEEZED), prior_focal=1.0)
    solution = as_solved(capture)
    config = RefineConfig.model_validate({"pixel_aspect": {"most_frames": 12}})
    aspects, gone = pixel_aspects(solution.problem, solution.winner.fit.estimate, config)
    assert aspects["landscape"] == pytest.approx(1.0, abs=0.03)
    assert aspects["portrait"] == pytest.approx(4 / 3, rel=0.06)
    assert gone > 0.3


@settings(max_examples=30)
@given(focal=st.floats(300, 900), k1=st.floats(-0.1, 0.1), k2=st.floats(-0.02, 0.02))
def test_a_lens_of_the_ladder_is_an_opencv_camera(focal: float, k1: float, k2: float) -> None:
    rays = np.random.default_rng(0).uniform([-0.5, -0.4, 1], [0.5, 0.4, 1], (40, 3))
    for model, bend in (("SIMPLE_PINHOLE", ()), ("SIMPLE_RADIAL", (k1,)), ("RADIAL", (k1, k2))):
        camera = Camera(model, 640, 480, (focal, 320.0, 240.0, *bend))
        np.testing.assert_allclose(as_opencv(camera).project(rays), camera.project(rays), atol=1e-9)
