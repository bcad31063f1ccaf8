"""Read known cameras and poses: a nerfstudio transforms.json or a COLMAP model, in one form.

OpenGL ends here: what leaves is OpenCV `cam_from_world` and COLMAP camera models.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pycolmap

from ..arrays import Float
from ..errors import CaptureError
from ..geometry.cameras import Camera
from ..geometry.poses import invert, nearest_rotation

__all__ = ["Intrinsics", "KnownView", "read_calibration"]

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

    def at(self, width: int, height: int) -> Camera:
        """The camera of an image of this size, rescaled when only the resolution differs.

        Raises ValueError when the sides are in another proportion: then the picture is cropped or turned.
        """
        if self.angle_x_rad is not None:
            return Camera.pinhole(width, height, width / 2 / math.tan(self.angle_x_rad / 2))
        if self.width is None or self.height is None:
            return Camera(self.model, width, height, self.params)
        if (
            abs(self.height * width / self.width - height) > 1.0
            and abs(self.width * height / self.height - width) > 1.0
        ):
            raise ValueError(f"is for {self.width} x {self.height} px, the picture has {width} x {height}")
        return Camera(self.model, self.width, self.height, self.params).resized(width, height)


@dataclass(frozen=True)
class KnownView:
    """What a file says about one image: its name there, its intrinsics and its cam_from_world (3, 4), where given.

    form: the kind of file.
    """

    name: str
    intrinsics: Intrinsics | None
    cam_from_world: Float | None
    form: Literal["colmap", "transforms"]


def read_calibration(path: Path) -> tuple[KnownView, ...]:
    """The views of a transforms.json, or of a COLMAP model in `path`, `path/sparse/0`, `path/sparse` or `path/0`.

    Raises CaptureError for a file that is not there, cannot be read, or holds numbers that no camera has.
    """
    if not path.exists():
        raise CaptureError(f"{path}: no such file or folder; give a transforms.json or a folder with a COLMAP model")
    try:
        if path.is_file():
            return _read_transforms(path)
        for folder in (path, path / "sparse" / "0", path / "sparse", path / "0"):
            if any((folder / f"cameras{suffix}").is_file() for suffix in (".bin", ".txt")):
                return _read_colmap(folder)
        if (path / "transforms.json").is_file():
            return _read_transforms(path / "transforms.json")
    except PermissionError:
        raise CaptureError(f"{path}: permission denied; make it readable") from None
    raise CaptureError(f"{path}: holds neither a COLMAP model (cameras.bin or .txt) nor a transforms.json")


def _read_colmap(folder: Path) -> tuple[KnownView, ...]:
    try:
        model = pycolmap.Reconstruction(str(folder))
    except (ValueError, RuntimeError, IndexError, MemoryError) as error:
        why = " ".join(str(error).split())[:160]
        raise CaptureError(f"{folder}: not a readable COLMAP model ({why}); export it again") from error
    views = []
    for image in sorted(model.images.values(), key=lambda image: image.name):
        camera = image.camera
        intrinsics = Intrinsics(
            camera.model.name, tuple(float(p) for p in camera.params), int(camera.width), int(camera.height)
        )
        _check(
            intrinsics,
            focals=[float(camera.focal_length_x), float(camera.focal_length_y)],
            where=f"{folder}: {image.name}",
        )
        pose = None
        if image.has_pose:
            pose = _rigid(np.asarray(image.cam_from_world().matrix(), float), f"{folder}: {image.name}")
        views.append(KnownView(image.name, intrinsics, pose, "colmap"))
    if not views:
        raise CaptureError(f"{folder}: the COLMAP model holds no images; export it again")
    return tuple(views)


def _read_transforms(path: Path) -> tuple[KnownView, ...]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        frames = document["frames"]
        names = [str(frame["file_path"]) for frame in frames]
    except (ValueError, KeyError, TypeError) as error:
        raise CaptureError(
            f"{path}: not a transforms.json ({type(error).__name__}: {error}); export it again"
        ) from error
    if not frames:
        raise CaptureError(f"{path}: it lists no frames; export it again")
    original_from_stored = _undo_applied_transform(document, path)
    views = []
    for name, frame in zip(names, frames, strict=True):
        where = f"{path}: {name}"
        pose = _pose(frame, original_from_stored, where)
        views.append(KnownView(_posix(name), _intrinsics({**document, **frame}, where), pose, "transforms"))
    return tuple(views)


def _posix(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")


def _intrinsics(fields: Mapping[str, Any], where: str) -> Intrinsics | None:
    """COLMAP model of one frame's fields (its own before the file's); None where there is no focal length."""
    try:
        number = {key: float(fields[key]) for key in _NUMBERS if fields.get(key) is not None}
    except (TypeError, ValueError) as error:
        raise CaptureError(f"{where}: intrinsics are not numbers ({error}); correct the file") from error
    width, height = (_size(number, key, where) for key in ("w", "h"))
    focal_x = number.get("fl_x", number.get("fl_y"))
    if focal_x is None:
        angle = number.get("camera_angle_x")
        if angle is None:
            return None
        if not 0 < angle < math.pi:
            raise CaptureError(f"{where}: camera_angle_x is {angle}, not between 0 and pi; correct the file")
        return Intrinsics("SIMPLE_PINHOLE", (), width, height, angle)
    focal_y = number.get("fl_y", focal_x)
    if "cx" not in number or "cy" not in number:
        if width is None or height is None:
            raise CaptureError(f"{where}: focal length without cx, cy or image size (w, h); add them")
        number = {"cx": width / 2, "cy": height / 2, **number}
    model, distortion = _distortion(str(fields.get("camera_model", "OPENCV")), number, where)
    intrinsics = Intrinsics(model, (focal_x, focal_y, number["cx"], number["cy"], *distortion), width, height)
    _check(intrinsics, [focal_x, focal_y], where)
    return intrinsics


_NUMBERS = ("w", "h", "fl_x", "fl_y", "cx", "cy", "k1", "k2", "k3", "k4", "p1", "p2", "camera_angle_x")


def _size(number: Mapping[str, float], key: str, where: str) -> int | None:
    if key not in number:
        return None
    if not (math.isfinite(number[key]) and number[key] >= 1):
        raise CaptureError(f"{where}: image size {key} is {number[key]}; correct the file")
    return round(number[key])


def _distortion(model: str, number: Mapping[str, float], where: str) -> tuple[str, tuple[float, ...]]:
    k1, k2, k3, k4, p1, p2 = (number.get(key, 0.0) for key in ("k1", "k2", "k3", "k4", "p1", "p2"))
    if model == "OPENCV_FISHEYE":
        return model, (k1, k2, k3, k4)
    if model not in ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE"):
        raise CaptureError(f"{where}: camera model {model} is not supported; give PINHOLE, OPENCV or OPENCV_FISHEYE")
    if k4:
        raise CaptureError(f"{where}: k4 of an OPENCV camera is not supported; undistort the pictures first")
    if k3:
        return "FULL_OPENCV", (k1, k2, p1, p2, k3, 0.0, 0.0, 0.0)
    return ("OPENCV", (k1, k2, p1, p2)) if any((k1, k2, p1, p2)) else ("PINHOLE", ())


def _check(intrinsics: Intrinsics, focals: list[float], where: str) -> None:
    if not all(math.isfinite(value) for value in intrinsics.params):
        raise CaptureError(f"{where}: intrinsics hold NaN or infinity; correct the file or leave the option out")
    if min(focals) <= 0:
        raise CaptureError(f"{where}: focal length {min(focals):g} px is not positive; correct the file")


def _pose(frame: Mapping[str, Any], original_from_stored: Float, where: str) -> Float | None:
    """OpenGL camera-to-world, as stored, to OpenCV cam_from_world."""
    if frame.get("transform_matrix") is None:
        return None
    world_from_cam = _matrix(frame["transform_matrix"], where, "transform_matrix") @ _OPENGL_FROM_OPENCV
    return invert(_rigid((original_from_stored @ world_from_cam)[:3], where))


def _undo_applied_transform(document: Mapping[str, Any], path: Path) -> Float:
    """(4, 4) that takes the stored world back to the one before nerfstudio's applied_transform and applied_scale."""
    if document.get("applied_transform") is None:
        return np.eye(4)
    applied = _matrix(document["applied_transform"], str(path), "applied_transform")
    if abs(np.linalg.det(applied)) < 1e-12:
        raise CaptureError(f"{path}: applied_transform cannot be inverted; correct the file")
    return np.asarray(np.linalg.inv(applied), np.float64)


