"""What pruning keeps, seen from the views that the Gaussians came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from da3_pipeline.gaussians import Pruning, View, concatenate, pruned, subset, with_bands
from da3_pipeline.geometry import Camera, invert
from da3_pipeline.types import GaussianCloud

CloudFactory = Callable[..., GaussianCloud]

WIDTH, HEIGHT = 32, 24
CAMERA = Camera("PINHOLE", WIDTH, HEIGHT, (30.0, 30.0, 16.0, 12.0))
POSES = np.array([np.eye(3, 4), [[0, 0, -1, 0.5], [0, 1, 0, 0], [1, 0, 0, 2]]], float)
KEEP_ALL = Pruning(border=0, min_opacity=0, far_quantile=1)


def views(window_px: tuple[float, float, float, float] = (0, 0, WIDTH, HEIGHT)) -> dict[int, View]:
    return {index: View(pose, CAMERA, window_px) for index, pose in enumerate(POSES)}


def lifted() -> tuple[GaussianCloud, np.ndarray, np.ndarray]:
    """A Gaussian in every pixel of both views, at depths 1..2 that grow along x; with columns and rows."""
    rows, columns = (grid.ravel() for grid in np.indices((HEIGHT, WIDTH)))
    depth = 1 + columns / (WIDTH - 1)
    rays = np.stack([(columns + 0.5 - 16) / 30, (rows + 0.5 - 12) / 30, np.ones(len(rows))], axis=1)
    points = [(rays * depth[:, None]) @ invert(pose)[:, :3].T + invert(pose)[:, 3] for pose in POSES]
    count = 2 * WIDTH * HEIGHT
    cloud = GaussianCloud(
        np.concatenate(points).astype(np.float32),
        np.full((count, 3), 0.01, np.float32),
        np.tile(np.float32([1, 0, 0, 0]), (count, 1)),
        np.zeros((count, 3, 4), np.float32),
        np.linspace(0, 1, count, dtype=np.float32),
        np.repeat(np.arange(2, dtype=np.int32), count // 2),
    )
    return cloud, np.tile(columns, 2), np.tile(rows, 2)


def test_borders_of_every_view_go() -> None:
    cloud, columns, rows = lifted()
    result = pruned(cloud, views(), replace(KEEP_ALL, border=0.125))
    inside = (columns >= 4) & (columns < WIDTH - 4) & (rows >= 3) & (rows < HEIGHT - 3)
    np.testing.assert_array_equal(result.means, cloud.means[inside])
    np.testing.assert_array_equal(result.view, cloud.view[inside])


def test_the_border_is_that_of_the_window_which_the_view_saw() -> None:
    cloud, columns, _ = lifted()
    result = pruned(cloud, views((8, 0, 24, HEIGHT)), KEEP_ALL)
    np.testing.assert_array_equal(result.means, cloud.means[(columns >= 8) & (columns < 24)])


def test_faint_and_far_ones_go() -> None:
    cloud, columns, _ = lifted()
    faint = pruned(cloud, views(), replace(KEEP_ALL, min_opacity=0.25))
    np.testing.assert_array_equal(faint.opacities, cloud.opacities[cloud.opacities >= 0.25])
    near = pruned(cloud, views(), replace(KEEP_ALL, far_quantile=0.5))
    np.testing.assert_array_equal(near.means, cloud.means[columns < WIDTH / 2])


def test_a_cap_keeps_the_most_visible_in_their_order_and_is_repeatable() -> None:
    cloud, columns, _ = lifted()
    cloud = replace(cloud, opacities=np.full(len(cloud), 0.5, np.float32))
    result = pruned(cloud, views(), replace(KEEP_ALL, max_count=4 * HEIGHT))
    np.testing.assert_array_equal(result.means, cloud.means[columns < 2])  # the nearest look the largest
    ties = replace(cloud, means=np.tile(np.float32([0, 0, 1.5]), (len(cloud), 1)), view=np.zeros_like(cloud.view))
    kept = pruned(replace(ties, harmonics=numbered(ties)), views(), replace(KEEP_ALL, max_count=5))
    np.testing.assert_array_equal(kept.harmonics[:, 0, 0], np.arange(5))
    larger = replace(cloud, scales=cloud.scales * np.where(columns == 20, 5, 1).astype(np.float32)[:, None])
    best = pruned(larger, views(), replace(KEEP_ALL, max_count=2 * HEIGHT))
    np.testing.assert_array_equal(best.means, cloud.means[columns == 20])


def numbered(cloud: GaussianCloud) -> np.ndarray:
    harmonics = cloud.harmonics.copy()
    harmonics[:, 0, 0] = np.arange(len(cloud))
    return harmonics


def test_broken_ones_and_those_behind_their_camera_always_go() -> None:
    cloud, _, _ = lifted()
    means, view = cloud.means.copy(), cloud.view.copy()
    means[0] = np.nan
    means[1] = [0, 0, -3]
    view[2] = 7  # of a view that is not there
    result = pruned(replace(cloud, means=means, view=view), views(), KEEP_ALL)
    np.testing.assert_array_equal(result.means, cloud.means[3:])
    assert len(pruned(cloud, {}, KEEP_ALL)) == 0
    np.testing.assert_array_equal(pruned(cloud, {1: views()[1]}, KEEP_ALL).means, cloud.means[cloud.view == 1])


def test_what_is_hidden_goes() -> None:
    """A mask of another resolution than the pixels: the upper left quarter of the window."""
    cloud, columns, rows = lifted()
    hidden = np.zeros((4, 4), bool)
    hidden[:2, :2] = True
    result = pruned(cloud, {0: replace(views()[0], hidden=hidden), 1: views()[1]}, KEEP_ALL)
    gone = (cloud.view == 0) & (columns < WIDTH / 2) & (rows < HEIGHT / 2)
    np.testing.assert_array_equal(result.means, cloud.means[~gone])


def test_bands_are_cut_and_added(cloud_of: CloudFactory) -> None:
    cloud = cloud_of(5, bands=9)
    assert with_bands(cloud, 4).harmonics.shape == (5, 3, 4)
    wide = with_bands(cloud, 16)
    np.testing.assert_array_equal(wide.harmonics[:, :, :9], cloud.harmonics)
    assert not wide.harmonics[:, :, 9:].any()
    with pytest.raises(ValueError, match="5 harmonics"):
        with_bands(cloud, 5)


def test_parts_join_to_the_whole(cloud_of: CloudFactory) -> None:
    cloud = cloud_of(10)
    parts = [subset(cloud, np.arange(0, 4)), subset(cloud, np.arange(10) >= 4)]
    np.testing.assert_array_equal(concatenate(parts).means, cloud.means)
