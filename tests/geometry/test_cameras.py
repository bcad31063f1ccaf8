"""Cameras in COLMAP's models and conventions, and maps between pixel grids."""

from __future__ import annotations

import numpy as np
import pycolmap
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from da3_pipeline.geometry import Camera, PixelMap

Array = NDArray[np.float64]

# Mild distortion, which every model can invert over the whole image.
CAMERAS = {
    "SIMPLE_PINHOLE": (700.0, 510.0, 390.0),
    "PINHOLE": (700.0, 710.0, 510.0, 390.0),
    "SIMPLE_RADIAL": (700.0, 510.0, 390.0, -0.05),
    "RADIAL": (700.0, 510.0, 390.0, -0.05, 0.01),
    "OPENCV": (700.0, 710.0, 510.0, 390.0, -0.05, 0.01, 0.001, -0.002),
    "FULL_OPENCV": (700.0, 710.0, 510.0, 390.0, -0.05, 0.01, 0.001, -0.002, 0.0, 0.01, 0.0, 0.0),
    "SIMPLE_RADIAL_FISHEYE": (700.0, 510.0, 390.0, -0.02),
    "RADIAL_FISHEYE": (700.0, 510.0, 390.0, -0.02, 0.005),
    "OPENCV_FISHEYE": (700.0, 710.0, 510.0, 390.0, -0.02, 0.005, 0.0, 0.0),
    "FOV": (700.0, 710.0, 510.0, 390.0, 0.3),
}
focals = st.floats(100, 5000)
scales = st.floats(0.05, 50)
offsets = st.floats(-3000, 3000)


@pytest.mark.parametrize("model", CAMERAS)
def test_projection_and_its_inverse_cancel(model: str) -> None:
    camera = Camera(model, 1000, 800, CAMERAS[model])
    x, y = np.meshgrid(np.linspace(20, 980, 9), np.linspace(20, 780, 7))
    pixels = np.stack([x.ravel(), y.ravel()], axis=1)
    rays = camera.unproject(pixels)
    points = np.concatenate([rays, np.ones((len(rays), 1))], axis=1) * 3.7
    np.testing.assert_allclose(camera.project(points), pixels, atol=1e-5)


@pytest.mark.parametrize("model", CAMERAS)
def test_pycolmap_reads_the_camera_back(model: str) -> None:
    camera = Camera(model, 1000, 800, CAMERAS[model])
    assert Camera.from_pycolmap(camera.to_pycolmap()) == camera


@pytest.mark.parametrize("model", sorted(set(pycolmap.CameraModelId.__members__) - {"INVALID", "EQUIRECTANGULAR"}))
def test_the_matrix_is_right_for_every_model_of_colmap(model: str) -> None:
    pycolmap_camera = pycolmap.Camera.create_from_model_id(
        1, pycolmap.CameraModelId.__members__[model], 700.0, 1000, 800
    )
    camera = Camera.from_pycolmap(pycolmap_camera)
    np.testing.assert_array_equal(camera.K, [[700, 0, 500], [0, 700, 400], [0, 0, 1]])
    assert camera.focal_px == pytest.approx(700)


def test_the_centre_of_the_first_pixel_is_half_a_pixel_from_the_corner() -> None:
    camera = Camera.pinhole(2, 2, 1.0)
    np.testing.assert_allclose(camera.project(np.array([[-0.5, -0.5, 1.0]])), [[0.5, 0.5]])


def test_points_behind_the_camera_have_no_pixel() -> None:
    pixels = Camera.pinhole(100, 100, 80.0).project(np.array([[0, 0, 1.0], [0, 0, -1.0], [0, 0, 0.0], [np.nan, 0, 1]]))
    np.testing.assert_array_equal(np.isfinite(pixels).all(1), [True, False, False, False])
    assert Camera.pinhole(100, 100, 80.0).project(np.zeros((0, 3))).shape == (0, 2)


@given(fx=focals, fy=focals, cx=st.floats(0, 1000), cy=st.floats(0, 800))
def test_a_matrix_survives_becoming_a_camera(fx: float, fy: float, cx: float, cy: float) -> None:
    K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
    camera = Camera.from_matrix(K, 1000, 800)
    assert (camera.width, camera.height) == (1000, 800)
    np.testing.assert_array_equal(camera.K, K)
    assert camera.focal_px == pytest.approx(np.sqrt(fx * fy))


def test_the_field_of_view_of_a_square_corner() -> None:
    assert Camera.pinhole(200, 100, 100.0).fov_deg == pytest.approx((90.0, 53.13010235415598))


@pytest.mark.parametrize("model", CAMERAS)
@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_resized_camera_sees_every_point_at_the_resized_pixel(model: str, factor: float) -> None:
    camera = Camera(model, 1000, 800, CAMERAS[model])
    resized = camera.resized(int(1000 * factor), int(800 * factor))
    points = np.random.default_rng(0).normal(size=(20, 3)) * [0.3, 0.3, 0.2] + [0, 0, 1]
    np.testing.assert_allclose(resized.project(points), factor * camera.project(points), atol=1e-9)


@given(scale=st.tuples(scales, scales), offset=st.tuples(offsets, offsets), seed=st.integers(0, 1000))
def test_a_pixel_map_and_its_inverse_cancel(scale: tuple[float, float], offset: tuple[float, float], seed: int) -> None:
    pixel_map = PixelMap(scale, offset)
    pixels = np.random.default_rng(seed).uniform(0, 500, (6, 2))
    np.testing.assert_allclose(pixel_map.to_network(pixel_map.to_original(pixels)), pixels, atol=1e-6)


@given(scale=st.tuples(scales, scales), offset=st.tuples(offsets, offsets), focal_px=focals)
def test_mapped_intrinsics_project_to_mapped_pixels(
    scale: tuple[float, float], offset: tuple[float, float], focal_px: float
) -> None:
    pixel_map = PixelMap(scale, offset)
    K = np.array([[focal_px, 0, 240], [0, 0.9 * focal_px, 130], [0, 0, 1]])
    points = np.random.default_rng(1).normal(size=(5, 3)) * [0.3, 0.3, 0.1] + [0, 0, 1]

    def project(matrix: Array) -> Array:
        homogeneous = points @ matrix.T
        return homogeneous[:, :2] / homogeneous[:, 2:]

    original = pixel_map.intrinsics_to_original(K)
    np.testing.assert_allclose(project(original), pixel_map.to_original(project(K)), rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(pixel_map.intrinsics_to_network(original), K, rtol=1e-9, atol=1e-6)
    many = np.stack([K, 2 * K])
    np.testing.assert_allclose(pixel_map.intrinsics_to_original(many)[0], original)
