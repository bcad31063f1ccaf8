"""Two-view verification on synthetic pairs with known geometry, and on matches that mean nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from da3_pipeline.refine.config import VerifyConfig
from da3_pipeline.refine.matching.features import Features
from da3_pipeline.refine.matching.verification import (
    PairMatches,
    _chance_of_one,
    chance_log10,
    sampson_error_px,
    verify_matches,
)

Float = NDArray[np.float64]
SIZE = (1024, 768)
CONFIG = VerifyConfig()


@dataclass(frozen=True)
class TwoViews:
    """Keypoints k of both views belong together; those of `true` see one point, the others are placed at random."""

    features: tuple[Features, Features]
    true: NDArray[np.bool_]
    fundamental: Float

    @property
    def matches(self) -> NDArray[np.int32]:
        return np.tile(np.arange(len(self.true), dtype=np.int32)[:, None], 2)

    def verify(self, seed: int = 0, sizes: tuple[tuple[int, int], ...] = (SIZE, SIZE)) -> PairMatches | None:
        return verify_matches((0, 1), self.features, sizes, self.matches, CONFIG, seed)


def keypoints(xy: Float) -> Features:
    return Features(xy.astype(np.float32), np.ones(len(xy), np.float32), np.zeros((len(xy), 128), np.uint8))


def two_views(count: int = 200, false: int = 120, planar: bool = False, shift: float = 1.0, seed: int = 0) -> TwoViews:
    rng = np.random.default_rng(seed)
    K = np.array([[900.0, 0, SIZE[0] / 2], [0, 900.0, SIZE[1] / 2], [0, 0, 1]])
    points = np.column_stack([rng.uniform(-3.2, 3.2, count), rng.uniform(-2.2, 2.2, count), rng.uniform(6, 12, count)])
    if planar:
        points[:, 2] = 8 + 0.3 * points[:, 0]
    rotation = Rotation.from_euler("xyz", [2, -8, 3], degrees=True).as_matrix()
    translation = shift * np.array([0.9, 0.15, 0.1])
    views = []
    for moved in (points, points @ rotation.T + translation):
        projected = moved @ K.T
        views.append(projected[:, :2] / projected[:, 2:] + rng.normal(scale=0.3, size=(count, 2)))
    noise = [rng.uniform((0, 0), SIZE, (false, 2)) for _ in views]
    xy_i, xy_j = (np.concatenate(both) for both in zip(views, noise, strict=True))
    cross = np.cross(np.eye(3), -translation)
    inverse = np.linalg.inv(K)
    fundamental = inverse.T @ cross @ rotation @ inverse
    return TwoViews((keypoints(xy_i), keypoints(xy_j)), np.arange(count + false) < count, fundamental)


def test_true_matches_are_kept_and_false_ones_dropped() -> None:
    pair = two_views()
    found = pair.verify()
    assert found is not None
    kept = np.isin(np.arange(len(pair.true)), found.matches[:, 0])
    assert kept[pair.true].mean() > 0.97
    assert kept[~pair.true].mean() < 0.05
    assert found.raw_count == len(pair.true)
    assert found.homography_share < 0.6


def test_the_fundamental_matrix_explains_clean_points() -> None:
    found = two_views().verify()
    clean = two_views(seed=0, false=0)
    assert found is not None
    xy_i, xy_j = (feature.xy.astype(np.float64) for feature in clean.features)
    assert (
        np.median(sampson_error_px(clean.fundamental, xy_i, xy_j)) < 0.4
    )  # the truth, so that F's direction is j from i
    assert np.median(sampson_error_px(found.fundamental, xy_i, xy_j)) < 0.4


def test_pixels_are_those_of_each_original() -> None:
    """A view of four times the size gives the same matches, and a matrix for its own pixels."""
    pair = two_views()
    enlarged = keypoints(pair.features[1].xy.astype(np.float64) * 4)
    large = TwoViews((pair.features[0], enlarged), pair.true, pair.fundamental)
    found, plain = large.verify(sizes=(SIZE, (4 * SIZE[0], 4 * SIZE[1]))), pair.verify()
    assert found is not None and plain is not None
    np.testing.assert_array_equal(found.matches, plain.matches)
    xy_i, xy_j = (feature.xy[found.matches[:, n]].astype(np.float64) for n, feature in enumerate(large.features))
    ones = np.ones((len(xy_i), 1))
    line = np.hstack([xy_i, ones]) @ found.fundamental.T
    distance = np.abs((np.hstack([xy_j, ones]) * line).sum(1)) / np.hypot(line[:, 0], line[:, 1])
    assert np.median(distance) < 4 * 0.6


@pytest.mark.parametrize("seed", range(8))
def test_random_matches_are_refused(seed: int) -> None:
    assert two_views(count=0, false=400, seed=seed).verify() is None


def test_too_few_matches_are_refused() -> None:
    assert two_views(count=CONFIG.min_inliers - 1, false=0).verify() is None
    assert two_views(count=0, false=0).verify() is None


@pytest.mark.parametrize(("planar", "shift"), [(True, 1.0), (False, 0.0)])
def test_planes_and_turns_on_the_spot_are_recognised(planar: bool, shift: float) -> None:
    found = two_views(false=40, planar=planar, shift=shift).verify()
    assert found is not None
    assert found.homography_share > 0.9


def test_an_exact_shift_is_verified_though_every_sample_is_degenerate() -> None:
    """Windows of one picture: OpenCV's estimator gives up on them with an exception."""
    rng = np.random.default_rng(6)
    xy = rng.uniform((0, 0), SIZE, (300, 2)).round(2)
    found = TwoViews((keypoints(xy), keypoints(xy - np.array([256.0, 0.0]))), np.ones(300, bool), np.eye(3)).verify()
    assert found is not None
    assert len(found) > 280
    assert found.homography_share == 1.0


