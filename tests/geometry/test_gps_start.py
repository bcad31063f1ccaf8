"""Starting points hold where nearly half of the positions are false, exactly where the rest are exact."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from da3_pipeline.arrays import Float
from da3_pipeline.geometry import Sim3, rotation_angle_deg
from da3_pipeline.geometry.gps_start import starts
from da3_pipeline.geometry.gravity import Up

TRUTH = Sim3(12.0, Rotation.from_euler("xyz", [15, 40, -110], degrees=True).as_matrix(), np.array([30.0, -70.0, 25.0]))
UP = Up(TRUTH.rotation.T @ [0.0, 0.0, 1.0], 5.0)


def measured(count: int = 20, seed: int = 0) -> tuple[Float, Float]:
    places = np.random.default_rng(seed).normal(size=(count, 3))
    return places, TRUTH.apply(places)


def assert_is_truth(found: Sim3) -> None:
    assert found.scale == pytest.approx(TRUTH.scale, rel=1e-9)
    assert rotation_angle_deg(found.rotation, TRUTH.rotation) < 1e-5
    np.testing.assert_allclose(found.translation, TRUTH.translation, atol=1e-6)


@pytest.mark.parametrize("count", [20, 120])
def test_both_starts_are_exact_beside_false_positions(count: int) -> None:
    places, metres = measured(count)
    wrong = np.arange(count) % 5 < 2
    metres[wrong] += np.random.default_rng(1).normal(0, 300, (int(wrong.sum()), 3))
    level, free = starts(places, metres, UP, 0)
    assert_is_truth(level)
    assert_is_truth(free)


def test_a_receiver_that_stood_still_most_of_the_time_gives_no_scale_of_zero() -> None:
    places, metres = measured(10)
    metres[:6] = metres[0]
    level = next(starts(places, metres, UP, 0))
    assert level.scale > 1.0


def test_of_two_positions_or_exact_ones_those_farthest_apart_decide() -> None:
    places, metres = measured(2)
    both = list(starts(places, metres, UP, 0))
    assert [found.scale for found in both] == pytest.approx([TRUTH.scale, TRUTH.scale])
    places, metres = measured(30)
    metres[:, :2] = metres[:, :2].round(6)  # what all pairs agree on to the microsecond
    close = np.argsort(np.linalg.norm(metres - metres.mean(0), axis=1))[:2]
    metres[close[0], :2] += 4e-7
    level = next(starts(places, metres, UP, 0))
    assert level.scale == pytest.approx(TRUTH.scale, rel=1e-6)


def test_without_altitudes_only_the_level_start_is_left() -> None:
    places, metres = measured()
    metres[:, 2] = np.nan
    found = list(starts(places, metres, UP, 0))
    assert len(found) == 1
    assert rotation_angle_deg(found[0].rotation, TRUTH.rotation) < 1e-5
    np.testing.assert_allclose(found[0].translation[:2], TRUTH.translation[:2], atol=1e-6)
    assert found[0].translation[2] == 0.0
    assert list(starts(places, metres, None, 0)) == []


def test_places_above_one_another_have_no_heading() -> None:
    places = np.outer([0.0, 1.0, 2.0, 5.0], UP.direction)
    metres = TRUTH.apply(places)
    free = list(starts(places, metres, UP, 0))
    assert len(free) == 1 and free[0].scale == pytest.approx(TRUTH.scale)


def test_the_height_is_the_middle_one_of_those_that_are_told() -> None:
    places, metres = measured(9)
    metres[[0, 3], 2] = np.nan
    metres[5, 2] += 500.0
    level, free = starts(places, metres, UP, 0)
    assert_is_truth(level)
    assert_is_truth(free)


def test_places_on_one_level_have_a_free_start_and_coincident_ones_have_none() -> None:
    places = np.random.default_rng(2).normal(size=(8, 3)) * [1, 1, 0]
    (free,) = starts(places, TRUTH.apply(places), None, 0)
    assert_is_truth(free)
    assert list(starts(np.ones((3, 3)), measured(3)[1], None, 0)) == []
