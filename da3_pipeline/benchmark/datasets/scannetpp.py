"""ScanNet++ (Yeshwanth et al. 2023), the iPhone's frames, as DA3-BENCH lays them out: undistorted, 1024 x 768."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ...arrays import Bytes, Float, Float32
from ...errors import CaptureError
from ...ingest.projects.colmap import read_model
from ...ingest.projects.views import Intrinsics
from ..metrics.settings import SurfaceSettings
from .contract import Dataset, GeometryScene, SceneView
from .files import folders_with, mesh_points, metric_depth, pinhole

__all__ = ["SCANNETPP"]

_SETTINGS = SurfaceSettings(0.02, 0.15, 5.0, 0.05, 0.02, margin=0.1)
_SIZE = (1024, 768)
_MODEL = "merge_dslr_iphone/colmap/sparse_render_rgb"
_MILLI = 1e-3


def _scenes(root: Path) -> Sequence[str]:
    return folders_with(root, _MODEL)


def _read(root: Path, name: str) -> GeometryScene:
    """merge_dslr_iphone/{colmap/sparse_render_rgb,images,render_depth} and scans/mesh_aligned_0.05.ply; in metres.

    The published code gives networks the distorted pictures, with the cameras of the undistorted ones; here pictures,
    depth and cameras are those of one pinhole.
    """
    folder = root / name / "merge_dslr_iphone"
    views = []
    for known in read_model(root / name / _MODEL):
        path = folder / "images" / known.name
        if "iphone" in known.name and path.is_file() and known.cam_from_world is not None and known.intrinsics:
            lens = _Lens.of(known.intrinsics)
            depth = folder / "render_depth" / f"{Path(known.name).stem}.png"
            straight = lens.depth(metric_depth(depth, _MILLI)) if depth.is_file() else None
            views.append(SceneView(known.name, path, known.cam_from_world, lens.K, straight, undistort=lens.picture))
    if not views:
        raise CaptureError(f"{folder}: holds no iphone picture with a pose; get the data set again")
    mesh = mesh_points(root / name / "scans" / "mesh_aligned_0.05.ply")
    return GeometryScene("ScanNet++", name, tuple(views), _SETTINGS, mesh)


@dataclass(frozen=True)
class _Lens:
    """From pictures of (width, height) `size` through OpenCV's lens to those of a pinhole of 1024 x 768.

    matrix, wide (3, 3): cameras before and after, centres of pixels at whole numbers; crop: x, y, width, height of what
    has no black border afterwards.
    """

    matrix: Float
    distortion: Float
    wide: Float
    crop: tuple[int, int, int, int]
    size: tuple[int, int]

    @classmethod
    def of(cls, told: Intrinsics) -> _Lens:
        if told.model not in ("OPENCV", "PINHOLE") or told.width is None or told.height is None:
            raise CaptureError(
                f"ScanNet++: its cameras are OPENCV or PINHOLE, not {told.model}; get the data set again"
            )
        fx, fy, cx, cy, *bent = told.params
        matrix, size = pinhole(fx, fy, cx - 0.5, cy - 0.5), (told.width, told.height)
        distortion = np.array([*bent, 0.0] if bent else np.zeros(5))
        if not bent:
            return cls(matrix, distortion, matrix, (0, 0, *size), size)
        wide, crop = cv2.getOptimalNewCameraMatrix(matrix, distortion, size, 1, size)
        x, y, width, height = (int(side) for side in crop)
        return cls(matrix, distortion, np.asarray(wide, float), (x, y, width, height), size)

    @property
    def K(self) -> Float:
        """(3, 3) of the pictures that come out, with a corner origin."""
        x, y, width, height = self.crop
        K = self.wide.copy()
        K[:2, 2] += 0.5 - np.array([x, y])
        K[:2] *= np.array([_SIZE[0] / width, _SIZE[1] / height])[:, None]
        return K

    def picture(self, stored: Bytes) -> Bytes:
        x, y, width, height = self.crop
        straight = cv2.undistort(stored, self.matrix, self.distortion, newCameraMatrix=self.wide)
        return np.asarray(cv2.resize(straight[y : y + height, x : x + width], _SIZE, interpolation=cv2.INTER_AREA))

    def depth(self, read: Callable[[], Float32]) -> Callable[[], Float32]:
        """Nearest values, so that no depth is mixed across an edge."""

        def straight() -> Float32:
            stored = cv2.resize(read(), self.size, interpolation=cv2.INTER_NEAREST)
            maps = cv2.initUndistortRectifyMap(self.matrix, self.distortion, None, self.wide, self.size, cv2.CV_32FC1)
            found = cv2.remap(stored, *maps, cv2.INTER_NEAREST, borderValue=float("nan"))
            x, y, width, height = self.crop
            cropped = found[y : y + height, x : x + width]
            return np.asarray(cv2.resize(cropped, _SIZE, interpolation=cv2.INTER_NEAREST), np.float32)

        return straight


SCANNETPP = Dataset(
    "scannetpp",
    f"SCENE/{_MODEL}, SCENE/merge_dslr_iphone/{{images,render_depth}}, SCENE/scans/mesh_aligned_0.05.ply",
    "hub data set depth-anything/DA3-BENCH, scannetpp (10.1 GB)",
    _scenes,
    _read,
    depth=True,
)
