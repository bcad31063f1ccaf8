"""Answers that lie on disk: predictions of any network in one npz a scene, and COLMAP's models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pycolmap

from ...arrays import Bytes, Float
from ...errors import CaptureError, InferenceError
from ...files.colmap_model import read_colmap_model
from ...geometry import Camera
from ...guard.bounded import read_npz
from ...infer.from_file import assign, rows_by_name, whole_image_map
from ...infer.prediction_file import PredictionFile, read_predictions
from ...ingest.projects.colmap import model_folder, read_model
from ...types import Frame
from ..datasets.contract import GeometryScene
from .contract import DenseViews, Estimate
from .pictures import picture_size

__all__ = ["estimate_of_file", "from_colmap_folder", "from_predictions", "model_points"]


def from_predictions(root: Path, dataset: str) -> Callable[[GeometryScene, Path], Estimate]:
    """Reads `root`/`dataset`/SCENE.npz (docs/PREDICTIONS.md); an array `seconds` there, if any, is what it took."""

    def estimate(scene: GeometryScene, scratch: Path) -> Estimate:
        path = root / dataset / f"{scene.name}.npz"
        file = read_predictions(path)
        return estimate_of_file(file, _frames(scene), _seconds(path))

    return estimate


def from_colmap_folder(root: Path, dataset: str) -> Callable[[GeometryScene, Path], Estimate]:
    """Reads the model in `root`/`dataset`/SCENE, or below it where COLMAP and trainers put one."""

    def estimate(scene: GeometryScene, scratch: Path) -> Estimate:
        folder = root / dataset / scene.name
        model = model_folder(folder)
        if model is None:
            raise CaptureError(f"{folder}: holds no COLMAP model (cameras.bin or .txt); put it there, or in sparse/0")
        posed = [view for view in read_model(model) if view.cam_from_world is not None]
        rows = rows_by_name(scene.names, [view.name for view in posed])
        if all(row is None for row in rows):
            raise CaptureError(f"{model}: none of its images is one of {scene.name}, such as {scene.names[0]!r}")
        poses = [None if row is None else posed[row].cam_from_world for row in rows]
        points, colours = model_points(read_colmap_model(model))
        stacked = np.stack([np.full((3, 4), np.nan) if pose is None else pose for pose in poses])
        return Estimate(stacked, points=points, colours=colours)

    return estimate


def model_points(model: pycolmap.Reconstruction) -> tuple[Float, Bytes]:
    """(P, 3) points of a model and their colours (P, 3)."""
    found = list(model.points3D.values())
    places = np.array([point.xyz for point in found], float).reshape(-1, 3)
    return places, np.array([point.color for point in found], np.uint8).reshape(-1, 3)


def estimate_of_file(file: PredictionFile, frames: Sequence[Frame], wall_s: float | None = None) -> Estimate:
    """What a predictions file says of the pictures `frames`. Raises InferenceError where none of them is in it."""
    poses = np.full((len(frames), 3, 4), np.nan)
    height, width = file.views.depth.shape[1:]
    taken = {view: row for view, row in enumerate(assign(file, frames)) if row is not None}
    maps, cameras = [], []
    for view, row in taken.items():
        frame = frames[view]
        poses[view] = file.views.cam_from_world[row]
        maps.append(file.pixel_maps[row] if file.pixel_maps else whole_image_map(frame, width, height))
        matrix = maps[-1].intrinsics_to_original(file.views.intrinsics[row])
        cameras.append(Camera.from_matrix(matrix, frame.width, frame.height))
    depth = np.asarray(file.views.depth)[list(taken.values())]
    dense = DenseViews(depth, tuple(maps), tuple(cameras), {view: place for place, view in enumerate(taken)})
    return Estimate(poses, dense, wall_s)


def _frames(scene: GeometryScene) -> list[Frame]:
    """The views as a predictions file is laid onto them."""
    return [Frame(view.name, view.path, *picture_size(view), "camera", "") for view in scene.views]


def _seconds(path: Path) -> float | None:
    told = read_npz(path, ["seconds"]).get("seconds")
    if told is None:
        return None
    value: Float = np.asarray(told, float).reshape(-1)
    if len(value) != 1 or not value[0] > 0:
        raise InferenceError(f"{path}: seconds is no positive number; leave it out or save one")
    return float(value[0])
