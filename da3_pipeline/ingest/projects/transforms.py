"""transforms.json as nerfstudio, instant-ngp, NeRFCapture and Blender's NeRF data write it.

Every field that changes what a number means is read, or refused by name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from ...arrays import Float
from ...errors import CaptureError
from ...guard.bounded import read_json
from ...types import SensorDepth
from .views import Intrinsics, KnownView, Project, brown, checked, from_opengl, matrix, rigid

__all__ = ["read", "read_transforms", "recognises"]

_SPLIT = ("transforms_train.json", "transforms_val.json", "transforms_test.json")
_PICTURES = ("", ".png", ".jpg", ".jpeg", ".JPG", ".PNG", ".webp")
_NUMBERS = (
    "w", "h", "fl_x", "fl_y", "cx", "cy", "k1", "k2", "k3", "k4", "p1", "p2",
    "camera_angle_x", "camera_angle_y", "x_fov", "y_fov",
)  # fmt: skip
_REFUSED = {
    "ftheta_p0": "an f-theta lens",
    "latlong": "an equirectangular camera",
    "equirectangular": "an equirectangular camera",
    "orthographic": "an orthographic camera",
    "from_mitsuba": "Mitsuba's axes",
}
"""Fields of instant-ngp that say what this program has no camera for."""
_FLAT = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE", "SIMPLE_RADIAL", "RADIAL")
_MILLI = 1e-3  # nerfstudio's default for stored depth


def recognises(folder: Path) -> bool:
    """A folder with a transforms.json, or with Blender's transforms_train.json."""
    return (folder / "transforms.json").is_file() or (folder / _SPLIT[0]).is_file()


def read(folder: Path) -> Project:
    """The transforms.json of a folder; where there is none, the parts of Blender's data set together."""
    single = folder / "transforms.json"
    files = [single] if single.is_file() else [folder / name for name in _SPLIT if (folder / name).is_file()]
    views = [view for file in files for view in read_transforms(file)]
    beside = {view.depth.path for view in views if view.depth} | {view.mask for view in views if view.mask}
    beside |= _blenders_layers(folder, files)
    return Project(_program(files[0]), files[0], tuple(views), beside=tuple(sorted(beside)))


def read_transforms(path: Path) -> tuple[KnownView, ...]:
    """The views of one file. Raises CaptureError for one that cannot be read or says what no camera of ours is."""
    try:
        document = read_json(path)
        frames = document["frames"]
        names = [str(frame["file_path"]) for frame in frames]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CaptureError(
            f"{path}: not a transforms.json ({type(error).__name__}: {error}); export it again"
        ) from error
    if not frames:
        raise CaptureError(f"{path}: it lists no frames; export it again")
    applied = _applied(document, path)
    return tuple(
        _view(name, {**document, **frame}, frame, applied, path) for name, frame in zip(names, frames, strict=True)
    )


@dataclass(frozen=True)
class _Applied:
    """How nerfstudio's stored world came about: applied_transform, then places, not axes, times applied_scale."""

    original_from_stored: Float
    scale: float


def _view(name: str, fields: Mapping[str, Any], frame: Mapping[str, Any], applied: _Applied, path: Path) -> KnownView:
    where = f"{path}: {name}"
    return KnownView(
        _posix(name),
        _intrinsics(fields, where),
        _pose(frame, applied, where),
        "transforms",
        path=_found(path.parent, name, _PICTURES),
        depth=_depth(frame, fields, path, where),
        mask=_named(frame, "mask_path", path, where),
    )


