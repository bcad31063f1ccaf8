"""ETH3D's high-resolution multi-view scenes (Schoeps et al. 2017), as DA3-BENCH lays them out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from ...arrays import Bool, Float, Float32
from ...errors import CaptureError
from ...guard.bounded import read_document
from ...guard.foreign import foreign
from ..metrics.settings import SurfaceSettings
from .contract import Dataset, GeometryScene, SceneView
from .files import folders_with, mesh_points, pinhole

__all__ = ["ETH3D"]

_SETTINGS = SurfaceSettings(20 / 512, 0.2, 1e5, 0.25, 20 / 512)
_CALIBRATION = "dslr_calibration_jpg"
_AGAIN = "get the data set again"
_OCCLUDED = 1
_LEFT_OUT = {
    "delivery_area": range(711, 715),
    "electro": (*range(9289, 9294), 9298),
    "playground": range(587, 593),
    "relief": range(427, 439),
    "relief_2": range(458, 469),
}
"""Numbers at the end of the names of pictures that the published benchmark leaves out."""


def _scenes(root: Path) -> Sequence[str]:
    return folders_with(root, f"{_CALIBRATION}/images.txt", "images")


def _read(root: Path, name: str) -> GeometryScene:
    """images/, dslr_calibration_jpg/{cameras,images}.txt, combined_mesh.ply, ground_truth_depth/, masks_for_images/.

    Views are in the order of images.txt. The lenses' distortion is left out of the cameras, as the published code does.
    """
    folder = root / name
    with foreign(CaptureError, folder / _CALIBRATION, _AGAIN):
        cameras = {row[0]: [float(word) for word in row[2:8]] for row in _rows(folder / _CALIBRATION / "cameras.txt")}
        images = _rows(folder / _CALIBRATION / "images.txt")  # and rows of points, of three numbers each
        views = [
            _view(folder, row[9], _pose(row), cameras[row[8]])
            for row in images
            if len(row) == 10 and not _is_left_out(name, row[9]) and (folder / "images" / row[9]).is_file()
        ]
    if not views:
        raise CaptureError(f"{folder}: holds no image of its images.txt; {_AGAIN}")
    return GeometryScene("ETH3D", name, tuple(views), _SETTINGS, mesh_points(folder / "combined_mesh.ply"))


def _rows(path: Path) -> list[list[str]]:
    lines = read_document(path).splitlines()
    return [line.split() for line in lines if line.strip() and not line.startswith("#")]


def _is_left_out(scene: str, image: str) -> bool:
    return any(Path(image).stem.endswith(str(number)) for number in _LEFT_OUT.get(scene, ()))


def _pose(row: Sequence[str]) -> Float:
    w, x, y, z, *shift = (float(word) for word in row[1:8])
    return np.concatenate([Rotation.from_quat([x, y, z, w]).as_matrix(), np.array(shift)[:, None]], axis=1)


def _view(folder: Path, name: str, cam_from_world: Float, camera: Sequence[float]) -> SceneView:
    width, height, fx, fy, cx, cy = camera
    shape = (int(height), int(width))
    depth = folder / "ground_truth_depth" / "dslr_images" / Path(name).name
    mask = folder / "masks_for_images" / "dslr_images" / f"{Path(name).stem}.png"
    return SceneView(
        name,
        folder / "images" / name,
        cam_from_world,
        pinhole(fx, fy, cx, cy),
        _depth(depth, shape) if depth.is_file() else None,
        _mask(mask) if mask.is_file() else None,
    )


def _depth(path: Path, shape: tuple[int, int]) -> Callable[[], Float32]:
    """Plain float32 of the picture's size; infinite where the scanner saw nothing."""

    def read() -> Float32:
        with foreign(CaptureError, path, _AGAIN):
            stored = np.fromfile(path, np.float32).reshape(shape)
        return np.where(np.isfinite(stored) & (stored > 0), stored, np.nan).astype(np.float32)

    return read


def _mask(path: Path) -> Callable[[], Bool]:
    from PIL import Image

    def read() -> Bool:
        with foreign(CaptureError, path, _AGAIN), Image.open(path) as image:
            return np.asarray(np.asarray(image.convert("L")) != _OCCLUDED)

    return read


ETH3D = Dataset(
    "eth3d",
    "SCENE/{images,dslr_calibration_jpg,ground_truth_depth,masks_for_images}, SCENE/combined_mesh.ply",
    "hub data set depth-anything/DA3-BENCH, eth3d (14.1 GB)",
    _scenes,
    _read,
    depth=True,
)
