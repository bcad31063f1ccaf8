"""Fisheye lenses are recognised by their matches, from a prior that thinks of a pinhole; other lenses stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import Make, landscape

from da3_pipeline.geometry import Camera
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine import RefineConfig
from da3_pipeline.refine.amendments.lenses import fisheye as module
from da3_pipeline.refine.amendments.lenses.fisheye import _is_bent, as_fisheye, through_fisheye
from da3_pipeline.refine.amendments.solution import Solution
from da3_pipeline.refine.initialisation.candidates import Candidate
from da3_pipeline.refine.refinement import refine_matched
from da3_pipeline.refine.solve.rounds import fit_points
from da3_pipeline.types import CandidateScore

FISHEYE = Camera("OPENCV_FISHEYE", 3200, 2400, (1350.0, 1350.0, 1600.0, 1200.0, -0.01, 0.002, 0.0, 0.0))
BARREL = landscape(2100.0, k1=-0.12)


@given(focal=st.floats(300, 900), k1=st.floats(-0.02, 0.02), k2=st.floats(-0.003, 0.003))
def test_a_fisheye_camera_is_its_own_nearest(focal: float, k1: float, k2: float) -> None:
    camera = Camera("OPENCV_FISHEYE", 640, 480, (focal, focal, 320.0, 240.0, k1, k2, 0.0, 0.0))
    assert as_fisheye(camera).params == pytest.approx(camera.params, rel=1e-3, abs=1e-4)


@given(focal=st.floats(350, 900), k1=st.floats(-0.1, 0.05))
def test_radial_lenses_are_followed_to_two_pixels(focal: float, k1: float) -> None:
    camera = Camera("SIMPLE_RADIAL", 640, 480, (focal, 320.0, 240.0, k1))
    nearest = as_fisheye(camera)
    pixels = np.stack(np.meshgrid(np.linspace(0, 640, 9), np.linspace(0, 480, 7)), -1).reshape(-1, 2)
    rays = np.column_stack([camera.unproject(pixels), np.ones(len(pixels))])
    assert np.abs(nearest.project(rays) - pixels).max() < 2.0


def test_a_fisheye_is_found_from_a_pinhole_prior(make_capture: Make, tmp_path: Path) -> None:
    capture = make_capture(frames=12, points=2500, lenses=(FISHEYE,), prior_focal=1.0, spread=18.0)
    scene = refine_matched(capture.prediction, capture.correspondences, RefineConfig(), SilentProgress())
    camera = scene.cameras["camera"]
    assert camera.model == "OPENCV_FISHEYE"
    assert camera.focal_px == pytest.approx(1350, rel=0.02)
    rotation_deg, shift = capture.pose_errors(scene.cam_from_world)
    assert rotation_deg < 0.2 and shift < 0.01
    assert scene.verdict.passed, scene.verdict.summary


def test_a_barrel_lens_stays_one(make_capture: Make) -> None:
    capture = make_capture(frames=12, points=1500, lenses=(BARREL,), prior_focal=1.0, spread=10.0)
    scene = refine_matched(capture.prediction, capture.correspondences, RefineConfig(), SilentProgress())
    assert not scene.cameras["camera"].model.endswith("FISHEYE")
    assert capture.pose_errors(scene.cam_from_world)[0] < 0.2


def test_a_given_camera_stays(make_capture: Make) -> None:
    capture = make_capture(frames=8, points=800, lenses=(BARREL,))
    frames = tuple(replace(frame, known_camera=BARREL) for frame in capture.prediction.frames.frames)
    known = replace(capture.prediction, frames=replace(capture.prediction.frames, frames=frames))
    scene = refine_matched(known, capture.correspondences, RefineConfig(), SilentProgress())
    assert scene.cameras["camera"].model == "SIMPLE_RADIAL"


def test_lenses_that_are_wide_and_drawn_in_are_asked_about() -> None:
    config = RefineConfig().fisheye
    wide = landscape(1900.0, k1=-0.12)
    assert _is_bent(wide, config)
    assert not _is_bent(landscape(1900.0), config), "wide and straight"
    assert not _is_bent(landscape(4000.0, k1=-0.5), config), "narrow"
    assert not _is_bent(landscape(1900.0, k1=0.12), config), "a cushion"
    assert not _is_bent(FISHEYE, config)
    assert _is_bent(replace(wide, params=(1900.0, 1500.0, 1300.0, -0.12)), config)


@pytest.mark.parametrize(
    ("gain", "sharper", "taken"),
    [
        (0.003, 1.2, True),
        (0.001, 0.96, True),
        (0.001, 0.98, False),
        (-0.001, 0.96, True),
        (-0.003, 0.5, False),
        (0.1, np.inf, False),
    ],
)
def test_the_model_that_explains_more_wins_and_of_equals_the_sharper(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch, gain: float, sharper: float, taken: bool
) -> None:
    capture = make_capture(frames=4, lenses=(landscape(1900.0, k1=-0.12),), spread=8.0)
    problem = capture.problem()
    fit = fit_points(problem, capture.truth, 1.0)
    winner = Candidate(fit, CandidateScore("made", 0.9, 0.8, 4, fit.median_px, 0.0), 0.9)
    before = Solution(capture.prediction, capture.correspondences, problem, (winner,))
    monkeypatch.setattr(module, "polish", lambda few, other, *_: replace(other, median_px=sharper * fit.median_px))
    monkeypatch.setattr(module, "agreement", lambda _, estimate: 0.8 + gain * (estimate is not fit.estimate))
    after = through_fisheye(before, RefineConfig(), SilentProgress())
    assert (after.winner.fit.estimate.cameras["camera"].model == "OPENCV_FISHEYE") == taken
    assert (after is before) == (not taken)
    known = replace(before, problem=replace(problem, known_cameras=frozenset({"camera"})))
    assert through_fisheye(known, RefineConfig(), SilentProgress()) is known
    given = replace(before, problem=replace(problem, given_poses=True))
    assert through_fisheye(given, RefineConfig(), SilentProgress()) is given
    as_prior = through_fisheye(given, RefineConfig(solve={"poses_as": "prior"}), SilentProgress())
    assert (as_prior is given) == (not taken)