def _posix(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")


def _found(folder: Path, name: str, suffixes: Sequence[str] = ("",)) -> Path | None:
    paths = (folder / (_posix(name) + suffix) for suffix in suffixes)
    return next((path for path in paths if _is_file(path)), None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _named(frame: Mapping[str, Any], key: str, path: Path, where: str) -> Path | None:
    if frame.get(key) is None:
        return None
    found = _found(path.parent, str(frame[key]))
    if found is None:
        raise CaptureError(f"{where}: {key} {frame[key]} is not there; add the file or take the field out")
    return found


def _depth(frame: Mapping[str, Any], fields: Mapping[str, Any], path: Path, where: str) -> SensorDepth | None:
    """nerfstudio's in thousandths of the unit of the poses as they were; instant-ngp's in `integer_depth_scale`."""
    if frame.get("depth_file_path") is not None:
        depth = _named(frame, "depth_file_path", path, where)
        scale = fields.get("depth_unit_scale_factor", _MILLI)
    else:
        depth, scale = _named(frame, "depth_path", path, where), fields.get("integer_depth_scale")
    if depth is None:
        return None
    if not isinstance(scale, int | float) or not (math.isfinite(scale) and scale > 0):
        raise CaptureError(f"{where}: depth without a positive integer_depth_scale; add it, or take depth_path out")
    return SensorDepth(depth, float(scale), metric=False)


def _intrinsics(fields: Mapping[str, Any], where: str) -> Intrinsics | None:
    """COLMAP model of one frame's fields (its own before the file's); None where there is no focal length."""
    try:
        number = {key: float(fields[key]) for key in _NUMBERS if fields.get(key) is not None}
    except (TypeError, ValueError) as error:
        raise CaptureError(f"{where}: intrinsics are not numbers ({error}); correct the file") from error
    for key, what in _REFUSED.items():
        if fields.get(key) not in (None, False, 0):
            raise CaptureError(f"{where}: {key}: {what} is not supported; give flat or fisheye pictures")
    width, height = (_size(number, key, where) for key in ("w", "h"))
    focals = _focals(number, width, height, where)
    if focals is None:
        return None
    if isinstance(focals, float):
        return Intrinsics("SIMPLE_PINHOLE", (), width, height, focals)
    if "cx" not in number or "cy" not in number:
        if width is None or height is None:
            raise CaptureError(f"{where}: focal length without cx, cy or image size (w, h); add them")
        number = {"cx": width / 2, "cy": height / 2, **number}
    k1, k2, k3, k4, p1, p2 = (number.get(key, 0.0) for key in ("k1", "k2", "k3", "k4", "p1", "p2"))
    base = (*focals, number["cx"], number["cy"])
    if _is_fisheye(fields, where):
        intrinsics = Intrinsics("OPENCV_FISHEYE", (*base, k1, k2, k3, k4), width, height)
    elif k4:
        raise CaptureError(f"{where}: k4 of an OPENCV camera is not supported; undistort the pictures first")
    else:
        flat = brown(focals, (number["cx"], number["cy"]), (0, 0), (k1, k2, k3), (p1, p2))
        intrinsics = Intrinsics(flat.model, flat.params, width, height)
    return checked(intrinsics, focals, where)


def _focals(
    number: Mapping[str, float], width: int | None, height: int | None, where: str
) -> tuple[float, float] | float | None:
    """fx and fy; or a horizontal field of view in radians where the width is not told; None where neither is there."""
    if "fl_x" in number or "fl_y" in number:
        focal_x = number.get("fl_x", number.get("fl_y", 0.0))
        return focal_x, number.get("fl_y", focal_x)
    angles = [number.get("camera_angle_x", math.radians(number.get("x_fov", 0.0)))]
    angles.append(number.get("camera_angle_y", math.radians(number.get("y_fov", 0.0))))
    for key, angle in zip(("camera_angle_x", "camera_angle_y"), angles, strict=True):
        if not 0 <= angle < math.pi or (key in number and angle == 0):
            raise CaptureError(f"{where}: {key} is {angle}, not between 0 and pi; correct the file")
    across, down = angles
    if not (across or down):
        return None
    if across and width is None and not {"cx", "cy", "k1", "camera_angle_y", "y_fov"} & set(number):
        return across
    if width is None or height is None:
        raise CaptureError(f"{where}: an angle of view without image size (w, h); add them")
    focal_x = width / 2 / math.tan(across / 2) if across else height / 2 / math.tan(down / 2)
    return focal_x, height / 2 / math.tan(down / 2) if down else focal_x


def _size(number: Mapping[str, float], key: str, where: str) -> int | None:
    if key not in number:
        return None
    if not (math.isfinite(number[key]) and number[key] >= 1):
        raise CaptureError(f"{where}: image size {key} is {number[key]}; correct the file")
    return round(number[key])


def _is_fisheye(fields: Mapping[str, Any], where: str) -> bool:
    """By nerfstudio's `camera_model` and by instant-ngp's `is_fisheye`, which may not contradict each other."""
    told, flagged = fields.get("camera_model"), bool(fields.get("is_fisheye", False))
    if told is None:
        return flagged
    if str(told) == "OPENCV_FISHEYE":
        return True
    if str(told) not in _FLAT:
        raise CaptureError(f"{where}: camera model {told} is not supported; give PINHOLE, OPENCV or OPENCV_FISHEYE")
    if flagged:
        raise CaptureError(f"{where}: is_fisheye and camera_model {told} contradict each other; take one out")
    return False


def _pose(frame: Mapping[str, Any], applied: _Applied, where: str) -> Float | None:
    """OpenGL camera-to-world, as stored, to OpenCV cam_from_world; of a rolling shutter the middle of the exposure."""
    stored = frame.get("transform_matrix")
    if stored is not None:
        world_from_cam = matrix(stored, where, "transform_matrix")
    elif frame.get("transform_matrix_start") is not None:
        first, last = (
            matrix(frame.get(f"transform_matrix_{end}"), where, f"transform_matrix_{end}") for end in ("start", "end")
        )
        world_from_cam = (first + last) / 2
        turns = Slerp([0, 1], Rotation.from_matrix([first[:3, :3], last[:3, :3]]))
        world_from_cam[:3, :3] = turns(0.5).as_matrix()
    else:
        return None
    world_from_cam[:3, 3] /= applied.scale
    moved = applied.original_from_stored @ world_from_cam
    return from_opengl(np.vstack([rigid(moved[:3], where), [0.0, 0.0, 0.0, 1.0]]))


def _applied(document: Mapping[str, Any], path: Path) -> _Applied:
    transform, scale = np.eye(4), 1.0
    if document.get("applied_transform") is not None:
        transform = matrix(document["applied_transform"], str(path), "applied_transform")
    if abs(np.linalg.det(transform)) < 1e-12:
        raise CaptureError(f"{path}: applied_transform cannot be inverted; correct the file")
    if document.get("applied_scale") is not None:
        try:
            scale = float(document["applied_scale"])
        except (TypeError, ValueError):
            scale = math.nan
        if not (math.isfinite(scale) and scale > 0):
            raise CaptureError(f"{path}: applied_scale is no positive number; correct the file")
    return _Applied(np.asarray(np.linalg.inv(transform), np.float64), scale)


def _program(path: Path) -> str:
    """Whose file it is, as far as its fields tell."""
    document = read_json(path)
    if path.name != "transforms.json":
        return "NeRF data set"
    if "integer_depth_scale" in document:
        return "NeRFCapture"
    return "instant-ngp" if "aabb_scale" in document and "camera_model" not in document else "nerfstudio"


def _blenders_layers(folder: Path, files: Sequence[Path]) -> set[Path]:
    """Beside Blender's r_0.png lie r_0_depth_0001.png and r_0_normal_0001.png."""
    if files[0].name == "transforms.json":
        return set()
    parts = [folder / PurePosixPath(file.stem.removeprefix("transforms_")).name for file in files]
    return {path for part in parts for layer in ("depth", "normal") for path in part.glob(f"*_{layer}_*.png")}
