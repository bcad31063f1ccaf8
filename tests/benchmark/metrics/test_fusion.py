"""Fusion of depth maps: a sphere comes out as one, and sampling spreads points by area."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from da3_pipeline.benchmark.metrics.fusion import fuse_depths, sample_mesh
from da3_pipeline.benchmark.metrics.settings import SurfaceSettings

WIDTH, HEIGHT, FOCAL = 96, 72, 80.0
K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
SETTINGS = SurfaceSettings(0.04, 0.16, 10.0, 0.05, 0.04)


def around(angle: float) -> NDArray[np.float64]:
    centre = 3 * np.array([np.cos(angle), np.sin(angle), 0.1])
    forward = -centre / np.linalg.norm(centre)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    return np.concatenate([rotation, -(rotation @ centre)[:, None]], axis=1)


def sphere(cam_from_world: NDArray[np.float64]) -> NDArray[np.float32]:
    """Depth of the unit sphere through the centres of pixels, NaN beside it."""
    column, row = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    rays = np.stack([(column - K[0, 2]) / FOCAL, (row - K[1, 2]) / FOCAL, np.ones_like(column)], axis=-1)
    rays = rays @ cam_from_world[:, :3]
    centre = -cam_from_world[:, :3].T @ cam_from_world[:, 3]
    square, half = (rays**2).sum(-1), rays @ centre
    root = half**2 - square * (centre @ centre - 1)
    depth = (-half - np.sqrt(np.maximum(root, 0))) / square
    return np.where(root > 0, depth, np.nan).astype(np.float32)


def test_a_sphere_is_fused_to_a_sphere_and_half_a_pixel_off_to_a_worse_one() -> None:
    pytest.importorskip("open3d")
    poses = [around(angle) for angle in np.linspace(0, 2 * np.pi, 8, endpoint=False)]
    views = [(sphere(pose), K, pose) for pose in poses]
    spread = []
    for as_published in (False, True):
        points = sample_mesh(*fuse_depths(views, SETTINGS, as_published), 20_000)
        radius = np.linalg.norm(points, axis=1)
        assert radius.mean() == pytest.approx(1, abs=0.004)
        spread.append(radius.std())
    assert spread[0] < 0.006
    assert spread[1] > 1.5 * spread[0]


def test_nothing_to_fuse_is_no_surface() -> None:
    pytest.importorskip("open3d")
    empty = np.full((HEIGHT, WIDTH), np.nan, np.float32)
    vertices, triangles = fuse_depths([(empty, K, around(0.0))], SETTINGS)
    assert len(vertices) == len(triangles) == 0


def test_points_are_spread_by_area_and_lie_in_their_triangles() -> None:
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [10, 0, 0], [13, 0, 0], [10, 1, 0]])
    points = sample_mesh(vertices, np.array([[0, 1, 2], [3, 4, 5]]), 8000)
    far = points[:, 0] >= 10
    assert far.mean() == pytest.approx(0.75, abs=0.02)
    assert (points[~far].min(), points[~far][:, :2].sum(1).max() <= 1) == (0, True)
    assert points[~far][:, 0].mean() == pytest.approx(1 / 3, abs=0.02)
    np.testing.assert_array_equal(points, sample_mesh(vertices, np.array([[0, 1, 2], [3, 4, 5]]), 8000))


def test_a_mesh_without_area_gives_no_points() -> None:
    line = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]])
    assert len(sample_mesh(line, np.array([[0, 1, 2]]), 10)) == 0
    assert len(sample_mesh(line, np.zeros((0, 3), np.int64), 10)) == 0
