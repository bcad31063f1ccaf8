"""Sharpness compares pictures of different things; exposure is what is measured."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from da3_pipeline.select.config import ExposureConfig, SharpnessConfig
from da3_pipeline.select.measures.exposure import measured_exposure
from da3_pipeline.select.measures.sharpness import sharpness as measured_sharpness

SIZE = (480, 640)
CONFIG = SharpnessConfig()

sharpness = partial(measured_sharpness, config=CONFIG)


def bricks(contrast: float = 180.0, cell: int = 12) -> np.ndarray:
    """A wall full of edges."""
    rng = np.random.default_rng(3)
    levels = rng.uniform(128 - contrast / 2, 128 + contrast / 2, (SIZE[0] // cell + 1, SIZE[1] // cell + 1))
    return np.kron(levels, np.ones((cell, cell))).astype(np.uint8)[: SIZE[0], : SIZE[1]]


def white_wall() -> np.ndarray:
    """A light wall with a skirting board, a socket and shading."""
    wall = np.tile(np.linspace(190, 220, SIZE[1]), (SIZE[0], 1))
    wall[420:] -= 40
    wall[250:280, 300:330] -= 30
    return wall.astype(np.uint8)


def photographed(picture: np.ndarray, blur: int = 1, noise: float = 1.0) -> np.ndarray:
    soft = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 0.6)
    smeared = cv2.blur(soft, (blur, 1)) if blur > 1 else soft
    return (smeared + np.random.default_rng(0).normal(0, noise, SIZE)).clip(0, 255).astype(np.uint8)


def test_a_sharp_white_wall_is_sharper_than_a_blurred_brick_wall() -> None:
    plain, smeared = photographed(white_wall()), photographed(bricks(), blur=9)
    assert cv2.Laplacian(smeared, cv2.CV_32F).var() > cv2.Laplacian(plain, cv2.CV_32F).var()
    assert sharpness(smeared) < CONFIG.blurred_share * sharpness(plain)


@pytest.mark.parametrize("picture", [bricks(), bricks(40.0, 8), white_wall()], ids=["bricks", "faint", "white"])
def test_sharp_pictures_of_anything_are_about_as_sharp(picture: np.ndarray) -> None:
    assert sharpness(photographed(picture)) == pytest.approx(sharpness(photographed(bricks())), rel=0.3)
    assert sharpness(photographed(picture, blur=13)) < CONFIG.soft < sharpness(photographed(picture))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 11), st.integers(1, 11), st.floats(0.3, 1.0), st.floats(0, 60))
def test_more_blur_is_never_sharper_whatever_the_exposure(a: int, b: int, gain: float, offset: float) -> None:
    less, more = sorted((a, b))
    one, other = (photographed(bricks() * gain + offset, blur) for blur in (less, more))
    assert sharpness(other) <= sharpness(one) * 1.05 + 0.005


def test_nothing_to_see_is_no_blur() -> None:
    assert sharpness(np.full(SIZE, 128, np.uint8)) == 0
    assert sharpness(photographed(np.full(SIZE, 128.0))) == 0
    assert sharpness(np.zeros((4, 4), np.uint8)) == 0


def test_brightness_and_clipping() -> None:
    grey = np.full((100, 100), 51, np.uint8)
    grey[:10], grey[10:15] = 1, 255
    found = measured_exposure(grey, ExposureConfig())
    assert found.brightness == pytest.approx((0.1 * 1 + 0.05 * 255 + 0.85 * 51) / 255)
    assert (found.dark_share, found.bright_share) == (pytest.approx(0.1), pytest.approx(0.05))
    assert found.stops is None and found.iso is None