def _matrix(value: Any, where: str, key: str) -> Float:
    """(4, 4) from a 3x4 or 4x4 list of lists."""
    try:
        matrix = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        matrix = np.zeros(0)
    if matrix.shape not in ((3, 4), (4, 4)):
        raise CaptureError(f"{where}: {key} is not a 4 x 4 matrix; correct the file")
    if not np.isfinite(matrix).all():
        raise CaptureError(f"{where}: {key} holds NaN or infinity; correct the file or leave the option out")
    return np.vstack([matrix[:3], [0.0, 0.0, 0.0, 1.0]])


def _rigid(pose: Float, where: str) -> Float:
    """(3, 4) with an exact rotation. Raises CaptureError for mirrored or scaled axes."""
    if not np.isfinite(pose).all():
        raise CaptureError(f"{where}: the pose holds NaN or infinity; correct the file or leave the option out")
    rotation = pose[:, :3]
    if np.linalg.det(rotation) < 0:
        raise CaptureError(f"{where}: the pose mirrors the world; give right-handed camera-to-world matrices")
    nearest = nearest_rotation(rotation)
    if np.abs(rotation - nearest).max() > _ROTATION_TOLERANCE:
        raise CaptureError(f"{where}: the pose is not a rotation and a translation; remove its scale or shear")
    return np.concatenate([nearest, pose[:, 3:]], axis=1)
