"""Cameras fitted to the GPS positions of their photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import Bool, Float, Int
from .geodesy import GpsPosition, centre_of, east_north_up
from .gps_alignment import GpsAlignment, align_to_gps
from .gravity import Up
from .poses import centres

__all__ = ["GpsFit", "fit_gps"]


@dataclass(frozen=True)
class GpsFit:
    """alignment: of the world to metres around `origin`. places: different positions among the K photographs.

    metres (K, 3): the positions east, north and up of `origin`, z NaN without altitude. stated_m (K,): one sigma in the
    plane as the devices state it, NaN where they do not. used (K,): those that are not
    called false. repeats (K,): photographs that have the very same position.
    """

    alignment: GpsAlignment
    origin: GpsPosition
    places: int
    metres: Float
    stated_m: Float
    used: Bool
    repeats: Int


def fit_gps(cam_from_world: Float, positions: Sequence[GpsPosition], up: Up | None) -> GpsFit | None:
    """Fit (K, 3, 4) poses to their positions, in capture order; None for fewer than two different positions or places.

    Photographs with one and the same position are one observation, of their middle: receivers repeat a position until
    they have a new one.
    """
    if len(positions) < 2:
        return None
    number_of = {position: number for number, position in enumerate(dict.fromkeys(positions))}
    different, group = list(number_of), np.array([number_of[position] for position in positions])
    own = centres(cam_from_world)
    repeats = np.bincount(group)
    places = np.stack([np.bincount(group, along) for along in own.T], axis=1) / repeats[:, None]
    origin = centre_of(different)
    metres = east_north_up(different, origin)
    alignment = align_to_gps(places, metres, up)
    if alignment is None:
        return None
    stated = np.array([position.horizontal_sigma_m or np.nan for position in positions], float)
    return GpsFit(alignment, origin, len(different), metres[group], stated, alignment.used[group], repeats[group])
