"""Panoramas against COLMAP's own camera model, and the pinholes that are cut from them."""

from __future__ import annotations

import numpy as np
import pycolmap
import pytest

from da3_pipeline.geometry.equirectangular import Equirectangular, view_from_panorama


def directions(count: int = 500) -> np.ndarray:
    rays = np.random.default_rng(0).normal(size=(count, 3))
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def test_a_whole_panorama_is_colmaps() -> None:
    area, rays = Equirectangular.whole(2000, 1000), directions()
    colmap = pycolmap.Camera(model="EQUIRECTANGULAR", width=2000, height=1000, params=[2000, 1000])
    np.testing.assert_allclose(area.project(rays), colmap.img_from_cam(rays), atol=1e-9)
    np.testing.assert_allclose(area.rays(area.project(3.7 * rays)), rays, atol=1e-12)
    assert area.is_whole and area.goes_round


def test_a_part_of_a_sphere_is_the_whole_one_cut_out() -> None:
    whole, rays = Equirectangular.whole(2000, 1000), directions()
    part = Equirectangular(600, 400, 2000.0, 1000.0, left=1300.0, top=300.0)
    pixels, there = part.project(rays), whole.project(rays)
    inside = (there >= (1300, 300)).all(1) & (there <= (1900, 700)).all(1)
    assert 0.05 < inside.mean() < 0.3
    np.testing.assert_array_equal(part.shows(pixels), inside)
    np.testing.assert_allclose(pixels[inside], there[inside] - (1300, 300), atol=1e-9)
    np.testing.assert_allclose(part.rays(pixels), rays, atol=1e-12)
    assert not part.goes_round
    assert Equirectangular(2000, 700, 2000.0, 1000.0, top=100.0).goes_round
    assert not Equirectangular(2000, 700, 2000.0, 1000.0, top=100.0).is_whole


def test_a_part_across_the_back_is_found_on_both_sides_of_it() -> None:
    part = Equirectangular(400, 1000, 2000.0, 1000.0, left=1800.0)
    behind = np.array([[-0.1, 0, -1.0], [0.1, 0, -1.0]])
    assert part.shows(part.project(behind)).all()
    np.testing.assert_allclose(part.project(behind).mean(0), (200, 500))


def test_views_look_where_they_say_and_are_level() -> None:
    ahead = np.array([0, 0, 1.0])
    np.testing.assert_allclose(view_from_panorama(0, 0), np.eye(3), atol=1e-15)
    np.testing.assert_allclose(ahead @ view_from_panorama(90, 0), (1, 0, 0), atol=1e-15)
    np.testing.assert_allclose(ahead @ view_from_panorama(0, 90), (0, -1, 0), atol=1e-15)
    np.testing.assert_allclose(ahead @ view_from_panorama(180, -45), (0, np.sqrt(0.5), -np.sqrt(0.5)), atol=1e-15)
    for yaw, pitch in ((37, 20), (215, -64), (300, 90)):
        turn = view_from_panorama(yaw, pitch)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-15)
        assert np.linalg.det(turn) > 0 and abs(turn[0, 1]) < 1e-15


def test_a_view_is_as_fine_as_the_panorama_and_as_wide_as_asked() -> None:
    area = Equirectangular.whole(4096, 2048)
    camera = area.view(90)
    assert camera.width == camera.height == 1304
    assert camera.fov_deg[0] == pytest.approx(90)
    middle = camera.unproject(np.array([[652.0, 652.0], [653.0, 652.0]]))
    step = np.diff(area.project(np.column_stack([middle, np.ones(2)]))[:, 0])
    assert step == pytest.approx(1, abs=0.001)
