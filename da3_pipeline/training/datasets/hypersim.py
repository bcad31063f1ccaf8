"""Hypersim (Roberts et al. 2021): rendered rooms, metric; needs h5py.

    ai_001_001/{_detail/metadata_scene.csv,
        _detail/cam_00/camera_keyframe_{orientations,positions,frame_indices}.hdf5,
        images/scene_cam_00_final_preview/frame.0000.tonemap.jpg,
        images/scene_cam_00_geometry_hdf5/frame.0000.depth_meters.hdf5}
    metadata_camera_parameters.csv    above the scenes, from the repository of its authors; optional

Orientations are world_from_cam, OpenGL's axes; positions in units of the scene, which the metadata gives in metres.
"Depth" is the distance to the camera's centre: it is divided by the length of the pixel's ray here. The lens is 60
degrees wide but where the table of cameras says otherwise; a camera with tilt or shear in it is no pinhole of ours,
and its scene is refused.
"""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path

import numpy as np

from ...arrays import Float, Float32
from ...errors import CaptureError
from .contract import DataSet, PosedImage, PosedScene, opencv_from_opengl, pinhole, unreadable
from .depth_files import read_hdf5

__all__ = ["HYPERSIM"]

_WIDTH, _HEIGHT = 1024, 768
_HALF_FIELD = np.tan(np.pi / 6)  # of the width
_CAMERAS = "metadata_camera_parameters.csv"
_TILT = 1e-6


def find_scenes(root: Path) -> tuple[Path, ...]:
    return tuple(sorted(path.parent.parent for path in root.rglob("_detail/metadata_scene.csv")))


def read_scene(folder: Path) -> PosedScene:
    """The views of all its cameras' paths that have a picture; some were never published."""
    metres = _metres_per_unit(folder / "_detail" / "metadata_scene.csv")
    K, size = _lens(folder)
    views = []
    for camera in sorted(path for path in (folder / "_detail").glob("cam_*") if path.is_dir()):
        orientations, positions, frames = (
            read_hdf5(camera / f"camera_keyframe_{name}.hdf5", "dataset", "Hypersim")
            for name in ("orientations", "positions", "frame_indices")
        )
        if orientations.shape != (len(frames), 3, 3) or positions.shape != (len(frames), 3):
            raise unreadable(camera, "Hypersim", "orientations, positions and frames do not belong together")
        for frame, turn, place in zip(frames, orientations, positions, strict=True):
            stem, world_from_cam = f"frame.{int(frame):04d}", np.eye(4)
            world_from_cam[:3] = np.concatenate([turn, metres * place[:, None]], 1)
            image = folder / "images" / f"scene_{camera.name}_final_preview" / f"{stem}.tonemap.jpg"
            stored = folder / "images" / f"scene_{camera.name}_geometry_hdf5" / f"{stem}.depth_meters.hdf5"
            if image.exists():
                depth = partial(_read_depth, stored, K, size)
                views.append(PosedImage(image, K, opencv_from_opengl(world_from_cam), depth))
    return PosedScene(folder.name, tuple(views), metric=True)


def _metres_per_unit(path: Path) -> float:
    try:
        rows = {row[0].strip(): row[1] for row in csv.reader(path.read_text().splitlines()) if len(row) > 1}
        return float(rows["meters_per_asset_unit"])
    except (OSError, ValueError, KeyError) as error:
        raise unreadable(path, "Hypersim", error) from error


def _lens(folder: Path) -> tuple[Float, tuple[int, int]]:
    """K, and the (width, height) that it is for."""
    table = folder.parent / _CAMERAS
    if not table.exists():
        focal = _WIDTH / 2 / _HALF_FIELD
        return pinhole(focal, focal, _WIDTH / 2, _HEIGHT / 2), (_WIDTH, _HEIGHT)
    try:
        (row,) = (row for row in csv.DictReader(table.read_text().splitlines()) if row["scene_name"] == folder.name)
        width, height = (int(float(row[f"settings_output_img_{side}"])) for side in ("width", "height"))
        # from u to the right and v upwards, both -1 to 1, to a ray in OpenGL's axes
        ray = np.array([[float(row[f"M_cam_from_uv_{i}{j}"]) for j in range(3)] for i in range(3)])
        ray /= -ray[2, 2]
    except (OSError, ValueError, KeyError) as error:
        raise unreadable(table, "Hypersim", error) from error
    if max(abs(ray[i, j]) for i, j in ((0, 1), (1, 0), (2, 0), (2, 1))) > _TILT:
        raise CaptureError(f"{folder.name} is seen through a tilted lens ({table}): leave the scene out")
    (a, b), (half_x, half_y) = (ray[0, 0], ray[1, 1]), (width / 2, height / 2)
    K = pinhole(half_x / a, half_y / b, half_x * (1 - ray[0, 2] / a), half_y * (1 + ray[1, 2] / b))
    return K, (width, height)


def _read_depth(path: Path, K: Float, size: tuple[int, int]) -> Float32:
    distance = read_hdf5(path, "dataset", "Hypersim")
    if distance.shape != (size[1], size[0]):
        raise unreadable(path, "Hypersim", f"{distance.shape} values for a camera of {size[0]} x {size[1]}")
    x = (np.arange(size[0]) + 0.5 - K[0, 2]) / K[0, 0]
    y = (np.arange(size[1]) + 0.5 - K[1, 2]) / K[1, 1]
    depth = distance / np.sqrt(1 + x**2 + y[:, None] ** 2)
    return np.where(np.isfinite(depth) & (depth > 0), depth, 0).astype(np.float32)


HYPERSIM = DataSet(find_scenes, read_scene)
