"""Panoramas whose columns are longitudes and whose rows are latitudes, and the pinhole views that they hold.

The axes are OpenCV's: the middle of a whole panorama looks along +z, a quarter of its width to the right of that +x,
and its lowest row +y. That is COLMAP's EQUIRECTANGULAR model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Bool, Float
from .cameras import Camera

__all__ = ["Equirectangular", "view_from_panorama"]


@dataclass(frozen=True)
class Equirectangular:
    """A picture of width x height px that shows a part of a sphere, which as a whole would have full_width x
    full_height px at its scale; its corner is at (left, top) there. Corner origin, pixel centres at +0.5."""

    width: int
    height: int
    full_width: float
    full_height: float
    left: float = 0.0
    top: float = 0.0

    @classmethod
    def whole(cls, width: int, height: int) -> Equirectangular:
        """All of the sphere."""
        return cls(width, height, float(width), float(height))

    @property
    def goes_round(self) -> bool:
        """Whether its left edge continues at its right one."""
        return self.width >= self.full_width - 0.5

    @property
    def is_whole(self) -> bool:
        """Whether every direction is in it."""
        return self.goes_round and self.height >= self.full_height - 0.5

    @property
    def focal_px(self) -> float:
        """Pixels a radian along the horizon: the focal length of a pinhole as fine as the panorama."""
        return self.full_width / (2 * np.pi)

    def rays(self, pixels: Float) -> Float:
        """(..., 2) pixels to (..., 3) unit vectors."""
        longitude = ((pixels[..., 0] + self.left) / self.full_width - 0.5) * 2 * np.pi
        latitude = (0.5 - (pixels[..., 1] + self.top) / self.full_height) * np.pi
        level = np.cos(latitude)
        return np.stack([level * np.sin(longitude), -np.sin(latitude), level * np.cos(longitude)], axis=-1)

    def project(self, rays: Float) -> Float:
        """(..., 3) directions of any length to (..., 2) pixels; those that are not in the picture lie outside it."""
        x, y, z = np.moveaxis(rays, -1, 0)
        longitude, latitude = np.arctan2(x, z), np.arctan2(-y, np.hypot(x, z))
        column = (longitude / (2 * np.pi) + 0.5) * self.full_width - self.left
        if not self.goes_round:  # of the two ways round, the one that ends near the picture
            middle = self.width / 2
            column = middle + (column - middle + self.full_width / 2) % self.full_width - self.full_width / 2
        row = (0.5 - latitude / np.pi) * self.full_height - self.top
        return np.stack([column, row], axis=-1)

    def shows(self, pixels: Float) -> Bool:
        """(...,) whether pixels (..., 2) of `project` are in the picture."""
        column, row = pixels[..., 0], pixels[..., 1]
        across = np.full(column.shape, True) if self.goes_round else (column >= 0) & (column <= self.width)
        return np.asarray(across & (row >= 0) & (row <= self.height))

    def view(self, fov_deg: float) -> Camera:
        """A square pinhole of this field of view, in its middle as fine as the panorama along its horizon."""
        half = np.tan(np.radians(fov_deg) / 2)
        side = 2 * max(1, round(self.focal_px * half))
        return Camera.pinhole(side, side, side / 2 / half)


def view_from_panorama(yaw_deg: float, pitch_deg: float) -> Float:
    """(3, 3) rotation into a camera that looks `yaw_deg` to the right of the panorama's middle and `pitch_deg` above
    its horizon, and is level: its x axis stays in the horizon."""
    yaw, pitch = np.radians(yaw_deg), np.radians(pitch_deg)
    turn = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    nod = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    return np.asarray(nod @ turn)
