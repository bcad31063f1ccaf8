"""The fit to GPS against planted truth: right within what it says, whatever the receiver does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from da3_pipeline.geometry import nearest_rotation
from da3_pipeline.geometry.gps_alignment import GpsAlignment, align_to_gps
from da3_pipeline.geometry.gravity import Up

Float = NDArray[np.float64]

UP_SIGMA_DEG = 5.0


@dataclass(frozen=True)
class Case:
    """A capture: cameras, half their extent in metres, noise (one sigma) along the plane and in height."""

    count: int = 15
    extent_m: float = 30.0
    horizontal_m: float = 3.0
    vertical_m: float = 7.0
    flat: float = 0.1
    line: bool = False
    false: int = 0
    altitudes: bool = True
    up: bool = True
    drift: float = 0.0


@dataclass(frozen=True)
class Trial:
    """An alignment and how it is off: log scale, and degrees of heading and of the vertical."""

    found: GpsAlignment
    scale: float
    heading_deg: float
    tilt_deg: float


def attempt(case: Case, rng: np.random.Generator) -> Trial:
    true = rng.normal(0, case.extent_m, (case.count, 3)) * [1, 1, case.flat]
    if case.line:
        true[:, 1:] = true[:, :1] * [0.3, 0.05]
    turn, scale = nearest_rotation(rng.normal(size=(3, 3))), float(np.exp(rng.normal()))
    places = (true - rng.normal(0, 100, 3)) @ turn / scale
    error = rng.normal(size=true.shape)
    if case.drift:  # along a loop, since errors that change slowly matter where the camera moves slowly, too
        angle = np.linspace(0, 2 * np.pi, case.count)
        true = case.extent_m * np.stack([np.cos(angle), np.sin(angle), case.flat * np.sin(3 * angle)], axis=1)
        places = (true - rng.normal(0, 100, 3)) @ turn / scale
        for k in range(1, case.count):
            error[k] = case.drift * error[k - 1] + np.sqrt(1 - case.drift**2) * error[k]
    measured = true + error * [case.horizontal_m, case.horizontal_m, case.vertical_m]
    measured[: case.false] += rng.normal(0, 200, (case.false, 3))
    if not case.altitudes:
        measured[:, 2] = np.nan
    lean = np.array([*rng.normal(0, np.radians(UP_SIGMA_DEG), 2), 1.0])
    up = Up(lean / np.linalg.norm(lean) @ turn, UP_SIGMA_DEG) if case.up else None
    found = align_to_gps(places, measured, up)
    assert found is not None
    off = found.enu_from_scene.rotation @ turn.T
    return Trial(
        found,
        float(np.log(found.enu_from_scene.scale / scale)),
        float(np.degrees(np.arctan2(off[1, 0] - off[0, 1], off[0, 0] + off[1, 1]))),
        float(np.degrees(np.arccos(np.clip(off[2, 2], -1, 1)))),
    )


CASES = {
    "usual": Case(),
    "few": Case(count=5),
    "three": Case(count=3, extent_m=60),
    "survey drone": Case(count=40, horizontal_m=1.0, vertical_m=2.0),
    "no altitudes": Case(altitudes=False),
    "no up": Case(up=False, flat=0.5),
    "straight track": Case(line=True),
    "three false fixes": Case(false=3),
    "bad altitudes": Case(vertical_m=40.0),
    "drifting receiver": Case(count=60, drift=0.8),
}


@pytest.mark.parametrize("name", CASES)
def test_truth_is_within_two_sigma_in_nineteen_of_twenty_cases(name: str) -> None:
    """Monte-Carlo over 80 captures a case: of 80 draws at 95 %, fewer than 69 come up once in 2,000."""
    rng = np.random.default_rng(5)
    trials = [attempt(CASES[name], rng) for _ in range(80)]
    z = np.array([trial.scale / trial.found.relative_sigma for trial in trials])
    assert np.mean(np.abs(z) < 2) > 0.86
    assert 0.45 < np.sqrt(np.mean(z**2)) < 1.5
    heading = np.array([trial.heading_deg / trial.found.heading_sigma_deg for trial in trials])
    assert np.mean(np.abs(heading) < 2.5) > 0.87
    tilt = np.array([trial.tilt_deg / trial.found.tilt_sigma_deg for trial in trials])
    assert np.mean(tilt < 2.5) > (0.8 if CASES[name].drift else 0.87)
    assert max(trial.found.relative_sigma for trial in trials) < 0.2


def test_false_fixes_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        found = attempt(Case(false=4), rng).found
        assert not found.used[:4].any() and found.used[4:].mean() > 0.9
        assert found.rms_horizontal_m < 8
        assert 2.0 < found.noise_m[0] < 4.5 and found.noise_m[0] == found.noise_m[1]


def test_no_noise_is_recovered_to_rounding() -> None:
    trial = attempt(Case(horizontal_m=0, vertical_m=0, flat=0.5, up=False), np.random.default_rng(0))
    assert abs(trial.scale) < 1e-6 and abs(trial.heading_deg) < 1e-4 and trial.tilt_deg < 1e-4
    assert trial.found.rms_horizontal_m < 1e-4
    assert 0.002 <= trial.found.relative_sigma < 0.03


def test_cameras_decide_the_roll_about_a_straight_track() -> None:
    rng = np.random.default_rng(0)
    with_up = [attempt(Case(line=True), rng) for _ in range(20)]
    assert all(trial.found.with_cameras and trial.found.tilt_sigma_deg < 6 for trial in with_up)
    without = [attempt(Case(line=True, up=False), rng) for _ in range(20)]
    assert all(trial.found.tilt_sigma_deg > 20 for trial in without)
    assert all(abs(trial.scale) < 4 * trial.found.relative_sigma for trial in without)


def test_an_up_that_gps_contradicts_is_left_out() -> None:
    """A drone above its subject that keeps one heading: its cameras' own up lies flat."""
    rng = np.random.default_rng(0)
    true = rng.normal(0, 60, (30, 3)) * [1, 1, 0.2]
    measured = true + rng.normal(size=true.shape) * [1.0, 1.0, 2.0]
    found = align_to_gps(true / 5, measured, Up(np.array([1.0, 0, 0]), 20.0))
    assert found is not None and not found.with_cameras
    assert found.enu_from_scene.rotation[2, 2] > np.cos(np.radians(4))
    assert found.enu_from_scene.scale == pytest.approx(5, rel=0.03)


