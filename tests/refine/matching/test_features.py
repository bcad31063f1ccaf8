"""Keypoints: where they are, how many, how spread, and what happens on images that have none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from da3_pipeline.refine.config import FeatureConfig
from da3_pipeline.refine.matching.features import DESCRIPTOR_NORM, extract_features

CONFIG = FeatureConfig(max_features=400)


def blobs(width: int, height: int, places: NDArray[np.float64], sigma_px: float) -> NDArray[np.uint8]:
    """Grey image with Gaussian blobs at `places` (corner origin), integrated at pixel centres."""
    x, y = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
    image = np.full((height, width), 60.0)
    for px, py in places:
        image += 150 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma_px**2))
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def texture(width: int, height: int, seed: int, contrast: float = 60.0) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(size=(height, width))
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return np.clip(128 + contrast * smooth / smooth.std(), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("long_side_px", "tolerance_px"), [(1600, 0.06), (300, 0.15), (233, 0.2)])
def test_blobs_are_found_where_they_are(long_side_px: int, tolerance_px: float) -> None:
    """The half pixel is right at full size and through every reduction, whole ratio or not."""
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(np.arange(60, 560, 80.0), np.arange(60, 360, 80.0)), -1).reshape(-1, 2)
    places = grid + rng.uniform(-5, 5, grid.shape)
    found = extract_features(blobs(600, 400, places, 6.0), FeatureConfig(max_long_side_px=long_side_px))
    offset = found.xy[:, None] - places[None]
    nearest = np.linalg.norm(offset, axis=2).argmin(0)
    errors = offset[nearest, np.arange(len(places))]
    assert np.abs(np.median(errors, axis=0)).max() < tolerance_px / 3
    assert np.quantile(np.abs(errors), 0.95) < tolerance_px
    assert np.median(found.scale_px[nearest]) == pytest.approx(6.0, rel=0.25)


def test_budget_is_kept_and_shared_over_the_image() -> None:
    """Though the left half has the stronger contrast by far."""
    image = texture(640, 480, seed=2, contrast=12.0)
    image[:, :320] = texture(320, 480, seed=3, contrast=60.0)
    found = extract_features(image, CONFIG)
    assert len(found) == CONFIG.max_features
    right = np.mean(found.xy[:, 0] > 320)
    assert 0.35 < right < 0.65


def test_descriptors_are_rootsift_in_bytes() -> None:
    found = extract_features(texture(320, 240, seed=4), CONFIG)
    assert found.descriptors.dtype == np.uint8
    length = np.linalg.norm(found.descriptors.astype(float), axis=1)
    np.testing.assert_allclose(length, DESCRIPTOR_NORM, rtol=0.02)


def test_faint_images_are_searched_harder() -> None:
    faint = extract_features(texture(320, 240, seed=5, contrast=1.2), CONFIG)
    assert len(faint) > 50


@pytest.mark.parametrize("shape", [(1, 1), (3, 900), (15, 15), (40, 40), (480, 640)])
def test_images_without_texture_have_no_features(shape: tuple[int, int]) -> None:
    found = extract_features(np.full(shape, 90, np.uint8), CONFIG)
    assert len(found) == 0
    assert found.descriptors.shape == (0, 128)


def test_a_strip_that_shrinks_to_nothing_is_legal() -> None:
    assert len(extract_features(texture(4000, 20, seed=6), FeatureConfig(max_long_side_px=64))) == 0


def test_keypoints_lie_in_the_image() -> None:
    found = extract_features(texture(700, 300, seed=7), FeatureConfig(max_long_side_px=500))
    assert found.xy.min() >= 0
    assert found.xy[:, 0].max() <= 700
    assert found.xy[:, 1].max() <= 300


def test_threads_do_not_change_the_result() -> None:
    images = [texture(320, 240, seed=seed) for seed in range(4)]
    alone = [extract_features(image, CONFIG) for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda image: extract_features(image, CONFIG), images))
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a.xy, b.xy)
        np.testing.assert_array_equal(a.descriptors, b.descriptors)


def test_a_mask_over_an_image_without_texture_leaves_nothing() -> None:
    assert len(extract_features(np.full((240, 320), 90, np.uint8), CONFIG, np.ones((240, 320), bool))) == 0


def test_the_budget_goes_to_what_a_mask_leaves() -> None:
    image, used = texture(640, 480, seed=8), np.zeros((480, 640), bool)
    used[100:300, 50:250] = True
    found = extract_features(image, CONFIG, used)
    assert len(found) > 0.5 * CONFIG.max_features
    column, row = np.floor(found.xy).astype(int).T
    assert used[row, column].all()
