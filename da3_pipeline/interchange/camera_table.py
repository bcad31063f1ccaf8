"""Cameras as RealityCapture's table (Internal/External camera parameters), which Brush and nerfstudio read, too.

Its world has z up (x, y, alt); a camera is turned by heading, pitch and roll in degrees: with yaw = -heading its axes
(right, up, back) are Rz(yaw) Rx(pitch) Ry(roll). f is the focal length on a picture whose longer side is 36 mm, px and
py are the principal point's distance from the middle in longer sides.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from scipy.spatial.transform import Rotation

from ..errors import UsageError
from .session import SessionCamera, SessionCameras

__all__ = ["write_camera_table"]

_COLUMNS = ("#name", "x", "y", "alt", "heading", "pitch", "roll", "f", "px", "py", "k1", "k2", "k3", "k4", "t1", "t2")
_FULL_FRAME_MM = 36.0


def write_camera_table(path: Path, session: SessionCameras) -> None:
    """Write a row for each image, in the world of transforms.json.

    Rows name images without folders. Raises UsageError where two share a name, and for fisheye lenses, which the table
    cannot say.
    """
    names = [PurePosixPath(camera.name).name for camera in session.cameras]
    if session.fisheye:
        raise UsageError(f"{path.name}: the table knows no fisheye lenses; run da3-pipeline run again with --undistort")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{path.name}: the table has no folders, and two images are called {twice}; rename one")
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(_COLUMNS)
        table.writerows(_row(name, camera) for name, camera in zip(names, session.cameras, strict=True))


def _row(name: str, camera: SessionCamera) -> Sequence[str]:
    pose, (width, height), longer = camera.world_from_camera, camera.size_px, max(camera.size_px)
    yaw, pitch, roll = Rotation.from_matrix(pose[:3, :3]).as_euler("ZXY", degrees=True)
    focal = sum(camera.focal_px) / 2
    numbers = [
        *pose[:3, 3],
        -yaw,
        pitch,
        roll,
        focal * _FULL_FRAME_MM / longer,
        (camera.centre_px[0] - width / 2) / longer,
        (camera.centre_px[1] - height / 2) / longer,
        *(camera.lens.get(coefficient, 0.0) for coefficient in ("k1", "k2", "k3", "k4", "p1", "p2")),
    ]
    return [name, *(repr(float(number)) for number in numbers)]
