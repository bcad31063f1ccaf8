"""GPS positions as metres in a local frame: x east, y north, z up (WGS84)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pycolmap

from ..arrays import Float

__all__ = ["GpsPosition", "centre_of", "east_north_up"]


@dataclass(frozen=True)
class GpsPosition:
    """WGS84; altitude in metres above the ellipsoid or sea level, whichever the device wrote.

    horizontal_sigma_m: as the device states it, None where it does not.
    """

    latitude_deg: float
    longitude_deg: float
    altitude_m: float | None = None
    horizontal_sigma_m: float | None = None


def centre_of(positions: Sequence[GpsPosition]) -> GpsPosition:
    """The component-wise median of one or more positions, across the date line too; altitude 0 where none has one."""
    latitude = float(np.median([position.latitude_deg for position in positions]))
    first = positions[0].longitude_deg
    turned = [(position.longitude_deg - first + 180) % 360 - 180 for position in positions]
    longitude = (first + float(np.median(turned)) + 180) % 360 - 180
    altitudes = [position.altitude_m for position in positions if position.altitude_m is not None]
    return GpsPosition(latitude, longitude, float(np.median(altitudes)) if altitudes else 0.0)


def east_north_up(positions: Sequence[GpsPosition], origin: GpsPosition) -> Float:
    """(N, 3) metres from `origin`; z is NaN where a position has no altitude."""
    unknown = np.array([position.altitude_m is None for position in positions], bool)
    origin_m = origin.altitude_m or 0.0
    geodetic = np.array(
        [
            (
                position.latitude_deg,
                position.longitude_deg,
                origin_m if position.altitude_m is None else position.altitude_m,
            )
            for position in positions
        ]
    ).reshape(len(positions), 3)
    transform = pycolmap.GPSTransform(pycolmap.GPSTransformEllipsoid.WGS84)
    metres = np.asarray(transform.ellipsoid_to_enu(geodetic, origin.latitude_deg, origin.longitude_deg, origin_m))
    metres[unknown, 2] = np.nan
    return metres
