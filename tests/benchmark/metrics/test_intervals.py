"""Bootstrap intervals: they cover what they should, and say nothing of a single scene."""

from __future__ import annotations

import numpy as np
import pytest

from da3_pipeline.benchmark.metrics.intervals import mean_over_scenes


def test_they_hold_the_true_mean_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        found = mean_over_scenes(rng.normal(50, 10, 30).tolist(), seed=seed)
        hits += found.low <= 50 <= found.high
    assert 0.88 <= hits / 200 <= 0.99


def test_they_are_as_wide_as_theory_has_it() -> None:
    values = np.random.default_rng(1).normal(0, 1, 400)
    found = mean_over_scenes(values.tolist())
    assert found.mean == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_one_scene_has_a_mean_and_no_interval() -> None:
    found = mean_over_scenes([3.0, float("nan")])
    assert (found.mean, found.scenes) == (3.0, 1)
    assert np.isnan(found.low)
    assert str(found) == "3.00"
    assert np.isnan(mean_over_scenes([]).mean)


def test_a_failed_scene_stays_in_the_mean() -> None:
    """Infinitely far is what an empty surface is."""
    assert mean_over_scenes([0.1, float("inf"), 0.2]).mean == np.inf
