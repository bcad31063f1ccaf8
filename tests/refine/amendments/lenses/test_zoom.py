"""Pictures of one size that are of more than one focal length: found, named apart, and never invented."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import Make, Synthetic, landscape

from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine import RefineConfig
from da3_pipeline.refine.amendments import contest
from da3_pipeline.refine.amendments.lenses import zoom as module
from da3_pipeline.refine.amendments.lenses.zoom import _all_told, settings_of_zoom
from da3_pipeline.refine.amendments.solution import Solution
from da3_pipeline.refine.config import ZoomConfig
from da3_pipeline.refine.initialisation.candidates import Candidate
from da3_pipeline.refine.refinement import refine_matched
from da3_pipeline.refine.solve.rounds import fit_points
from da3_pipeline.types import CandidateScore, Scene

CONFIG, SILENT = RefineConfig(), SilentProgress()
WIDE, LONG = landscape(3200.0, k1=-0.03), landscape(4500.0, k1=-0.01)


def as_one_camera(capture: Synthetic) -> Synthetic:
    """Nobody tells that the pictures are of two focal lengths; the prior sees one between them."""
    camera = next(iter(capture.prediction.cameras.values()))
    capture = replace(capture, prediction=replace(capture.prediction, cameras={"camera": camera}))
    return capture.with_frames(replace(frame, camera_id="camera") for frame in capture.frames)


def zooming(make_capture: Make, frames: int = 12) -> Synthetic:
    """Every second picture zoomed in by 1.4."""
    return as_one_camera(make_capture(frames=frames, lenses=(WIDE, LONG), prior_focal=1.2))


def refined(capture: Synthetic, config: RefineConfig = CONFIG) -> Scene:
    return refine_matched(capture.prediction, capture.correspondences, config, SILENT)


def test_two_settings_of_a_zoom_become_two_cameras(make_capture: Make) -> None:
    capture = zooming(make_capture)
    scene = refined(capture)
    rotation_deg, shift = capture.pose_errors(scene.cam_from_world)
    assert rotation_deg < 0.1 and shift < 0.002
    assert [frame.camera_id for frame in scene.frames] == ["camera zoom 1", "camera zoom 2"] * 6
    for name, lens in (("camera zoom 1", WIDE), ("camera zoom 2", LONG)):
        assert scene.cameras[name].focal_px == pytest.approx(lens.focal_px, rel=0.003)
    assert scene.verdict.passed, scene.verdict.summary


def test_without_it_the_same_pictures_are_wrong_and_flagged(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contest, "with_lenses_apart", lambda *_: iter(()))
    capture = zooming(make_capture)
    scene = refined(capture)
    assert capture.pose_errors(scene.cam_from_world)[0] > 0.5
    assert not scene.verdict.passed


@pytest.mark.parametrize("false_matches", [0.05, 0.2])
def test_one_lens_stays_one_camera(make_capture: Make, false_matches: float) -> None:
    """With false matches enough that the first solution does not convince, too."""
    capture = make_capture(frames=12, lenses=(WIDE,), false_matches=false_matches)
    scene = refined(capture)
    assert set(scene.cameras) == {"camera"}
    assert capture.pose_errors(scene.cam_from_world)[0] < 0.2


def test_what_somebody_tells_is_left_alone(make_capture: Make) -> None:
    capture = zooming(make_capture)
    given = capture.with_frames(replace(frame, known_camera=WIDE) for frame in capture.frames)
    told = capture.with_frames(replace(frame, exif_focal_px=WIDE.focal_px) for frame in capture.frames)
    many = RefineConfig(zoom=ZoomConfig(most_frames=11))
    for scene in (refined(given), refined(told), refined(capture, many)):
        assert set(scene.cameras) == {"camera"} and not scene.verdict.passed


@pytest.mark.parametrize(
    ("zoom", "rigs", "asked"),
    [
        ({"fewest": 3, "most_frames": 6}, None, True),
        ({"fewest": 4, "most_frames": 6}, None, False),
        ({"fewest": 3, "most_frames": 5}, None, False),
        ({"fewest": 3, "most_frames": 6}, "any", False),
    ],
)
def test_few_pictures_many_and_those_on_rigs_are_not_asked(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch, zoom: dict[str, int], rigs: object, asked: bool
) -> None:
    capture = as_one_camera(make_capture(frames=6, points=60, lenses=(WIDE, LONG)))
    problem = replace(capture.problem(), rigs=rigs)  # type: ignore[arg-type]
    fit = fit_points(problem, problem.prior, 1.0)
    winner = Candidate(fit, CandidateScore("made", 0.9, 0.8, 6, 1.0, 0.0), 0.9)
    solution = Solution(capture.prediction, capture.correspondences, problem, (winner,))
    tries: list[int] = []
    monkeypatch.setattr(module, "_spread_out", lambda *told: bool(tries.append(len(told[2]))))
    assert list(module.with_lenses_apart(solution, RefineConfig(zoom=ZoomConfig(**zoom)), SILENT)) == []
    assert tries == ([6] if asked else [])


def test_a_picture_of_no_setting_gets_the_one_that_its_pairs_tell(make_capture: Make) -> None:
    capture = as_one_camera(make_capture(frames=6, lenses=(WIDE, LONG), points=900, noise_px=0.2, false_matches=0.0))
    problem = capture.problem()
    lengths = np.array([WIDE.focal_px, LONG.focal_px]) * problem.scale[0, 0]
    setting = np.array([-1, 1, 0, -1, 0, 1])
    assert _all_told(problem, np.arange(6), setting, lengths, CONFIG).tolist() == [0, 1] * 3
    assert setting.tolist() == [-1, 1, 0, -1, 0, 1], "what was said before stays as it was"


def test_settings_are_firm_lengths_close_together_and_far_from_others() -> None:
    focal_px = np.array([1000.0, 1400, 1010, 1005, 1200, 1405, 1390, 990, 1401, 1415])
    firm = np.ones(10, bool)
    assert settings_of_zoom(focal_px, firm, CONFIG.zoom).tolist() == [0, 1, 0, 0, -1, 1, 1, 0, 1, 1]
    firm[[1, 5, 6]] = False
    assert settings_of_zoom(focal_px, firm, CONFIG.zoom).tolist() == [0, -1, 0, 0, -1, -1, -1, 0, -1, -1], "two are few"
    near = np.array([1000.0, 1001, 1002, 1040, 1041, 1042])
    assert settings_of_zoom(near, np.ones(6, bool), CONFIG.zoom).tolist() == [0] * 6, "breathing is no zoom"
    nothing = np.array([np.nan, 900, 1400, 2000, np.inf, np.inf, np.inf])
    assert settings_of_zoom(nothing, np.ones(7, bool), CONFIG.zoom).tolist() == [-1] * 7
