"""The correction of depth to tracks finds planted errors, and does not invent any."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from da3_pipeline.export.config import DepthFitConfig
from da3_pipeline.export.depth import depth_fit

Float = NDArray[np.float64]

fit_depth = partial(depth_fit.fit_depth, config=DepthFitConfig())
fit_tracks_alone = partial(depth_fit.fit_tracks_alone, config=DepthFitConfig())


def samples(count: int, seed: int = 0) -> tuple[Float, Float]:
    rng = np.random.default_rng(seed)
    return rng.uniform(1, 20, count), rng.uniform(-1, 1, (count, 2))


@pytest.mark.parametrize(
    ("power", "tilt", "terms"), [(0.0, (0.0, 0.0), 1), (0.25, (0.0, 0.0), 2), (-0.2, (0.1, -0.2), 4)]
)
def test_planted_error_is_undone_with_no_more_terms_than_it_has(
    power: float, tilt: tuple[float, float], terms: int
) -> None:
    truth, position = samples(400)
    predicted = truth ** (1 + power) * 0.4 * np.exp(position @ np.array(tilt))
    fit = fit_depth(truth, predicted, position)
    assert len(fit.coefficients) == terms
    assert fit.disagreement < 1e-3
    fresh, place = samples(100, seed=1)
    corrected = fit.apply(fresh ** (1 + power) * 0.4 * np.exp(place @ np.array(tilt)), place)
    np.testing.assert_allclose(corrected, fresh, rtol=1e-2)


def test_wrong_tracks_do_not_pull() -> None:
    truth, position = samples(300)
    tracks = truth.copy()
    tracks[::5] *= np.random.default_rng(2).uniform(2, 8, len(tracks[::5]))
    fit = fit_depth(tracks, truth / 2, position)
    np.testing.assert_allclose(fit.apply(truth / 2, position), truth, rtol=0.02)


def test_noise_is_reported_as_disagreement_and_not_fitted() -> None:
    truth, position = samples(400)
    predicted = truth * np.exp(np.random.default_rng(3).normal(0, 0.3, 400))
    fit = fit_depth(truth, predicted, position)
    assert fit.disagreement == pytest.approx(0.6745 * 0.3, rel=0.25)
    assert len(fit.coefficients) <= 2


def test_few_tracks_get_a_scale_only() -> None:
    truth, position = samples(12)
    fit = fit_depth(truth, truth**1.2 / 3, position)
    assert len(fit.coefficients) == 1


def test_depth_that_shows_relief_beats_a_surface_through_the_tracks_and_a_flat_one_does_not() -> None:
    """Most tracks lie on one wall, where nothing can be better than the surface: the others must count."""
    _, position = samples(600)
    relief = np.where(np.sin(12 * position[:, 0]) * np.sin(10 * position[:, 1]) > 0.5, 6.0, 8.0)
    noise = np.exp(np.random.default_rng(4).normal(0, 0.01, 600))
    alone = fit_tracks_alone(relief, position)
    assert alone.disagreement < 0.001 < 0.02 < alone.mean_difference
    assert fit_depth(relief, relief / 3 * noise, position).mean_difference < 0.5 * alone.mean_difference
    assert fit_depth(relief, 2 * noise, position).mean_difference > 0.9 * alone.mean_difference


def test_noise_is_not_taken_for_a_local_error() -> None:
    """Each half is judged by what the other learnt: judged by itself, any noise looks as if it could be corrected."""
    fits = []
    for seed in range(16):
        truth, position = samples(64, seed)
        noise = np.random.default_rng(seed + 50).normal(0, 0.2, 64)
        fits.append(fit_depth(truth, truth * np.exp(noise), position))
    assert sum(fit.local is not None for fit in fits) <= 3
    assert np.mean([fit.disagreement for fit in fits]) == pytest.approx(0.6745 * 0.2, rel=0.12)


def test_a_local_error_is_found_where_there_is_one() -> None:
    truth, position = samples(600)
    bump = 0.3 * np.exp(-((position - [0.3, -0.2]) ** 2).sum(axis=1) / (2 * 0.3**2))
    fit = fit_depth(truth, truth * np.exp(bump), position)
    assert fit.local is not None and fit.disagreement < 0.01


def test_sixty_tracks_carry_a_local_error_and_fewer_do_not() -> None:
    for count, carried in ((59, False), (60, True)):
        truth, position = samples(count, seed=5)
        bump = 0.5 * np.exp(-((position - [0.3, -0.2]) ** 2).sum(axis=1) / (2 * 0.5**2))
        assert (fit_depth(truth, truth * np.exp(bump), position).local is not None) == carried
