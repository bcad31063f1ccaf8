"""RTAB-Map's exports, of phones with ARCore or ARKit, and of robots: pictures, depth, calibrations and poses."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ....arrays import Float
from ....errors import CaptureError
from ....geometry import invert
from ....guard.bounded import read_document
from ....types import SensorDepth
from ...names import natural_key
from ..views import Intrinsics, KnownView, Project, brown, checked, placed

__all__ = ["read", "recognises"]

_POSES = "_camera_poses.txt"
_MILLI = 1e-3
_UP = (0.0, 0.0, 1.0)  # ROS' axes: its map has +z up
_REMEDY = "export with --images_id --poses_camera --poses_format 11"
_NUMBER = r"[-+0-9.eE]+"


def recognises(folder: Path) -> bool:
    """NAME_camera_poses.txt beside NAME_rgb/; those of several cameras are numbered, and refused when they are read."""
    return _base(folder) is not None


def read(folder: Path) -> Project:
    """Rows of NAME_camera_poses.txt: stamp x y z qx qy qz qw of world_from_cam with OpenCV's axes in metres, and the
    id of the node; NAME_rgb/ID.jpg (or STAMP.jpg), NAME_depth/ID.png in millimetres over the whole picture, and
    NAME_calib/ID.yaml, centres of pixels at whole numbers.

    A calibration with distortion is one; without, as phones tell it, it is where the solution starts.
    """
    base = _base(folder)
    path = folder / f"{base}{_POSES}"
    if not path.is_file():
        raise CaptureError(f"{path}: is not there, as where one picture holds several cameras; {_REMEDY} of one camera")
    poses = _poses(path)
    depths, calibrations = folder / f"{base}_depth", folder / f"{base}_calib"
    views = []
    for picture in sorted((folder / f"{base}_rgb").iterdir(), key=lambda item: natural_key(item.name)):
        if picture.suffix.lower() not in (".jpg", ".jpeg", ".png"):
            continue
        depth, calibration = depths / f"{picture.stem}.png", calibrations / f"{picture.stem}.yaml"
        intrinsics, exact = _lens(calibration) if calibration.is_file() else (None, False)
        views.append(
            KnownView(
                picture.relative_to(folder).as_posix(),
                intrinsics,
                poses.get(_key(picture.stem)),
                path=picture,
                depth=SensorDepth(depth, _MILLI) if depth.is_file() else None,
                calibrated=exact,
                stored=True,
            )
        )
    if not any(view.cam_from_world is not None for view in views):
        raise CaptureError(f"{path}: holds poses of none of the pictures in {base}_rgb; {_REMEDY}")
    beside = [folder / f"{base}_{kind}" for kind in ("depth", "right")]
    return Project("RTAB-Map", folder, tuple(views), True, _UP, tuple(beside))


def _base(folder: Path) -> str | None:
    """What the export is called."""
    found = sorted(folder.glob("*_camera_poses*.txt")) if folder.is_dir() else []
    bases = (re.sub(r"_camera_poses(_\d+)?\.txt$", "", path.name) for path in found)
    return next((base for base in bases if (folder / f"{base}_rgb").is_dir()), None)


def _key(stem: str) -> float | None:
    """A node's id, or a time to the microsecond, which is what names tell."""
    try:
        return round(float(stem), 6)
    except ValueError:
        return None


def _poses(path: Path) -> dict[float | None, Float]:
    """cam_from_world by id, and by time."""
    found: dict[float | None, Float] = {}
    for line in read_document(path, errors="replace").splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            numbers = np.array([float(word) for word in words])
        except ValueError:
            numbers = np.zeros(0)
        if len(numbers) not in (8, 9):
            raise CaptureError(f"{path}: '{line[:40]}' is no stamp x y z qx qy qz qw (id); {_REMEDY}")
        pose = invert(placed(numbers[1:4], numbers[4:8], f"{path}: stamp {words[0]}")[:3])
        found[round(float(numbers[0]), 6)] = pose
        if len(numbers) == 9:
            found[float(numbers[8])] = pose
    return found


def _lens(path: Path) -> tuple[Intrinsics, bool]:
    """A calibration as OpenCV writes it in YAML, and whether it is more than a nominal one: has distortion."""
    text = read_document(path, errors="replace")
    K, told = _numbers(text, "camera_matrix"), _numbers(text, "distortion_coefficients")
    sides = [re.search(rf"^\s*image_{side}:\s*(\d+)", text, re.MULTILINE) for side in ("width", "height")]
    if len(K) != 9 or sides[0] is None or sides[1] is None:
        raise CaptureError(f"{path}: no calibration with camera_matrix, image_width and image_height; {_REMEDY}")
    fx, fy, cx, cy = (float(K[place]) for place in (0, 4, 2, 5))
    size = int(sides[0][1]), int(sides[1][1])
    centre = (cx + 0.5, cy + 0.5)
    return checked(_model((fx, fy), centre, size, told, path), (fx, fy), str(path)), bool(np.any(told))


def _model(
    focal: tuple[float, float], centre: tuple[float, float], size: tuple[int, int], told: Float, path: Path
) -> Intrinsics:
    """By the number of coefficients, as RTAB-Map tells lenses apart; fisheyes have k1 k2 0 0 k3 k4."""
    if not np.any(told):
        return Intrinsics("PINHOLE", (*focal, *centre), *size)
    if len(told) in (4, 5):
        k1, k2, p1, p2, k3 = (*map(float, told), 0.0)[:5]
        return brown(focal, centre, size, (k1, k2, k3), (p1, p2))
    if len(told) == 6:
        return Intrinsics("OPENCV_FISHEYE", (*focal, *centre, *map(float, told[[0, 1, 4, 5]])), *size)
    if len(told) == 8:
        return Intrinsics("FULL_OPENCV", (*focal, *centre, *map(float, told)), *size)
    raise CaptureError(f"{path}: {len(told)} distortion coefficients belong to no camera here; --no-project leaves it")


def _numbers(text: str, key: str) -> Float:
    found = re.search(rf"^\s*{key}:.*?data:\s*\[([^\]]*)\]", text, re.MULTILINE | re.DOTALL)
    return np.array([float(word) for word in re.findall(_NUMBER, found[1])]) if found else np.zeros(0)