@pytest.mark.parametrize("count", [2, 3, 20])
def test_uncertainty_grows_as_places_come_together(count: int) -> None:
    sigmas = []
    for extent_m in (1.0, 5.0, 50.0):
        rng = np.random.default_rng(0)
        true = rng.uniform(-extent_m, extent_m, (count, 3)) * [1, 1, 0.1]
        found = align_to_gps(true, true + rng.normal(0, 3, true.shape), Up(np.array([0.0, 0, 1]), 5.0))
        assert found is not None
        sigmas.append(found.relative_sigma)
    assert sigmas[0] > 0.2 and sigmas[0] > sigmas[1] > sigmas[2]


def test_fewer_than_two_places_have_no_alignment() -> None:
    up = Up(np.array([0.0, 0, 1]), 5.0)
    here, apart = np.zeros((3, 3)), np.arange(9.0).reshape(3, 3)
    assert align_to_gps(here[:1], here[:1], up) is None
    assert align_to_gps(here, apart, up) is None
    assert align_to_gps(apart, here, up) is None
    only_height = np.where([False, False, True], apart, 0.0)
    assert align_to_gps(apart, only_height, up) is None


def test_two_places_without_any_up_still_give_the_scale() -> None:
    places, metres = np.array([[0.0, 0, 0], [1, 0, 0]]), np.array([[0.0, 0, 0], [0, 50, 1]])
    found = align_to_gps(places, metres, None)
    assert found is not None
    assert found.enu_from_scene.scale == pytest.approx(50, rel=0.02)
    assert found.tilt_sigma_deg > 20
    assert align_to_gps(places, np.where([True, True, False], metres, np.nan), None) is None


def test_the_seed_decides_alone() -> None:
    rng = np.random.default_rng(0)
    places = rng.normal(size=(120, 3))
    metres = 40 * places + rng.normal(0, 3, places.shape)
    first, second = (align_to_gps(places, metres, None, seed=3) for _ in range(2))
    assert first is not None and second is not None
    np.testing.assert_array_equal(first.enu_from_scene.rotation, second.enu_from_scene.rotation)


