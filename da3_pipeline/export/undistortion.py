"""Images as a camera without distortion would have taken them: its pinhole camera, and the way between the two."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np

from ..arrays import Bool, Bytes, Float, Float32
from ..errors import ExportError
from ..geometry import Camera
from ..types import Scene
from .config import UndistortionConfig

__all__ = ["Undistortion", "forget_maps", "undistortions"]

Maps = tuple[Float32, Float32]

_SAME_PX = 1e-4
_ROUND_TRIP_PX = 0.1
_PROBES = 64  # along each side
_SHRINK = 0.98
_BAND = 256  # rows of a map computed at once

_one_map = threading.Lock()


@dataclass(frozen=True)
class Undistortion:
    """From the images of a camera to those of a pinhole camera of the same centre, axes and focal lengths.

    The pinhole camera's image is the largest upright rectangle, of bounded width and height in degrees, of which every
    pixel shows a pixel of the original: it has no blank borders. That of a pinhole camera is its own. Depth along the
    axis is the same in both.
    """

    distorted: Camera
    pinhole: Camera

    @classmethod
    def of(cls, camera: Camera, camera_id: str, config: UndistortionConfig) -> Undistortion:
        """Raises ExportError for a model that has no flat picture, or a distortion that folds all of it."""
        return cls(camera, _pinhole_inside(camera, camera_id, config))

    @cached_property
    def is_identity(self) -> bool:
        """Whether the images are those of a pinhole camera already."""
        size = (self.distorted.width, self.distorted.height)
        if size != (self.pinhole.width, self.pinhole.height):
            return False
        pixels = _grid(*size, _PROBES)
        return bool((np.abs(self.original(pixels) - pixels) < _SAME_PX).all())

    def undistorted(self, pixels: Float) -> Float:
        """(n, 2) pixels of the original to those of the pinhole image; NaN where the pixel has no ray."""
        rays = self.distorted.unproject(pixels)
        return rays @ self.pinhole.K[:2, :2].T + self.pinhole.K[:2, 2]

    def original(self, pixels: Float) -> Float:
        """(n, 2) pixels of the pinhole image to those of the original."""
        rays = (pixels - self.pinhole.K[:2, 2]) / np.diag(self.pinhole.K)[:2]
        return self.distorted.project(np.column_stack([rays, np.ones(len(rays))]))

    def shows(self, pixels: Float) -> Bool:
        """(n,) whether (n, 2) pixels of the original are in the pinhole image."""
        moved = self.undistorted(pixels)
        return np.asarray(((moved >= 0) & (moved <= (self.pinhole.width, self.pinhole.height))).all(axis=1))

    def image(self, rgb: Bytes) -> Bytes:
        """(H, W, 3) of the original to that of the pinhole image, bicubic."""
        across, down = _maps(self)
        return np.asarray(cv2.remap(rgb, across, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE))

    def mask(self, used: Bool) -> Bool:
        """(H, W) of the original to that of the pinhole image, by the nearest pixel."""
        across, down = _maps(self)
        return np.asarray(cv2.remap(used.astype(np.uint8), across, down, cv2.INTER_NEAREST) > 0)


def undistortions(scene: Scene, frames: Sequence[int], config: UndistortionConfig) -> Mapping[str, Undistortion]:
    """By camera_id, for the cameras of those frames."""
    names = dict.fromkeys(scene.frames[frame].camera_id for frame in frames)
    return {name: Undistortion.of(scene.cameras[name], name, config) for name in names}


def forget_maps() -> None:
    """Let go of what the last image was undistorted by: eight bytes a pixel."""
    _computed_maps.cache_clear()


def _pinhole_inside(camera: Camera, camera_id: str, config: UndistortionConfig) -> Camera:
    """The pinhole camera; its image shrinks until nothing in it is blank, or seen twice by a lens model that folds."""
    try:
        K = camera.K
    except ValueError as error:
        reason = f"{camera.model} has no flat picture; export flat views of it first"
        raise ExportError(f"camera {camera_id}: {reason}") from error
    plain = Camera.from_matrix(K, camera.width, camera.height)
    if Undistortion(camera, plain).is_identity:
        return plain
    corners = _inscribed(camera, math.tan(math.radians(config.widest_deg / 2)))
    share = 1.0
    while share > config.smallest_share:
        pinhole = _with_corners(K, share * corners)
        if min(pinhole.width, pinhole.height) > 0 and _is_covered(pinhole, camera):
            return pinhole
        share *= _SHRINK
    raise ExportError(
        f"camera {camera_id}: its distortion ({camera.model}) cannot be undone; give its calibration as --intrinsics"
    )


def _inscribed(camera: Camera, widest: float) -> Float:
    """(2, 2) upper left and lower right corner, on the plane z = 1, of what the border of the image encloses.

    Parts of the border beyond `widest` there, behind the camera, or that no ray reaches do not bound it; `widest` does.
    """
    along = np.linspace(0, 1, _PROBES)
    ends = np.repeat([[0.0], [1.0]], _PROBES, axis=0).ravel()
    size = np.array([camera.width, camera.height], np.float64)
    corners = np.array([[-widest, -widest], [widest, widest]])
    for axis in (0, 1):
        border = np.zeros((2 * _PROBES, 2))
        border[:, axis], border[:, 1 - axis] = ends, np.tile(along, 2)
        pixels = border * size
        rays = camera.unproject(pixels)
        back = camera.project(np.column_stack([rays, np.ones(len(rays))]))
        real = (np.linalg.norm(back - pixels, axis=1) < _ROUND_TRIP_PX) & (np.abs(rays[:, 1 - axis]) <= widest)
        first, last = rays[real & (ends == 0), axis], rays[real & (ends == 1), axis]
        corners[0, axis] = np.max(first, initial=-widest)
        corners[1, axis] = np.min(last, initial=widest)
    return corners


def _with_corners(K: Float, corners: Float) -> Camera:
    """The pinhole camera of whole pixels whose image lies between two corners on the plane z = 1."""
    focal = np.diag(K)[:2]
    extent = (corners[1] - corners[0]) * focal
    size = np.floor(extent + 1e-6)
    centre = -corners[0] * focal - (extent - size) / 2
    return Camera("PINHOLE", int(size[0]), int(size[1]), (*focal.tolist(), *centre.tolist()))


def _is_covered(pinhole: Camera, camera: Camera) -> bool:
    """Whether every pixel of the pinhole image shows a pixel of the original that shows the same direction."""
    rays = pinhole.unproject(_grid(pinhole.width, pinhole.height, _PROBES))
    pixels = camera.project(np.column_stack([rays, np.ones(len(rays))]))
    inside = (pixels >= 0) & (pixels <= (camera.width, camera.height))
    if not inside.all():
        return False
    return bool((np.abs(camera.unproject(pixels) - rays) * pinhole.focal_px < _ROUND_TRIP_PX).all())


def _grid(width: int, height: int, count: int) -> Float:
    """(count², 2) pixel centres spread over an image, those of its borders among them."""
    columns, rows = np.linspace(0.5, width - 0.5, count), np.linspace(0.5, height - 0.5, count)
    return np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)


def _maps(lens: Undistortion) -> Maps:
    """What cv2.remap wants; those of one camera are kept, for images come camera by camera."""
    with _one_map:
        return _computed_maps(lens.distorted, lens.pinhole)


@lru_cache(maxsize=1)
def _computed_maps(distorted: Camera, pinhole: Camera) -> Maps:
    lens = Undistortion(distorted, pinhole)
    across, down = (np.empty((pinhole.height, pinhole.width), np.float32) for _ in range(2))
    columns = np.arange(pinhole.width) + 0.5
    for top in range(0, pinhole.height, _BAND):
        rows = np.arange(top, min(top + _BAND, pinhole.height)) + 0.5
        pixels = lens.original(np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2))
        # Indices are half a pixel from coordinates.
        across[top : top + _BAND] = (pixels[:, 0] - 0.5).reshape(len(rows), -1)
        down[top : top + _BAND] = (pixels[:, 1] - 0.5).reshape(len(rows), -1)
    return across, down
