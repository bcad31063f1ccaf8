"""Pictures that show all around, and the pinhole views that they hold: panoramas whose columns are longitudes and whose
rows are latitudes, and what two fisheye lenses saw, side by side.

The axes are OpenCV's: the middle of a whole panorama looks along +z, a quarter of its width to the right of that +x,
and its lowest row +y. That is COLMAP's EQUIRECTANGULAR model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Bool, Float
from .cameras import Camera

__all__ = ["Equirectangular", "FisheyeLens", "FisheyePair", "Panorama", "view_from_panorama"]


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

    def sees(self, rays: Float) -> Bool:
        """(...,) whether directions (..., 3) are in the picture."""
        return self.shows(self.project(rays))

    def view(self, fov_deg: float) -> Camera:
        """A square pinhole of this field of view, in its middle as fine as the panorama along its horizon."""
        return _square(self.focal_px, fov_deg)


@dataclass(frozen=True)
class FisheyeLens:
    """One of two lenses in a picture of width x height px, OPENCV_FISHEYE with params fx, fy, cx, cy, k1 .. k4 there.

    rotation, centre: where it stands in the rig, lens_from_rig (row by row) and its centre there. half_deg: how far
    from its axis it shows anything. The axes are OpenCV's; those of the rig are the panorama's: x right, y down.
    """

    width: int
    height: int
    params: tuple[float, ...]
    half_deg: float
    rotation: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    centre: tuple[float, ...] = (0.0, 0.0, 0.0)

    goes_round = False

    @property
    def lens_from_rig(self) -> Float:
        """(3, 3) rotation."""
        return np.array(self.rotation).reshape(3, 3)

    @property
    def focal_px(self) -> float:
        """Pixels a radian in its middle."""
        return float(np.sqrt(self.params[0] * self.params[1]))

    def project(self, rays: Float) -> Float:
        """(..., 3) directions from the lens in the rig's axes to (..., 2) pixels, however far from its axis."""
        x, y, z = np.moveaxis(rays @ self.lens_from_rig.T, -1, 0)
        across = np.hypot(x, y)
        angle = np.arctan2(across, z)
        square = angle**2
        bent = angle * (1 + square * np.polyval(self.params[:3:-1], square))
        share = bent / np.where(across > 0, across, 1.0)
        fx, fy, cx, cy = self.params[:4]
        return np.stack([fx * share * x + cx, fy * share * y + cy], axis=-1)

    def sees(self, rays: Float) -> Bool:
        """(...,) whether directions (..., 3) in the rig's axes are in its picture."""
        ahead = (rays @ self.lens_from_rig.T)[..., 2] / np.linalg.norm(rays, axis=-1)
        pixels = self.project(rays)
        inside = (pixels >= 0).all(-1) & (pixels <= [self.width, self.height]).all(-1)
        return np.asarray(inside & (ahead >= np.cos(np.radians(self.half_deg))))

    def view(self, fov_deg: float) -> Camera:
        """A square pinhole of this field of view, in its middle as fine as the lens in its own."""
        return _square(self.focal_px, fov_deg)


@dataclass(frozen=True)
class FisheyePair:
    """A picture of width x height px that holds what two fisheye lenses saw, which together look everywhere."""

    width: int
    height: int
    lenses: tuple[FisheyeLens, ...]

    goes_round = is_whole = False

    def project(self, rays: Float) -> Float:
        """(..., 3) directions in the rig's axes to (..., 2) pixels, in the lens whose axis is nearer."""
        ahead = [(rays @ lens.lens_from_rig.T)[..., 2] for lens in self.lenses]
        nearer = np.argmax(ahead, axis=0)[..., None]
        return np.where(nearer == 0, self.lenses[0].project(rays), self.lenses[1].project(rays))


Panorama = Equirectangular | FisheyePair
"""What a picture that shows all around may be."""


def _square(focal_px: float, fov_deg: float) -> Camera:
    half = np.tan(np.radians(fov_deg) / 2)
    side = 2 * max(1, round(focal_px * half))
    return Camera.pinhole(side, side, side / 2 / half)


def view_from_panorama(yaw_deg: float, pitch_deg: float) -> Float:
    """(3, 3) rotation into a camera that looks `yaw_deg` to the right of the panorama's middle and `pitch_deg` above
    its horizon, and is level: its x axis stays in the horizon."""
    yaw, pitch = np.radians(yaw_deg), np.radians(pitch_deg)
    turn = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    nod = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    return np.asarray(nod @ turn)
