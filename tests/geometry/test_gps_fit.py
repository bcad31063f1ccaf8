"""Poses against the positions of their photographs: repeated positions are one, and everything is told a photograph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from da3_pipeline.arrays import Float
from da3_pipeline.geometry import Sim3
from da3_pipeline.geometry.geodesy import GpsPosition, east_north_up
from da3_pipeline.geometry.gps_fit import fit_gps

HERE = GpsPosition(46.2, 7.1, 500.0)
TURN = Rotation.from_euler("xyz", [20, -130, 75], degrees=True).as_matrix()


def poses_at(places: Float) -> Float:
    rotations = Rotation.random(len(places), random_state=3).as_matrix()
    return np.concatenate([rotations, -rotations @ places[:, :, None]], axis=2)


def scattered(count: int) -> list[GpsPosition]:
    steps = np.random.default_rng(1).normal(0, 1, (count, 3)) * [4e-4, 6e-4, 20.0]
    return [GpsPosition(46.2 + a, 7.1 + b, 500.0 + c) for a, b, c in steps.tolist()]


def test_a_position_that_repeats_stands_for_the_middle_of_its_photographs() -> None:
    different, repeats = scattered(8), [3, 1, 2, 1, 1, 4, 1, 1]
    places = Sim3(40.0, TURN, np.array([5.0, -3.0, 9.0])).inverse().apply(east_north_up(different, HERE))
    rng = np.random.default_rng(0)
    centres, positions = [], []
    for position, place, count in zip(different, places, repeats, strict=True):
        around = rng.normal(0, 0.3, (count, 3))
        centres += list(place + around - around.mean(0))
        positions += [position] * count
    # The last photograph repeats a position that came much earlier: still the same one.
    order = [*range(1, len(positions)), 0]
    found = fit_gps(poses_at(np.array(centres)[order]), [positions[k] for k in order], None)
    assert found is not None
    assert found.alignment.enu_from_scene.scale == pytest.approx(40.0, rel=1e-6)
    np.testing.assert_allclose(found.alignment.enu_from_scene.rotation, TURN, atol=1e-5)
    assert found.places == 8
    assert found.repeats.tolist() == [2 + 1, 3, 1, 2, 2, 1, 1, 4, 4, 4, 4, 1, 1, 3]
    np.testing.assert_allclose(found.metres, east_north_up([positions[k] for k in order], found.origin))
    assert found.used.all() and len(found.used) == len(positions)


def test_what_is_false_and_what_devices_say_is_told_of_each_photograph() -> None:
    positions = scattered(10)
    places = east_north_up(positions, HERE) / 10
    positions[2] = replace(positions[2], latitude_deg=46.3)
    positions[4] = replace(positions[4], horizontal_sigma_m=7.5, altitude_m=None)
    found = fit_gps(poses_at(np.concatenate([places, places[2:3]])), [*positions, positions[2]], None)
    assert found is not None
    assert np.flatnonzero(~found.used).tolist() == [2, 10]
    assert found.stated_m[4] == 7.5 and np.isnan(np.delete(found.stated_m, 4)).all()
    assert np.flatnonzero(np.isnan(found.metres[:, 2])).tolist() == [4]
    assert abs(found.origin.latitude_deg - 46.2) < 1e-3


def test_two_positions_are_enough_and_one_is_not() -> None:
    positions = [HERE, replace(HERE, latitude_deg=46.201)]
    assert fit_gps(poses_at(np.eye(3)[:2]), positions, None) is not None
    assert fit_gps(poses_at(np.eye(3)[:1]), positions[:1], None) is None
    assert fit_gps(poses_at(np.eye(3)), [HERE] * 3, None) is None
    assert fit_gps(poses_at(np.ones((2, 3))), positions, None) is None
