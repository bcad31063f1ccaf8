"""What several layouts keep in the same way: numbers in text, depth in 16 bits, meshes and clouds as PLY."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...arrays import Float, Float32
from ...errors import CaptureError, ExportError
from ...export.config import UndistortionConfig
from ...export.undistortion import Undistortion
from ...files.depthio import read_depth
from ...geometry import Camera
from ...imageio import UnreadableImageError, probe_image
from ...ingest.projects.views import KnownView
from ...types import SensorDepth
from ..metrics.fusion import open3d_package, sample_mesh
from .contract import SceneView

__all__ = [
    "SURFACE_POINTS",
    "folders_with",
    "mesh_points",
    "metric_depth",
    "numbers",
    "pinhole",
    "points_of",
    "straight_view",
]

SURFACE_POINTS = 1_000_000
"""Points of a true mesh, as the published benchmark samples them."""


def folders_with(root: Path, *needed: str) -> tuple[str, ...]:
    """Names of the sub-folders of `root` that hold all of `needed`, sorted."""
    if not root.is_dir():
        return ()
    found = [folder for folder in root.iterdir() if all((folder / path).exists() for path in needed)]
    return tuple(sorted(folder.name for folder in found))


def numbers(path: Path, rows: int, columns: int, first_line: int = 0) -> Float:
    """(rows, columns) numbers of a text file from line `first_line` on. Raises CaptureError for others."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[first_line : first_line + rows]
        return np.array([[float(word) for word in line.split()] for line in lines]).reshape(rows, columns)
    except (OSError, ValueError) as error:
        raise CaptureError(f"{path}: holds no {rows} x {columns} numbers ({error}); get the data set again") from error


def pinhole(fx: float, fy: float, cx: float, cy: float) -> Float:
    """(3, 3), with a corner origin if `cx` and `cy` have one."""
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


def metric_depth(path: Path, unit: float) -> Callable[[], Float32]:
    """A reader of a depth map of whole numbers of `unit`: NaN where it is 0, or 65535 of 16 bits."""

    def read() -> Float32:
        try:
            return read_depth(SensorDepth(path, unit))
        except OSError as error:
            raise CaptureError(f"{error}; get the data set again") from error

    return read


def mesh_points(path: Path, count: int = SURFACE_POINTS) -> Callable[[], Float]:
    """A reader of `count` points on a PLY mesh."""

    def read() -> Float:
        mesh = open3d_package().io.read_triangle_mesh(_there(path))
        points = sample_mesh(np.asarray(mesh.vertices), np.asarray(mesh.triangles).astype(np.int64), count)
        if not len(points):
            raise CaptureError(f"{path}: holds no triangles; get the data set again")
        return points

    return read


def points_of(path: Path) -> Callable[[], Float]:
    """A reader of the points of a PLY cloud."""

    def read() -> Float:
        points = np.asarray(open3d_package().io.read_point_cloud(_there(path)).points)
        if not len(points):
            raise CaptureError(f"{path}: holds no points; get the data set again")
        return points

    return read


def straight_view(known: KnownView, path: Path) -> SceneView:
    """A posed view of a file whose lens may bend: what `image` gives is the largest picture of a pinhole inside it.

    Raises CaptureError where the picture is none, or of another shape than its camera.
    """
    assert known.cam_from_world is not None
    try:
        if known.intrinsics is None:
            raise ValueError("it has no intrinsics")
        info = probe_image(path)
        lens = _straight(known.intrinsics.at(info.width, info.height))
    except (UnreadableImageError, ValueError, ExportError) as error:
        raise CaptureError(f"{path}: {error}; get the data set again") from error
    undistort = None if lens.is_identity else lens.image
    return SceneView(known.name, path, known.cam_from_world, lens.pinhole.K, undistort=undistort)


@lru_cache(maxsize=16)
def _straight(camera: Camera) -> Undistortion:
    return Undistortion.of(camera, "the picture's", UndistortionConfig())


def _there(path: Path) -> str:
    if not path.is_file():
        raise CaptureError(f"{path}: no such file; get the data set again")
    return str(path)
