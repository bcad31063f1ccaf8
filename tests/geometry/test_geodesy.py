"""East, north, up against known figures of WGS84."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da3_pipeline.geometry.geodesy import centre_of, east_north_up
from da3_pipeline.types import GpsPosition

EQUATOR_M_PER_DEG = np.pi / 180 * 6378137.0


def test_a_thousandth_of_a_degree_at_the_equator() -> None:
    """East: the radius of the ellipsoid. North: its meridional radius there, a (1 - e^2)."""
    origin = GpsPosition(0.0, 10.0, 0.0)
    metres = east_north_up([GpsPosition(0.0, 10.001, 0.0), GpsPosition(0.001, 10.0, 0.0)], origin)
    np.testing.assert_allclose(metres[0, :2], [EQUATOR_M_PER_DEG / 1000, 0], atol=1e-6)
    np.testing.assert_allclose(metres[1, :2], [0, (1 - 6.69437999014e-3) * EQUATOR_M_PER_DEG / 1000], atol=1e-6)


@pytest.mark.parametrize("origin", [(47.4, 8.5), (-33.9, 151.2), (40.7, -74.0), (-22.9, -43.2), (64.1, -21.9)])
def test_continents(origin: tuple[float, float]) -> None:
    """North and east are where they should be in every quadrant, with the local length of a degree (Bowring)."""
    latitude, longitude = origin
    here = GpsPosition(latitude, longitude, 500.0)
    east, north, up = east_north_up(
        [
            GpsPosition(latitude, longitude + 1e-3, 500.0),
            GpsPosition(latitude + 1e-3, longitude, 500.0),
            GpsPosition(latitude, longitude, 510.0),
        ],
        here,
    )
    sine = np.sin(np.radians(latitude))
    curvature = 1 - 6.69437999014e-3 * sine**2
    prime, meridian = 6378137 / np.sqrt(curvature), 6378137 * (1 - 6.69437999014e-3) / curvature**1.5
    step = np.radians(1e-3)
    np.testing.assert_allclose(east, [(prime + 500) * np.cos(np.radians(latitude)) * step, 0, 0], atol=2e-3)
    np.testing.assert_allclose(north, [0, (meridian + 500) * step, 0], atol=2e-3)
    np.testing.assert_allclose(up, [0, 0, 10], atol=1e-6)


def test_missing_altitudes_are_not_heights() -> None:
    metres = east_north_up([GpsPosition(46.0, 7.0), GpsPosition(46.0, 7.0, 105.0)], GpsPosition(46.0, 7.0, 100.0))
    np.testing.assert_allclose(metres, [[0, 0, np.nan], [0, 0, 5]], atol=1e-9)


def test_the_centre_is_found_across_the_date_line() -> None:
    centre = centre_of(
        [GpsPosition(-17.0, 179.9999, 3.0), GpsPosition(-17.0, -179.9999), GpsPosition(-17.0, 180.0, 5.0)]
    )
    assert abs(centre.longitude_deg) == pytest.approx(180, abs=1e-9)
    assert centre.altitude_m == 4.0
    assert centre_of([GpsPosition(1.0, 2.0)]) == GpsPosition(1.0, 2.0, 0.0)


@given(st.floats(-80, 80), st.floats(-180, 180), st.floats(-500, 500), st.floats(-500, 500), st.floats(-100, 3000))
def test_distances_are_kept(latitude: float, longitude: float, east: float, north: float, altitude: float) -> None:
    """The frame is rigid: distances between places are the same from either as origin."""
    a = GpsPosition(latitude, longitude, altitude)
    b = GpsPosition(latitude + north * 1e-5, (longitude + east * 1e-5 + 180) % 360 - 180, altitude + 10)
    there, back = np.linalg.norm(east_north_up([b], a)), np.linalg.norm(east_north_up([a], b))
    assert there == pytest.approx(back, abs=1e-6)
