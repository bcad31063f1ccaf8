"""Lenses of fisheye pairs draw as COLMAP's OPENCV_FISHEYE does, and beyond a right angle, where that ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from da3_pipeline.geometry import Camera
from da3_pipeline.geometry.equirectangular import FisheyeLens, FisheyePair

LENS = FisheyeLens(800, 400, (118.0, 119.0, 201.0, 199.0, 0.02, -0.01, 0.003, -0.0005), 95.0)
TURN = Rotation.from_euler("xyz", [10, 170, 5], degrees=True).as_matrix()


def rays_at(angle_deg: float, count: int = 50) -> np.ndarray:
    """(K, 3) of length two, so far from +z."""
    around = np.linspace(0, 2 * np.pi, count, endpoint=False)
    angle = np.radians(angle_deg)
    across = 2 * np.sin(angle) * np.stack([np.cos(around), np.sin(around)], -1)
    return np.column_stack([across, np.full(count, 2 * np.cos(angle))])


@pytest.mark.parametrize("angle_deg", [0.0, 1.0, 40.0, 85.0])
def test_it_draws_as_colmap_does(angle_deg: float) -> None:
    rays = rays_at(angle_deg)
    expected = Camera("OPENCV_FISHEYE", 800, 400, LENS.params).project(rays)
    np.testing.assert_allclose(LENS.project(rays), expected, atol=1e-9)
    turned = replace(LENS, rotation=tuple(TURN.ravel().tolist()))
    np.testing.assert_allclose(turned.project(rays @ TURN), expected, atol=1e-9)


def test_it_goes_on_beyond_a_right_angle_and_sees_up_to_its_field() -> None:
    plain = replace(LENS, params=(*LENS.params[:4], 0.0, 0.0, 0.0, 0.0))
    away = (plain.project(rays_at(95.0)) - plain.params[2:4]) / plain.params[:2]
    np.testing.assert_allclose(np.linalg.norm(away, axis=1), np.radians(95.0), atol=1e-12)
    assert plain.sees(rays_at(94.9)).all() and not plain.sees(rays_at(95.1)).any()
    cropped = replace(plain, height=300)
    assert 0 < cropped.sees(rays_at(80.0)).mean() < 1, "what is beyond the picture is not seen"


def test_a_pair_looks_through_the_lens_that_is_nearer() -> None:
    about = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
    behind = replace(LENS, params=(*LENS.params[:2], 600.0, *LENS.params[3:]), rotation=about)
    pair = FisheyePair(800, 400, (LENS, behind))
    rays = np.array([[0.1, 0.2, 1.0], [0.1, 0.2, -1.0]])
    np.testing.assert_allclose(pair.project(rays)[0], LENS.project(rays[:1])[0])
    np.testing.assert_allclose(pair.project(rays)[1], behind.project(rays[1:])[0])
    assert pair.project(rays)[1, 0] == pytest.approx(600 - 118 * 0.1, abs=2.0), "to the left, seen from there"
