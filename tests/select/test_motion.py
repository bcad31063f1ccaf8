"""Sharpness and distance travelled, on pictures whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import pytest

from da3_pipeline.select import SelectConfig
from da3_pipeline.select.config import SharpnessConfig
from da3_pipeline.select.measures.motion import MotionTracker, Step
from da3_pipeline.select.measures.sharpness import sharpness as measured_sharpness

Views = Callable[..., list[np.ndarray]]

sharpness = partial(measured_sharpness, config=SharpnessConfig())


def follow(frames: list[np.ndarray]) -> list[Step]:
    tracker = MotionTracker(SelectConfig(min_motion=0.04))
    return [tracker.step(np.ascontiguousarray(frame[..., 0])) for frame in frames]


@pytest.mark.parametrize("kernel", [(9, 1), (1, 9), (7, 7)])
def test_blur_in_any_direction_lowers_sharpness(views: Views, kernel: tuple[int, int]) -> None:
    (frame,) = views(0, [100])
    assert sharpness(cv2.blur(frame, kernel)[..., 0]) < 0.6 * sharpness(frame[..., 0])


def test_diagonal_blur_lowers_sharpness(views: Views) -> None:
    (frame,) = views(0, [100])
    blurred = cv2.filter2D(frame, -1, np.eye(15) / 15)
    assert sharpness(blurred[..., 0]) < 0.7 * sharpness(frame[..., 0])


def test_sharpness_does_not_depend_on_exposure(views: Views) -> None:
    (frame,) = views(0, [100])
    darker = (frame[..., 0] * 0.5 + 20).astype(np.uint8)
    assert sharpness(darker) == pytest.approx(sharpness(frame[..., 0]), rel=0.05)


def test_a_blank_frame_is_not_sharp() -> None:
    noise = np.random.default_rng(0).normal(128, 1, (192, 320))
    assert np.isfinite(sharpness(np.full((192, 320), 128, np.uint8)))
    assert sharpness(np.full((192, 320), 128, np.uint8)) == 0
    assert sharpness(noise.astype(np.uint8)) < 2


def test_a_pan_travels_as_far_as_it_moves(views: Views) -> None:
    positions = np.arange(40) * 12.5
    steps = follow(views(1, positions))
    diagonal = np.hypot(320, 192)
    assert steps[-1].travelled * diagonal == pytest.approx(positions[-1], rel=0.02)
    assert np.all(np.diff([step.travelled for step in steps]) >= 0)


def test_tremor_about_one_place_does_not_add_up(views: Views) -> None:
    positions = 200 + np.random.default_rng(0).normal(0, 1.0, 60)
    assert follow(views(1, positions))[-1].travelled < 0.02


def test_there_and_back_is_twice_the_way(views: Views) -> None:
    positions = np.concatenate([np.arange(20) * 10.0, np.arange(20)[::-1] * 10.0])
    assert follow(views(1, positions))[-1].travelled * np.hypot(320, 192) == pytest.approx(380, rel=0.1)


def test_pictures_without_corners_do_not_break_it() -> None:
    flat = [np.full((192, 320, 3), level, np.uint8) for level in (0, 128, 255, 255)]
    assert follow(flat)[-1].travelled < 1e-4
