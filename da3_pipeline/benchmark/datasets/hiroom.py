"""HiRoom: rendered rooms, as DA3-BENCH lays them out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ...arrays import Bool
from ...errors import CaptureError
from ...guard.bounded import read_document, read_npy
from ...guard.foreign import foreign
from ..metrics.settings import SurfaceSettings
from .contract import Dataset, GeometryScene, SceneView
from .files import metric_depth, pinhole, points_of

__all__ = ["HIROOM"]

_SETTINGS = SurfaceSettings(4 / 512, 0.04, 1e4, 0.05, 4 / 512)
_UNIT_M = 100 / 65535
_LIST = "selected_scene_list_val.txt"
_AGAIN = "get the data set again"


def _scenes(root: Path) -> Sequence[str]:
    if (root / _LIST).is_file():
        with foreign(CaptureError, root / _LIST, _AGAIN):
            listed = read_document(root / _LIST).split()
        return [name for name in listed if (root / "data" / name).is_dir()]
    found = (root / "data").rglob("cam_K.npy")
    return sorted(path.parent.relative_to(root / "data").as_posix() for path in found)


def _read(root: Path, name: str) -> GeometryScene:
    """data/NAME with image/, depth/ (16 bits over 100 m), pose/*.npy (world to camera), aliasing_mask/, cam_K.npy."""
    folder = root / "data" / name
    with foreign(CaptureError, folder / "cam_K.npy", _AGAIN):
        K = read_npy(folder / "cam_K.npy").astype(float).reshape(3, 3)
    views = []
    for path in sorted((folder / "image").iterdir()):
        pose, depth, mask = (
            folder / kind / f"{path.stem}{suffix}"
            for kind, suffix in (("pose", ".npy"), ("depth", ".png"), ("aliasing_mask", ".png"))
        )
        if pose.is_file():
            with foreign(CaptureError, pose, _AGAIN):
                cam_from_world = read_npy(pose).astype(float)[:3].reshape(3, 4)
            judged = _unaliased(mask) if mask.is_file() else None
            matrix = pinhole(K[0, 0], K[1, 1], K[0, 2], K[1, 2])
            views.append(SceneView(path.name, path, cam_from_world, matrix, metric_depth(depth, _UNIT_M), judged))
    if not views:
        raise CaptureError(f"{folder}: holds no image with a pose; {_AGAIN}")
    surface = points_of(root / "fused_pcd" / f"{'-'.join(Path(name).parts[-3:])}.ply")
    return GeometryScene("HiRoom", name, tuple(views), _SETTINGS, surface)


def _unaliased(path: Path) -> Callable[[], Bool]:
    """True outside what the data set marks as aliased."""
    from PIL import Image

    def read() -> Bool:
        with foreign(CaptureError, path, _AGAIN), Image.open(path) as image:
            marks = np.asarray(image)
        return np.asarray(marks.reshape(*marks.shape[:2], -1).max(axis=2) == 0)

    return read


HIROOM = Dataset(
    "hiroom",
    "data/SCENE/{image,depth,pose,aliasing_mask}, data/SCENE/cam_K.npy, fused_pcd/, selected_scene_list_val.txt",
    "hub data set depth-anything/DA3-BENCH, hiroom (0.7 GB)",
    _scenes,
    _read,
    depth=True,
)