def test_positions_without_altitude_count_in_the_plane_and_those_with_one_in_height() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(0, 30, (24, 3))
    turn = nearest_rotation(rng.normal(size=(3, 3)))
    metres = true.copy()
    metres[::3, 2] = np.nan
    metres[1, 2] += 500.0  # one altitude is false, its place in the plane is not
    found = align_to_gps((true @ turn) / 7, metres, None)
    assert found is not None and found.used.all()
    assert found.enu_from_scene.scale == pytest.approx(7, rel=1e-6)
    np.testing.assert_allclose(found.enu_from_scene.rotation, turn, atol=1e-6)
    np.testing.assert_allclose(found.enu_from_scene.translation, 0, atol=1e-4)
    assert found.rms_horizontal_m < 1e-4 and found.rms_vertical_m < 1e-4
    assert (found.noise_m < [4.0, 4.0, 10.0]).all(), "the usual noise, and less the more is seen of it"


def test_residuals_are_told_as_root_mean_squares() -> None:
    rng = np.random.default_rng(2)
    places = rng.normal(0, 40, (30, 3))
    metres = places + rng.normal(0, 1, (30, 3)) * [2, 2, 5]
    found = align_to_gps(places, metres, None)
    assert found is not None and found.used.all()
    left = metres - found.enu_from_scene.apply(places)
    assert found.rms_horizontal_m == pytest.approx(np.sqrt((left[:, :2] ** 2).sum(axis=1).mean()))
    assert found.rms_vertical_m == pytest.approx(np.sqrt((left[:, 2] ** 2).mean()))


def exact(count: int, extent_m: float, seed: int = 0) -> tuple[Float, Float]:
    """Places and their metres, at ten metres a unit, level."""
    metres = np.random.default_rng(seed).normal(0, extent_m, (count, 3))
    return metres / 10, metres


@pytest.mark.parametrize(("off_m", "used"), [(3.2, True), (3.8, False)])
def test_beside_exact_positions_three_and_a_half_metres_are_false(off_m: float, used: bool) -> None:
    """A receiver's least error is taken to be a metre. A false height leaves its place in the plane."""
    places, metres = exact(200, 40.0)
    metres[7, 0] += off_m
    metres[9, 2] -= off_m
    found = align_to_gps(places, metres, None)
    assert found is not None
    assert found.used.all() == used and found.used.sum() == 200 - (not used)
    assert found.rms_horizontal_m == pytest.approx(off_m / np.sqrt(200) if used else 0, abs=0.03)
    assert found.rms_vertical_m == pytest.approx(off_m / np.sqrt(200) if used else 0, abs=0.03)


@pytest.mark.parametrize(("lean_deg", "agrees"), [(0.0, True), (17.0, True), (20.0, False)])
@pytest.mark.parametrize("side_deg", [0.0, 40.0, 90.0, 200.0])
def test_an_up_agrees_up_to_the_999th_of_a_thousand(lean_deg: float, agrees: bool, side_deg: float) -> None:
    """3.7 sigmas of 5 degrees are 18.6, where GPS itself is certain."""
    places, metres = exact(60, 200.0)
    lean, side = np.radians([lean_deg, side_deg])
    up = Up(np.array([np.sin(lean) * np.cos(side), np.sin(lean) * np.sin(side), np.cos(lean)]), UP_SIGMA_DEG)
    found = align_to_gps(places, metres, up)
    assert found is not None
    assert found.with_cameras == agrees


def test_a_vague_vertical_of_gps_leaves_room_for_the_cameras_in_its_own_direction() -> None:
    """Along a track eastwards GPS knows the pitch about north and nothing of the roll about the track."""
    metres = np.zeros((40, 3))
    metres[:, 0] = np.linspace(-400, 400, 40)
    for direction, agrees in ((np.array([0.0, 0.5, 1.0]), True), (np.array([0.5, 0.0, 1.0]), False)):
        found = align_to_gps(metres / 10, metres, Up(direction / np.linalg.norm(direction), UP_SIGMA_DEG))
        assert found is not None
        assert found.with_cameras == agrees


def test_the_scale_is_never_told_to_be_surer_than_two_in_a_thousand() -> None:
    found = align_to_gps(*exact(60, 1000.0), None)
    assert found is not None
    assert found.relative_sigma == 0.002


def test_usual_errors_of_receivers_stand_in_where_residuals_cannot_tell() -> None:
    """Three exact positions: two residuals of the plane are left over, none of the height.

    The usual 4 m and 10 m count as two residuals each; uncertain noise is wider, by (n + 2) / n in variance.
    """
    found = align_to_gps(*exact(3, 50.0), None)
    assert found is not None
    in_plane, in_height = (2 * 4.0**2 + 0) / 4 * 6 / 4, 2 * 10.0**2 / 2 * 4 / 2
    np.testing.assert_allclose(found.noise_m**2, [in_plane, in_plane, in_height], rtol=1e-6)
