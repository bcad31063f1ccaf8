"""The GPS positions of a scene's photographs, and where they put it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from ..arrays import Int
from ..geometry import centres
from ..geometry.geodesy import GpsPosition
from ..geometry.gps_alignment import GpsAlignment
from ..geometry.gps_fit import GpsFit, fit_gps
from ..geometry.gravity import Up
from ..types import Scene
from .config import GeoregisterConfig
from .estimates import ScaleEstimate

__all__ = ["GpsFix", "gps_fix"]

logger = logging.getLogger(__name__)


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

    def orients(self, config: GeoregisterConfig) -> bool:
        """Whether it says which way is up and north; heading is as certain as scale, from the same vectors."""
        sure = self.alignment.relative_sigma <= config.max_relative_sigma
        return sure and self.alignment.tilt_sigma_deg <= config.max_tilt_sigma_deg


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
    if fit is None:
        return None
    _warn_of_false(scene, chosen, fit)
    return GpsFix(fit.alignment, fit.origin, len(chosen), fit.places)


def _warn_of_false(scene: Scene, chosen: Int, fit: GpsFit) -> None:
    """One line for positions far from where all the others put their photographs."""
    found = fit.alignment.enu_from_scene.apply(centres(scene.cam_from_world[chosen]))
    off_m = np.where(fit.used, 0.0, np.linalg.norm((found - fit.metres)[:, :2], axis=1))
    if off_m.any():
        worst = int(off_m.argmax())
        logger.warning(
            "GPS: %d of %d positions do not fit the others and are not used, worst that of %s, %.3g km off",
            int((off_m > 0).sum()), len(off_m), scene.frames[int(chosen[worst])].name, off_m[worst] / 1000,
        )  # fmt: skip
