"""Blur in the benches is as long as asked, in as many frames as asked; the tables can be believed."""

from __future__ import annotations

import numpy as np
import pytest

from da3_pipeline.benchmark.selection.blur_measures import BlurredPictures, blur_table, separation
from da3_pipeline.benchmark.selection.blurred_walk import blurred_frames
from da3_pipeline.benchmark.selection.motion_blur import motion_blurred
from da3_pipeline.geometry import Camera

CAMERA = Camera.pinhole(200, 150, 180.0)


@pytest.mark.parametrize("length_px", [3.0, 8.0, 15.0])
def test_a_bright_dot_becomes_a_streak_of_that_length(length_px: float) -> None:
    dot = np.zeros((150, 200, 3), np.uint8)
    dot[75, 100] = 255
    light = (motion_blurred(dot, CAMERA, length_px, np.random.default_rng(1)) / 255).mean(axis=2) ** 2.2
    rows, columns = np.nonzero(light > 0.1 * light.max())
    extent = np.hypot(np.ptp(rows), np.ptp(columns))
    assert extent == pytest.approx(length_px, abs=2.0)
    assert light.sum() == pytest.approx(1.0, rel=0.05)


def test_no_blur_changes_nothing() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (150, 200, 3), np.uint8)
    np.testing.assert_allclose(motion_blurred(picture, CAMERA, 0.0, np.random.default_rng(0)), picture, atol=1e-3)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_as_many_frames_are_blurred_as_asked(share: float) -> None:
    lengths = blurred_frames(np.random.default_rng(0), 120, share)
    assert (lengths > 0).sum() == round(120 * share)
    assert not ((lengths > 0) & (lengths < 5)).any()


def test_separation_is_how_often_the_sharp_one_wins() -> None:
    assert separation(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 1.0
    assert separation(np.array([1.0, 4.0]), np.array([2.0, 3.0])) == 0.5
    assert separation(np.array([1.0]), np.array([1.0])) == 0.5


def test_the_table_has_a_line_for_each_measure() -> None:
    rng = np.random.default_rng(0)
    wall = np.kron(rng.integers(0, 255, (15, 20), np.uint8), np.ones((10, 10), np.uint8))
    rgb = np.repeat(wall[..., None], 3, 2)
    lengths = np.array([0.0, 1.0, 4.0, 12.0])
    grey = [motion_blurred(rgb, CAMERA, length, rng)[..., 0].astype(np.uint8) for length in lengths]
    lines = blur_table(BlurredPictures(np.stack(grey), lengths, np.zeros(4, np.int64))).splitlines()
    assert len(lines) == 4
    assert lines[-1].startswith("steepness of edges") and lines[-1].split()[3] == "1.000"
