"""Drift is told from chance, and counted only where it matters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from da3_pipeline.geometry.gps_correlation import drift_inflation

Float = NDArray[np.float64]

COUNT = 80


def drifting(rho: float, rng: np.random.Generator) -> Float:
    error = rng.normal(size=(COUNT, 3))
    for k in range(1, COUNT):
        error[k] = rho * error[k - 1] + np.sqrt(1 - rho**2) * error[k]
    return error


def loop() -> Float:
    angle = np.linspace(0, 2 * np.pi, COUNT, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)


def inflations(arms: Float, rho: float, seed: int = 0) -> Float:
    rng = np.random.default_rng(seed)
    everything = np.ones(COUNT, bool)
    return np.array([drift_inflation(arms, drifting(rho, rng), everything, everything) for _ in range(40)])


def test_independent_errors_are_not_inflated() -> None:
    assert (np.median(inflations(loop(), 0.0), axis=0) == 1.0).all()
    assert (np.mean(inflations(loop(), 0.0) > 1.5, axis=0) < 0.2).all()


def test_a_loop_walked_with_a_drifting_receiver() -> None:
    """Variances are those of an average of errors alike over (1 + rho) / (1 - rho) neighbours.

    In height it is found too large: the two tilts and the shift leave least of the slow part, by which it is judged.
    """
    for rho in (0.5, 0.8):
        relative = np.median(inflations(loop(), rho), axis=0) / ((1 + rho) / (1 - rho))
        assert ((relative > 0.5) & (relative < [1.6, 1.6, 2.5])).all()


def test_drift_does_not_matter_to_places_in_random_order() -> None:
    arms = np.random.default_rng(1).normal(size=(COUNT, 3))
    shuffled, loops = (np.median(inflations(arms, 0.8), axis=0) for arms in (arms, loop()))
    assert (shuffled < 0.3 * loops).all()


def test_too_few_places_and_coincident_ones_tell_nothing() -> None:
    some = np.arange(COUNT) < 7
    np.testing.assert_array_equal(drift_inflation(loop(), np.ones((COUNT, 3)), some, some), 1.0)
    everything = np.ones(COUNT, bool)
    np.testing.assert_array_equal(drift_inflation(0 * loop(), np.ones((COUNT, 3)), everything, everything), 1.0)


def test_height_and_plane_are_judged_apart() -> None:
    rng = np.random.default_rng(0)
    error = np.concatenate([rng.normal(size=(COUNT, 2)), drifting(0.9, rng)[:, 2:]], axis=1)
    everything = np.ones(COUNT, bool)
    east, north, height = drift_inflation(loop(), error, everything, everything)
    assert east == north == 1.0 and height > 3
    # Without altitudes there is nothing to judge there.
    missing = np.concatenate([error[:, :2], np.full((COUNT, 1), np.nan)], axis=1)
    assert drift_inflation(loop(), missing, everything, ~everything)[2] == 1.0


def test_what_drift_averages_out_by_itself_is_not_deflated() -> None:
    """Left and right of the middle by turns: neighbours' like errors cancel."""
    arms = loop() * np.where(np.arange(COUNT) % 2, 1.0, -1.0)[:, None]
    found = inflations(arms, 0.9)
    assert (found[:, :2] == 1.0).mean() > 0.9 and found.min() == 1.0


def test_chance_is_rarely_taken_for_drift() -> None:
    assert (inflations(loop(), 0.0) > 1.0).mean() < 0.15


def test_eight_places_can_tell() -> None:
    error = np.cumsum(np.random.default_rng(6).normal(size=(8, 3)), axis=0)
    angle = np.linspace(0, 12, 8)
    arms = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    everything = np.ones(8, bool)
    assert max(drift_inflation(arms, error, everything, everything)) > 1.0
    assert max(drift_inflation(arms[:7], error[:7], everything[:7], everything[:7])) == 1.0
