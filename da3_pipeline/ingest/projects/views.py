"""What a project of another program says of its pictures, in one form: OpenCV axes, COLMAP's cameras and pixels.

OpenGL, quaternions, angles and units of other programs end in the readers that build these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.spatial.transform import Rotation

from ...arrays import Float
from ...errors import CaptureError
from ...geometry import invert, nearest_rotation
from ...geometry.cameras import Camera
from ...types import SensorDepth

__all__ = ["Intrinsics", "KnownView", "Project", "brown", "checked", "from_opengl", "matrix", "placed", "rigid"]

_OPENGL_FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
_ROTATION_TOLERANCE = 1e-2


@dataclass(frozen=True)
class Intrinsics:
    """A COLMAP camera model at the size it was calibrated at; None for a file that does not tell the size.

    `angle_x_rad` stands for a focal length that follows from the width of the image (Blender's form).
    """

    model: str
    params: tuple[float, ...]
    width: int | None
    height: int | None
    angle_x_rad: float | None = None

    def fits(self, width: int, height: int) -> bool:
        """Whether it can be the camera of an image of this size: the sides are in the same proportion."""
        if self.angle_x_rad is not None or self.width is None or self.height is None:
            return True
        return (
            abs(self.height * width / self.width - height) <= 1.0
            or abs(self.width * height / self.height - width) <= 1.0
        )

    def at(self, width: int, height: int) -> Camera:
        """The camera of an image of this size, rescaled when only the resolution differs.

        Raises ValueError when the sides are in another proportion: then the picture is cropped or turned.
        """
        if self.angle_x_rad is not None:
            return Camera.pinhole(width, height, width / 2 / math.tan(self.angle_x_rad / 2))
        if self.width is None or self.height is None:
            return Camera(self.model, width, height, self.params)
        if not self.fits(width, height):
            raise ValueError(f"is for {self.width} x {self.height} px, the picture has {width} x {height}")
        return Camera(self.model, self.width, self.height, self.params).resized(width, height)


@dataclass(frozen=True)
class KnownView:
    """What a file says about one image: its name there, its intrinsics and its cam_from_world (3, 4), where given.

    form: whether the file tells cam_from_world with OpenCV's axes ('colmap') or world_from_cam with OpenGL's. path:
    the image, where it lies where the file says. calibrated: False for intrinsics that are a start only, as a phone
    tells them. stored: they, and the pose, are those of the stored picture, before EXIF's orientation. frame: its
    number in the project's clip, from 0.
    """

    name: str
    intrinsics: Intrinsics | None
    cam_from_world: Float | None
    form: Literal["colmap", "transforms"] = "colmap"
    path: Path | None = None
    depth: SensorDepth | None = None
    mask: Path | None = None
    calibrated: bool = True
    stored: bool = False
    frame: int | None = None


@dataclass(frozen=True)
class Project:
    """The views of one project. program: whose it is. metric: its poses are in metres.

    up: unit vector against gravity in its world, where the program measures it. beside: files and folders that belong
    to it and hold no photographs of the capture. clip: the video whose frames the views are, where they are of one.
    """

    program: str
    path: Path
    views: tuple[KnownView, ...]
    metric: bool = False
    up: tuple[float, float, float] | None = None
    beside: tuple[Path, ...] = ()
    clip: Path | None = None


def from_opengl(world_from_cam: Float) -> Float:
    """(4, 4) OpenGL camera-to-world to (3, 4) OpenCV cam_from_world, where it is rigid."""
    return invert((world_from_cam @ _OPENGL_FROM_OPENCV)[:3])


def matrix(value: Any, where: str, key: str) -> Float:
    """(4, 4) from a 3 x 4 or 4 x 4 list of lists, or a flat one row by row. Raises CaptureError for anything else."""
    try:
        found = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.zeros(0)
    if found.shape in ((12,), (16,)):
        found = found.reshape(-1, 4)
    if found.shape not in ((3, 4), (4, 4)):
        raise CaptureError(f"{where}: {key} is not a 4 x 4 matrix; correct the file")
    if not np.isfinite(found).all():
        raise CaptureError(f"{where}: {key} holds NaN or infinity; correct the file or leave the option out")
    return np.vstack([found[:3], [0.0, 0.0, 0.0, 1.0]])


def placed(position: Float, turn_xyzw: Float, where: str) -> Float:
    """(4, 4) world_from_cam of a place and a quaternion. Raises CaptureError for numbers that are none."""
    if not (np.isfinite(position).all() and np.isfinite(turn_xyzw).all() and np.linalg.norm(turn_xyzw) > 0):
        raise CaptureError(f"{where}: its pose is no place and quaternion; export the recording again")
    found = np.eye(4)
    found[:3, :3], found[:3, 3] = Rotation.from_quat(turn_xyzw).as_matrix(), position
    return found


def rigid(pose: Float, where: str) -> Float:
    """(3, 4) with an exact rotation. Raises CaptureError for mirrored or scaled axes."""
    if not np.isfinite(pose).all():
        raise CaptureError(f"{where}: the pose holds NaN or infinity; correct the file or leave the option out")
    rotation = pose[:3, :3]
    if np.linalg.det(rotation) < 0:
        raise CaptureError(f"{where}: the pose mirrors the world; give right-handed camera-to-world matrices")
    nearest = nearest_rotation(rotation)
    if np.abs(rotation - nearest).max() > _ROTATION_TOLERANCE:
        raise CaptureError(f"{where}: the pose is not a rotation and a translation; remove its scale or shear")
    return np.concatenate([nearest, pose[:3, 3:]], axis=1)


def checked(intrinsics: Intrinsics, focals: Sequence[float], where: str) -> Intrinsics:
    """The same. Raises CaptureError for NaN, infinity and focal lengths that are not positive."""
    if not all(math.isfinite(value) for value in intrinsics.params):
        raise CaptureError(f"{where}: intrinsics hold NaN or infinity; correct the file or leave the option out")
    if min(focals) <= 0:
        raise CaptureError(f"{where}: focal length {min(focals):g} px is not positive; correct the file")
    return intrinsics


def brown(
    focal_px: tuple[float, float],
    centre_px: tuple[float, float],
    size: tuple[int, int],
    radial: Sequence[float],
    tangential: tuple[float, float] = (0.0, 0.0),
) -> Intrinsics:
    """The smallest of COLMAP's models with radial k1, k2, k3 and OpenCV's tangential p1, p2; ends of zeros may lack."""
    k1, k2, k3 = (*radial, 0.0, 0.0, 0.0)[:3]
    base = (*focal_px, *centre_px)
    if k3:
        return Intrinsics("FULL_OPENCV", (*base, k1, k2, *tangential, k3, 0.0, 0.0, 0.0), *size)
    if any((k1, k2, *tangential)):
        return Intrinsics("OPENCV", (*base, k1, k2, *tangential), *size)
    return Intrinsics("PINHOLE", base, *size)
