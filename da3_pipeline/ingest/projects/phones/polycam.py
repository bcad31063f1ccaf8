"""Polycam's raw data, as its documentation (polyform) describes it: ARKit's cameras, LiDAR depth and confidence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ....errors import CaptureError
from ....guard.bounded import read_json
from ....types import SensorDepth
from ...names import natural_key
from ..views import Intrinsics, KnownView, Project, checked, from_opengl, matrix, rigid

__all__ = ["read", "recognises"]

_MILLI = 1e-3
_MEDIUM = 127  # confidence is 0, 127 or 255; the low one is quite unreliable by the same documentation
_UP = (0.0, 1.0, 0.0)  # ARKit aligns +y with gravity


def recognises(folder: Path) -> bool:
    keyframes = _keyframes(folder)
    return any((keyframes / name).is_dir() for name in ("cameras", "corrected_cameras")) and any(
        (keyframes / name).is_dir() for name in ("images", "corrected_images")
    )


def read(folder: Path) -> Project:
    """The corrected images and cameras where they are: undistorted and optimised; else what ARKit said.

    A camera is `t_00` to `t_23`, row by row: world_from_cam with OpenGL's axes, in metres, +y up.
    """
    keyframes = _keyframes(folder)
    corrected = all((keyframes / name).is_dir() for name in ("corrected_images", "corrected_cameras"))
    prefix = "corrected_" if corrected else ""
    images, cameras = keyframes / f"{prefix}images", keyframes / f"{prefix}cameras"
    pictures = {path.stem: path for path in sorted(images.iterdir())} if images.is_dir() else {}
    files = sorted(cameras.glob("*.json"), key=lambda path: natural_key(path.name)) if cameras.is_dir() else []
    if not files:
        raise CaptureError(f"{cameras}: holds no cameras; export Polycam's raw data again")
    views = tuple(_view(path, pictures.get(path.stem), keyframes, folder, corrected) for path in files)
    unused = ("images",) if corrected else ("corrected_images",)
    beside = [keyframes / name for name in (*unused, "depth", "confidence")]
    loose = ("thumbnail.jpg", "polycam.mp4", "raw.glb", "textures", "mesh")
    return Project("Polycam", folder, views, True, _UP, (*beside, *(folder / name for name in loose)))


def _keyframes(folder: Path) -> Path:
    return folder / "keyframes" if (folder / "keyframes").is_dir() else folder


def _view(path: Path, picture: Path | None, keyframes: Path, folder: Path, corrected: bool) -> KnownView:
    try:
        fields: dict[str, Any] = read_json(path)
        rows = [[float(fields[f"t_{row}{column}"]) for column in range(4)] for row in range(3)]
        fx, fy, cx, cy = (float(fields[key]) for key in ("fx", "fy", "cx", "cy"))
        size = int(fields["width"]), int(fields["height"])
    except (ValueError, KeyError, TypeError) as error:
        raise CaptureError(f"{path}: no camera of Polycam's ({type(error).__name__}: {error}); export again") from error
    pose = from_opengl(np.vstack([rigid(matrix(rows, str(path), "t"), str(path)), [0.0, 0.0, 0.0, 1.0]]))
    depth, confidence = (keyframes / kind / f"{path.stem}.png" for kind in ("depth", "confidence"))
    sensor = None
    if depth.is_file():
        sensor = SensorDepth(
            depth, _MILLI, confidence=confidence if confidence.is_file() else None, least_confidence=_MEDIUM
        )
    name = f"{path.stem}.jpg" if picture is None else picture.relative_to(folder).as_posix()
    intrinsics = checked(Intrinsics("PINHOLE", (fx, fy, cx, cy), *size), [fx, fy], str(path))
    return KnownView(name, intrinsics, pose, "transforms", picture, sensor, calibrated=False)
