"""The cameras of a session, a COLMAP model, another program's project or a truth file, in one form."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap

from ..arrays import Float, Int
from ..errors import CaptureError
from ..geometry import Camera
from ..ingest.projects.colmap import model_folder
from ..ingest.projects.registry import read_views
from ..ingest.projects.views import KnownView

__all__ = ["CameraSet", "read_camera_set"]

_SCHEMA = "da3-pipeline/report"


@dataclass(frozen=True)
class CameraSet:
    """Posed pictures: names (N) as they came in, `images` (N) as the data set calls them; cam_from_world (N, 3, 4).

    focal_px (N) and size_px (N, 2), NaN and 0 where unknown. unposed: pictures that are known and have no pose.
    points, seconds, passed: None where nothing tells them.
    """

    path: Path
    kind: str
    names: tuple[str, ...]
    images: tuple[str, ...]
    cam_from_world: Float
    focal_px: Float
    size_px: Int
    unposed: tuple[str, ...] = ()
    points: int | None = None
    seconds: float | None = None
    passed: bool | None = None


def read_camera_set(path: Path) -> CameraSet:
    """What there is at `path`. Raises CaptureError, in one line, where that is nothing with poses."""
    report = _report(path / "report.json")
    if report:
        cameras = _session(path, report)
    elif _is_truth(path):
        cameras = _truth(path)
    elif path.is_dir() and (model := model_folder(path)) is not None:
        cameras = _colmap(path, model)
    else:
        cameras = _known(path)
    if not len(cameras.names):
        raise CaptureError(f"{path}: no picture in it has a pose; give a session, a COLMAP model or a transforms.json")
    return cameras


def _session(folder: Path, report: dict[str, Any]) -> CameraSet:
    model = model_folder(folder / "sparse" / "0")
    if model is None:
        raise CaptureError(f"{folder}: the session has no sparse/0, its run gave no data set; run it again")
    cameras = _colmap(folder, model)
    frames = [frame for frame in report.get("frames") or () if isinstance(frame, dict)]
    name_of = {frame.get("image"): str(frame.get("name")) for frame in frames}
    names = tuple(name_of.get(image, image) for image in cameras.images)
    stages = [stage for stage in report.get("stages") or () if isinstance(stage, dict)]
    return CameraSet(
        folder,
        "session",
        names,
        cameras.images,
        cameras.cam_from_world,
        cameras.focal_px,
        cameras.size_px,
        tuple(str(frame.get("name")) for frame in frames if str(frame.get("name")) not in set(names)),
        cameras.points,
        sum(float(stage.get("seconds") or 0) for stage in stages),
        bool((report.get("verdict") or {}).get("passed")),
    )


def _colmap(path: Path, folder: Path) -> CameraSet:
    try:
        model = pycolmap.Reconstruction(str(folder))
    except (ValueError, RuntimeError, IndexError, MemoryError) as error:
        why = " ".join(str(error).split())[:160]
        raise CaptureError(f"{folder}: not a readable COLMAP model ({why}); export it again") from error
    images = sorted(model.images.values(), key=lambda image: image.name)
    posed = [image for image in images if image.has_pose]
    cameras = [Camera.from_pycolmap(image.camera) for image in posed]
    names = tuple(image.name for image in posed)
    poses = np.array([image.cam_from_world().matrix() for image in posed]).reshape(-1, 3, 4)
    unposed = tuple(image.name for image in images if not image.has_pose)
    return _set(path, "COLMAP model", names, poses, cameras, unposed=unposed, points=len(model.points3D))


def _known(path: Path) -> CameraSet:
    views = read_views(path)
    posed = [(view, view.cam_from_world) for view in views if view.cam_from_world is not None]
    return _set(
        path,
        "poses",
        tuple(view.name for view, _ in posed),
        np.array([pose for _, pose in posed]).reshape(-1, 3, 4),
        [_camera(view) for view, _ in posed],
        unposed=tuple(view.name for view in views if view.cam_from_world is None),
    )


def _camera(view: KnownView) -> Camera | None:
    told = view.intrinsics
    if told is None or told.width is None or told.height is None:
        return None
    return told.at(told.width, told.height)


def _is_truth(path: Path) -> bool:
    from ..benchmark.truth.scene_truth import has_truth

    if path.is_dir():
        return has_truth(path)
    return path.is_file() and path.suffix.lower() == ".json" and isinstance(_document(path).get("images"), dict)


def _truth(path: Path) -> CameraSet:
    from ..benchmark.truth.scene_truth import read_truth

    truth = read_truth(path)
    matrices = truth.intrinsics
    focal_px = np.sqrt(matrices[:, 0, 0] * matrices[:, 1, 1])
    size_px = np.zeros((len(truth.names), 2), np.int64)
    kind = "truth" if truth.measured else "COLMAP's poses"
    return CameraSet(path, kind, truth.names, truth.names, truth.cam_from_world, focal_px, size_px)


def _set(
    path: Path, kind: str, names: tuple[str, ...], poses: Float, cameras: Sequence[Camera | None], **known: Any
) -> CameraSet:
    focal_px = np.array([np.nan if camera is None else _focal_px(camera) for camera in cameras])
    sizes = [(0, 0) if camera is None else (camera.width, camera.height) for camera in cameras]
    return CameraSet(path, kind, names, names, poses, focal_px, np.array(sizes, np.int64).reshape(-1, 2), **known)


def _focal_px(camera: Camera) -> float:
    try:
        return camera.focal_px
    except ValueError:  # a camera of the whole sphere has none
        return float("nan")


def _report(path: Path) -> dict[str, Any]:
    document = _document(path)
    return document if document.get("schema") == _SCHEMA else {}


def _document(path: Path) -> dict[str, Any]:
    """A JSON object, or an empty one where there is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
