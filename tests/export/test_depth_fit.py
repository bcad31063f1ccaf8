"""The correction of depth to tracks finds planted errors, and does not invent any."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from da3_pipeline.export.depth_fit import fit_depth

Float = NDArray[np.float64]


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
