"""Accuracy, completeness, F1 and chamfer: the published numbers on the same clouds, and analytic ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from da3_pipeline.benchmark.metrics.clouds import measure_clouds, near_box, voxel_means
from da3_pipeline.benchmark.metrics.dtu import DtuObserved, measure_dtu, thinned

PUBLISHED = np.load(Path(__file__).parents[2] / "data" / "geometry_benchmark" / "published.npz")
CASES = sorted({key.split("/")[1] for key in PUBLISHED if key.startswith("cloud/")})
GRID = np.stack(np.meshgrid(np.arange(12.0), np.arange(10.0), [0.0]), -1).reshape(-1, 3)
OBSERVED = DtuObserved(
    np.ones((20, 20, 4), bool), np.array([[-4.0, -4, -2], [16, 16, 2]]), 1.0, np.array([0, 0, 1.0, 1])
)


def lifted(height: float) -> NDArray[np.float64]:
    return np.array(GRID + np.array([0, 0, height]))


@pytest.mark.parametrize("case", CASES)
def test_equals_the_published_evaluation(case: str) -> None:
    found, truth = (PUBLISHED[f"cloud/{case}/{part}"].astype(float) for part in ("found", "truth"))
    threshold, voxel = PUBLISHED[f"cloud/{case}/options"]
    mine = measure_clouds(found, truth, threshold, voxel)
    figures = [mine.accuracy, mine.completeness, mine.chamfer, mine.precision, mine.recall, mine.f1]
    np.testing.assert_allclose(figures, PUBLISHED[f"cloud/{case}/told"], atol=1e-6)


def test_the_truth_itself_is_perfect() -> None:
    found = measure_clouds(GRID, GRID, 0.05, voxel=0.02)
    assert (found.accuracy, found.completeness, found.f1) == (0, 0, 1)


def test_a_shifted_plane_is_off_by_its_shift() -> None:
    found = measure_clouds(lifted(0.3), GRID, 0.31)
    assert found.accuracy == found.completeness == found.chamfer == pytest.approx(0.3)
    assert found.f1 == 1
    assert measure_clouds(lifted(0.3), GRID, 0.29).f1 == 0


def test_half_of_the_surface_is_half_of_the_recall() -> None:
    found = measure_clouds(GRID[GRID[:, 0] < 6], GRID, 0.5)
    assert (found.precision, found.recall) == (1, 0.5)
    assert found.f1 == pytest.approx(2 / 3)
    assert found.accuracy == 0
    assert found.completeness == pytest.approx((1 + 2 + 3 + 4 + 5 + 6) / 12)


def test_points_of_a_cell_become_their_mean() -> None:
    points = np.array([[0.0, 0, 0], [0.4, 0, 0], [0.6, 0, 0], [5, 5, 5]])
    means = voxel_means(points, 1.0)
    assert sorted(map(tuple, means)) == [(0.2, 0, 0), (0.6, 0, 0), (5, 5, 5)]


def test_what_lies_far_outside_the_truth_is_cut_off() -> None:
    points = np.array([[0.0, 0, 0.1], [0, 0, 0.11], [11.05, 9, 0], [11.2, 9, 0]])
    assert len(near_box(points, GRID, 0.1)) == 2


def test_dtu_equals_the_published_evaluation() -> None:
    observed = DtuObserved(
        PUBLISHED["dtu/seen"], PUBLISHED["dtu/box"], float(PUBLISHED["dtu/step"]), PUBLISHED["dtu/plane"]
    )
    mine = measure_dtu(PUBLISHED["dtu/found"].astype(float), PUBLISHED["dtu/truth"].astype(float), observed)
    completeness, accuracy, chamfer = PUBLISHED["dtu/told"][[1, 0, 2]]
    np.testing.assert_allclose(
        [mine.completeness, mine.accuracy, mine.chamfer], [completeness, accuracy, chamfer], rtol=1e-6
    )


def test_dtu_counts_what_was_seen_above_the_table() -> None:
    scan = np.vstack([GRID, lifted(-1.5)])  # the second below the table, at -1
    mine = measure_dtu(np.vstack([lifted(0.5), [[15.2, 15.2, 1.2], [90, 0, 0]]]), scan, OBSERVED)
    unseen = DtuObserved(OBSERVED.mask.copy(), OBSERVED.box, 1.0, OBSERVED.plane)
    unseen.mask[8:] = False
    assert mine.completeness == pytest.approx(0.5)
    stray = np.linalg.norm([15.2 - 11, 15.2 - 9, 1.2])
    assert mine.accuracy == pytest.approx((0.5 * 120 + stray) / 121)
    assert measure_dtu(lifted(0.5), scan, unseen).accuracy == pytest.approx(0.5)
    assert np.isnan(measure_dtu(lifted(50), scan, OBSERVED).accuracy)


def test_thinned_points_are_apart_and_near_all_others() -> None:
    points = np.random.default_rng(0).uniform(size=(600, 3))
    kept = thinned(points, 0.15, seed=1)
    between = np.linalg.norm(kept[:, None] - kept[None], axis=2) + np.eye(len(kept))
    assert between.min() > 0.15
    assert np.linalg.norm(points[:, None] - kept[None], axis=2).min(1).max() <= 0.15
