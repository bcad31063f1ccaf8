"""The GPS positions of a scene's photographs, and where they put it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..geometry.geodesy import GpsPosition
from ..geometry.gps_alignment import GpsAlignment
from ..geometry.gps_fit import fit_gps
from ..geometry.gravity import Up
from ..types import Scene
from .estimates import ScaleEstimate

__all__ = ["GpsFix", "gps_fix"]

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

    Frames with refined poses are used, all posed ones where fewer than three of those have a position.
    """
    located = np.array([frame.gps is not None for frame in scene.frames], bool)
    located &= np.isfinite(scene.cam_from_world).all(axis=(1, 2))
    refined = located & np.array([source == "refined" for source in scene.pose_source], bool)
    chosen = np.flatnonzero(refined if refined.sum() >= 3 else located)
    positions = [gps for index in chosen if (gps := scene.frames[index].gps) is not None]
    fit = fit_gps(scene.cam_from_world[chosen], positions, up)
    return None if fit is None else GpsFix(fit.alignment, fit.origin, len(chosen), fit.places)
