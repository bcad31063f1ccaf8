"""Depth metrics and the alignments before them, where the numbers are known."""

from __future__ import annotations

import numpy as np
import pytest

from da3_pipeline.geometry.metrics.depth import DepthMetrics, align_depth, mean_depth_metrics, measure_depth

TRUTH = np.random.default_rng(0).uniform(1, 5, (2, 20, 30)).astype(np.float32)


@pytest.mark.parametrize("alignment", ["none", "median", "ratio", "scale", "scale-shift"])
def test_the_truth_is_perfect_under_every_alignment(alignment: str) -> None:
    found = measure_depth(TRUTH, TRUTH, alignment)  # type: ignore[arg-type]
    assert max(found.abs_rel, found.rmse) < 1e-6
    assert found.delta == (100, 100, 100)
    assert found.pixels == 1200


def test_each_alignment_forgives_what_its_name_says() -> None:
    scaled, shifted = 3 * TRUTH, 0.5 * TRUTH + 1
    assert measure_depth(scaled, TRUTH, "none").abs_rel == pytest.approx(2)
    for alignment in ("median", "ratio", "scale", "scale-shift"):
        assert measure_depth(scaled, TRUTH, alignment).abs_rel < 1e-6  # type: ignore[arg-type]
    assert measure_depth(shifted, TRUTH, "scale").abs_rel > 0.05
    assert measure_depth(shifted, TRUTH, "scale-shift").abs_rel < 1e-6


def test_figures_by_hand() -> None:
    truth, found = np.array([[1.0, 2, 4, 8]], np.float32), np.array([[1.2, 2, 2, 8]], np.float32)
    mine = measure_depth(found, truth, "none")
    assert mine.abs_rel == pytest.approx((0.2 + 0.5) / 4)
    assert mine.sq_rel == pytest.approx((0.04 + 1) / 4)
    assert mine.rmse == pytest.approx(np.sqrt((0.04 + 4) / 4))
    assert mine.delta == (75, 75, 75)
    assert measure_depth(np.float32([[1.3, 1.3, 1.6, 2.0]]), np.ones((1, 4), np.float32), "none").delta == (0, 50, 75)


def test_least_squares_weigh_the_far_and_medians_do_not() -> None:
    truth = np.array([[1.0, 1, 1, 100]], np.float32)
    found = np.array([[1.0, 1, 1, 50]], np.float32)
    assert measure_depth(found, truth, "median").delta[0] == 75
    assert measure_depth(found, truth, "scale").delta[0] == 25


def test_the_ratio_of_medians_is_not_the_median_of_ratios() -> None:
    truth, found = np.array([[1.0, 2, 9]], np.float32), np.array([[1.0, 1, 3]], np.float32)
    assert align_depth(found.ravel(), truth.ravel(), "median") == (2.0, 0.0)
    assert align_depth(found.ravel(), truth.ravel(), "ratio") == (2.0, 0.0)
    assert align_depth(found.ravel(), truth.ravel()[[2, 0, 1]], "median") == (2.0, 0.0)
    assert align_depth(found.ravel(), truth.ravel()[[2, 0, 1]], "ratio") == (1.0, 0.0)


def test_pixels_of_which_nothing_is_known_do_not_count() -> None:
    found, truth = TRUTH.copy(), TRUTH.copy()
    found[0, 0, :5], truth[0, 1, :5], found[0, 2, 0] = np.nan, 0, -3
    mine = measure_depth(found, truth)
    assert mine.pixels == 1200 - 11
    assert mine.abs_rel < 1e-6
    nothing = measure_depth(np.full_like(TRUTH, np.nan), TRUTH)
    assert np.isnan(nothing.abs_rel)
    assert nothing.pixels == 0


def test_flat_or_inverted_maps_are_not_turned_around_to_fit() -> None:
    inverted = measure_depth(6 - TRUTH, TRUTH, "scale-shift")
    assert inverted.abs_rel > 0.3
    assert measure_depth(np.full_like(TRUTH, 2), TRUTH, "scale-shift").abs_rel > 0.2


def test_maps_count_alike_in_their_mean() -> None:
    small, large = DepthMetrics(0.1, 0, 1, (90, 95, 99), 10), DepthMetrics(0.3, 0, 3, (70, 85, 97), 10_000)
    empty = DepthMetrics(np.nan, np.nan, np.nan, (np.nan,) * 3, 0)
    mean = mean_depth_metrics([small, empty, large])
    assert mean.abs_rel == pytest.approx(0.2)
    assert mean.delta == pytest.approx((80, 90, 98))
    assert mean.pixels == 10_010
    assert mean_depth_metrics([empty]).pixels == 0