def test_identical_images_count_as_one_homography() -> None:
    xy = np.random.default_rng(3).uniform((0, 0), SIZE, (300, 2))
    found = TwoViews((keypoints(xy), keypoints(xy)), np.ones(300, bool), np.eye(3)).verify()
    assert found is not None
    assert found.homography_share == 1.0


def test_keypoints_on_one_line_end_without_an_error() -> None:
    xy = np.column_stack([np.linspace(10, 1000, 60), np.full(60, 300.0)])
    found = TwoViews((keypoints(xy), keypoints(xy + np.array([4.0, 0.0]))), np.ones(60, bool), np.eye(3)).verify()
    assert found is None or np.isfinite(found.fundamental).all()


def test_one_place_counts_once() -> None:
    pair = two_views(count=60, false=0)
    doubled = tuple(keypoints(np.concatenate([f.xy, f.xy]).astype(np.float64)) for f in pair.features)
    found = TwoViews((doubled[0], doubled[1]), np.ones(120, bool), pair.fundamental).verify()
    assert found is not None
    assert found.raw_count == 60


def test_the_same_seed_gives_the_same_answer() -> None:
    pair = two_views(false=300)
    first, again = pair.verify(seed=5), pair.verify(seed=5)
    assert first is not None and again is not None
    np.testing.assert_array_equal(first.matches, again.matches)
    np.testing.assert_array_equal(first.fundamental, again.fundamental)


def test_sampson_error_is_the_distance_to_the_nearest_consistent_pair() -> None:
    """A point moved by d at a right angle to its line in one image shares the move with the other image."""
    sideways = np.array([[0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])  # x_j on the row of x_i
    error = sampson_error_px(sideways, np.array([[10.0, 50.0]]), np.array([[80.0, 53.0]]))
    assert error == pytest.approx(3 / np.sqrt(2))


def test_chance_falls_with_inliers_and_rises_with_attempts() -> None:
    assert chance_log10(40, 100, 0.01) < chance_log10(20, 100, 0.01) < chance_log10(20, 400, 0.01)
    assert chance_log10(7, 100, 0.01) == np.inf


def test_chance_by_hand() -> None:
    """Of ten random matches eight fit: (10 - 7) models a sample, C(10, 8) ways, C(8, 7) samples, one more to fit."""
    assert chance_log10(8, 10, 0.1) == pytest.approx(np.log10(3 * 45 * 8 * 0.1))
    assert chance_log10(9, 10, 0.1) == pytest.approx(np.log10(3 * 10 * 36 * 0.1**2))
    assert chance_log10(8, 8, 2.0) == pytest.approx(np.log10(8))


@pytest.mark.parametrize("size", [(1024, 768), (2048, 1536), (600, 1200)])
def test_the_chance_of_one_is_that_of_a_point_on_the_diagonal(size: tuple[int, int]) -> None:
    """In an image of 1024 px, whatever the size of the original."""
    width, height = (side * 1024 / max(size) for side in size)
    points = np.random.default_rng(0).random((400_000, 2)) * [width, height]
    distance = np.abs(points @ [height, -width]) / np.hypot(width, height)
    assert _chance_of_one(size, 1.5) == pytest.approx((distance < 1.5).mean(), rel=0.08)
