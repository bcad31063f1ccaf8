"""How much of a lens observations carry, at both sides of every limit, and what no lens is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import Make, landscape

from da3_pipeline.arrays import Float
from da3_pipeline.geometry import Camera
from da3_pipeline.refine.config import LensConfig
from da3_pipeline.refine.solve.lens_model import _carried, fully_free, plausible, widen_models
from da3_pipeline.refine.solve.problem import Estimate

LENS = LensConfig()


def everywhere(side: int) -> Float:
    """(side², 2) places spread over the image."""
    along = (np.arange(side) + 0.5) / side
    return np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)


@pytest.mark.parametrize(
    ("count", "frames", "reach", "model"),
    [
        (300, 3, 1.0, "SIMPLE_RADIAL"),
        (299, 3, 1.0, "SIMPLE_PINHOLE"),
        (300, 2, 1.0, "SIMPLE_PINHOLE"),
        (300, 3, 0.75, "SIMPLE_RADIAL"),
        (300, 3, 0.65, "SIMPLE_PINHOLE"),
    ],
)
def test_distortion_needs_frames_observations_and_reach(count: int, frames: int, reach: float, model: str) -> None:
    """A tenth of places all over a square lies beyond 0.77 of its half diagonal."""
    place = 0.5 + reach * (everywhere(40) - 0.5)
    chosen = np.random.default_rng(0).permutation(len(place))[:count]
    assert _carried(place[chosen], frames, LENS) == model


@pytest.mark.parametrize(("emptied", "model"), [(8, "RADIAL"), (9, "SIMPLE_RADIAL")])
def test_a_second_coefficient_needs_seven_tenths_of_the_border(emptied: int, model: str) -> None:
    """Of 8 x 8 cells 28 are at the border; 2,304 places fill each with 36."""
    place = everywhere(48)
    column, row = (place * 8).astype(int).T
    turn = [(0, k) for k in range(8)] + [(7, k) for k in range(8)]
    gone = np.isin(8 * column + row, [8 * a + b for a, b in turn[:emptied]])
    left = np.concatenate([place[~gone], np.full((600, 2), 0.5)])
    assert _carried(left, 3, LENS) == model
    few = left[np.random.default_rng(0).permutation(len(left))[:999]]
    assert _carried(few, 3, LENS) == "SIMPLE_RADIAL"


@pytest.mark.parametrize(("frames", "points", "free"), [(8, 1200, True), (7, 1200, False), (8, 400, False)])
def test_a_free_centre_needs_many_frames_and_observations(
    make_capture: Make, frames: int, points: int, free: bool
) -> None:
    capture = make_capture(frames=frames, points=points, lenses=(landscape(),))
    problem = capture.problem()
    seen = len(problem.observations)
    assert (seen >= LENS.centre_observations) == (points == 1200)
    bent = Camera("RADIAL", 1600, 1200, (1500.0, 800.0, 600.0, 0.0, 0.0))
    assert fully_free(problem, Estimate(capture.cam_from_world, {"camera": bent}), LENS) == free
    straight = replace(bent, model="SIMPLE_RADIAL", params=bent.params[:4])
    assert not fully_free(problem, Estimate(capture.cam_from_world, {"camera": straight}), LENS)
    known = replace(problem, known_cameras=frozenset({"camera"}))
    assert not fully_free(known, Estimate(capture.cam_from_world, {"camera": bent}), LENS)


def test_over_flat_ground_the_centre_stays(make_capture: Make) -> None:
    capture = make_capture(frames=9, points=600, surface="plane", lenses=(landscape(),))
    problem = capture.problem()
    flat = replace(problem.matches, homography_share=np.ones(len(problem.matches.frames)))
    bent = Camera("RADIAL", 1600, 1200, (1500.0, 800.0, 600.0, 0.0, 0.0))
    estimate = Estimate(capture.cam_from_world, {"camera": bent})
    assert not fully_free(replace(problem, matches=flat), estimate, LENS)


def test_cameras_that_nothing_was_kept_of_stay(make_capture: Make) -> None:
    capture = make_capture(frames=4, lenses=(landscape(),))
    problem = capture.problem()
    start = Estimate(capture.cam_from_world, {"camera": Camera.pinhole(1600, 1200, 1500.0)})
    nothing, everything = np.zeros(len(problem.observations), bool), np.ones(len(problem.observations), bool)
    assert widen_models(problem, start, nothing, "RADIAL", LENS).cameras == start.cameras
    wide = widen_models(problem, start, everything, "RADIAL", LENS).cameras["camera"]
    assert (wide.model, wide.params) == ("RADIAL", (1500.0, 800.0, 600.0, 0.0, 0.0))
    assert widen_models(problem, start, everything, "SIMPLE_PINHOLE", LENS).cameras == start.cameras
    known = replace(problem, known_cameras=frozenset({"camera"}))
    assert widen_models(known, start, everything, "RADIAL", LENS).cameras == start.cameras
    assert not fully_free(problem, start, LENS) and not fully_free(known, start, LENS)


def test_lengths_and_numbers_are_asked_of_a_lens() -> None:
    assert plausible(Camera("SIMPLE_RADIAL", 640, 480, (600.0, 320.0, 240.0, 0.0)), LENS)
    for params in (
        (-600.0, 320.0, 240.0, 0.0),
        (0.0, 320.0, 240.0, 0.0),
        (np.nan, 320.0, 240.0, 0.0),
        (600.0, 320.0, 240.0, np.nan),
    ):
        assert not plausible(Camera("SIMPLE_RADIAL", 640, 480, params), LENS)
    assert plausible(Camera("OPENCV_FISHEYE", 640, 480, (300.0, 300.0, 320.0, 240.0, 0.5, 0.0, 0.0, 0.0)), LENS)


def test_both_coefficients_bend_the_corner() -> None:
    """Which is 400 px from the centre: a tangent of two thirds, at which 0.08 + 0.35 * 4 / 9 is allowed."""
    for k1, k2, right in ((0.0, 1.1, True), (0.0, 1.3, False), (0.5, 0.0, True), (0.6, 0.0, False), (0.45, 0.3, False)):
        assert plausible(Camera("RADIAL", 640, 480, (600.0, 320.0, 240.0, k1, k2)), LENS) is right
