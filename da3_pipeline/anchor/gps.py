"""The GPS positions of a scene's photographs, and where they put it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..geometry import centres
from ..geometry.gravity import Up
from ..types import GpsPosition, Scene
from .estimates import ScaleEstimate
from .geodesy import centre_of, east_north_up
from .gps_alignment import GpsAlignment, align_to_gps

__all__ = ["GpsFix", "gps_fix"]

Float = NDArray[np.float64]

_MOST_TILT_DEG = 10.0


@dataclass(frozen=True)
class GpsFix:
    """alignment: of the scene to metres around `origin`. places: different positions among `photos` with a pose."""

    alignment: GpsAlignment
    origin: GpsPosition
    photos: int
    places: int

    @property
    def estimate(self) -> ScaleEstimate:
        source = f"GPS of {self.photos} photos"
        return ScaleEstimate("gps", source, self.alignment.enu_from_scene.scale, self.alignment.relative_sigma)

    def orients(self, max_relative_sigma: float) -> bool:
        """Whether it says which way is up and north; heading is as certain as scale, from the same vectors."""
        sure = self.alignment.relative_sigma <= max_relative_sigma
        return sure and self.alignment.tilt_sigma_deg <= _MOST_TILT_DEG


def gps_fix(scene: Scene, up: Up | None) -> GpsFix | None:
    """Fit the scene to its GPS; None where the photographs carry fewer than two different positions.

    Frames with refined poses are used, all posed ones where fewer than three of those have a position. Photographs
    with one and the same position are one observation, of their middle: receivers repeat a position until they have
    a new one.
    """
    located = np.array([frame.gps is not None for frame in scene.frames], bool)
    located &= np.isfinite(scene.cam_from_world).all(axis=(1, 2))
    refined = located & np.array([source == "refined" for source in scene.pose_source], bool)
    chosen = np.flatnonzero(refined if refined.sum() >= 3 else located)
    if len(chosen) < 2:
        return None
    positions = [gps for index in chosen if (gps := scene.frames[index].gps) is not None]
    number_of = {position: number for number, position in enumerate(dict.fromkeys(positions))}
    different, group = list(number_of), np.array([number_of[position] for position in positions])
    own = centres(scene.cam_from_world[chosen])
    places = np.array([own[group == number].mean(axis=0) for number in range(len(different))])
    origin = centre_of(different)
    alignment = align_to_gps(places, east_north_up(different, origin), up)
    return None if alignment is None else GpsFix(alignment, origin, len(chosen), len(different))
