"""What a session says of its cameras, in the world of transforms.json (z up where that is known)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Float
from ..errors import CaptureError
from ..guard.bounded import read_json

__all__ = ["SessionCamera", "SessionCameras", "read_cameras"]


@dataclass(frozen=True)
class SessionCamera:
    """A posed image: its path below images/, (4, 4) camera-to-world with OpenGL's axes, and intrinsics in pixels.

    `lens` holds nerfstudio's coefficients k1, k2, p1, p2 (and k3, k4 of a fisheye) where there are any.
    """

    name: str
    world_from_camera: Float
    focal_px: tuple[float, float]
    centre_px: tuple[float, float]
    size_px: tuple[int, int]
    lens: Mapping[str, float]


@dataclass(frozen=True)
class SessionCameras:
    """The images of a session; `rotation` (3, 3) and `offset` (3,) lead from the world of sparse/0 to theirs."""

    cameras: tuple[SessionCamera, ...]
    fisheye: bool
    rotation: Float
    offset: Float


def read_cameras(folder: Path) -> SessionCameras:
    """The cameras in transforms.json. Raises CaptureError where there is none, or it is none of ours."""
    path = folder / "transforms.json"
    try:
        document = read_json(path)
        cameras = tuple(_camera(document | frame) for frame in document["frames"])
        applied = np.array(document["applied_transform"], float).reshape(3, 4)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CaptureError(
            f"{folder}: holds no finished session (transforms.json: {error!r}); run da3-pipeline run first"
        ) from error
    return SessionCameras(cameras, document.get("camera_model") == "OPENCV_FISHEYE", applied[:, :3], applied[:, 3])


def _camera(entry: Mapping[str, Any]) -> SessionCamera:
    return SessionCamera(
        str(entry["file_path"]).removeprefix("images/"),
        np.array(entry["transform_matrix"], float).reshape(4, 4),
        (float(entry["fl_x"]), float(entry["fl_y"])),
        (float(entry["cx"]), float(entry["cy"])),
        (int(entry["w"]), int(entry["h"])),
        {name: float(entry[name]) for name in ("k1", "k2", "k3", "k4", "p1", "p2") if name in entry},
    )
