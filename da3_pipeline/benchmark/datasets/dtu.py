"""DTU's scans (Jensen et al. 2014): the 49 views of MVSNet's evaluation, and the 64 of which only poses are judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from ...arrays import Bool, Float
from ...errors import CaptureError
from ...guard.foreign import foreign
from ..metrics.dtu import DtuObserved
from .contract import Dataset, GeometryScene, SceneView
from .files import folders_with, numbers, points_of

__all__ = ["DTU", "DTU_64"]

_AGAIN = "get the data set again"
_FIRST = 33
"""The view that comes first, as a reference: the benchmark's convention for both sets."""
_LEAST_GREY = 10


def _scenes(root: Path) -> Sequence[str]:
    return folders_with(root / "Rectified")


def _read(root: Path, name: str) -> GeometryScene:
    """Rectified/SCAN/rect_001_*.png, Cameras/00000000_cam.txt, masks of depth_raw, Points/stl and ObsMask; in mm."""
    views = []
    for path in sorted((root / "Rectified" / name).glob("*.png")):
        index = _number(path.stem.split("_")[1:2], path) - 1
        mask = root / "depth_raw" / "Depths" / name / f"depth_visual_{index:04d}.png"
        views.append(_view(path, root / "Cameras" / f"{index:08d}_cam.txt", _mask(mask) if mask.is_file() else None))
    number = _number([name.removeprefix("scan")], root / "Rectified" / name)
    observed = root / "SampleSet" / "mvs_data" / "ObsMask"
    return GeometryScene(
        "DTU-49",
        name,
        _reference_first(views, root / "Rectified" / name),
        surface=points_of(root / "Points" / "stl" / f"stl{number:03}_total.ply"),
        dtu=lambda: _observed(observed / f"ObsMask{number}_10.mat", observed / f"Plane{number}.mat"),
    )


def _scenes_64(root: Path) -> Sequence[str]:
    return folders_with(root, "image")


def _read_64(root: Path, name: str) -> GeometryScene:
    """SCAN/image/00000000.png and Cameras/00000000_cam.txt."""
    views = [
        _view(path, root / "Cameras" / f"{_number([path.stem], path):08d}_cam.txt", None)
        for path in sorted((root / name / "image").glob("*.png"))
    ]
    return GeometryScene("DTU-64", name, _reference_first(views, root / name / "image"))


def _view(path: Path, camera: Path, mask: Callable[[], Bool] | None) -> SceneView:
    K = numbers(camera, 3, 3, first_line=7)
    K[:2, 2] += 0.5  # MVSNet counts pixels at their centres
    return SceneView(path.name, path, numbers(camera, 4, 4, first_line=1)[:3], K, mask=mask)


def _reference_first(views: Sequence[SceneView], folder: Path) -> tuple[SceneView, ...]:
    if not views:
        raise CaptureError(f"{folder}: holds no pictures; {_AGAIN}")
    if len(views) <= _FIRST:
        return tuple(views)
    return (views[_FIRST], *views[:_FIRST], *views[_FIRST + 1 :])


def _number(words: Sequence[str], where: Path) -> int:
    try:
        return int(words[0])
    except (IndexError, ValueError):
        raise CaptureError(f"{where}: its name has no number where DTU's have one; {_AGAIN}") from None


def _mask(path: Path) -> Callable[[], Bool]:
    from PIL import Image

    def read() -> Bool:
        with foreign(CaptureError, path, _AGAIN), Image.open(path) as image:
            return np.asarray(np.asarray(image.convert("L")) > _LEAST_GREY)

    return read


def _observed(mask: Path, plane: Path) -> DtuObserved:
    with foreign(CaptureError, mask, _AGAIN):
        told = loadmat(mask)
        box: Float = told["BB"].astype(float).reshape(2, 3)
        cells, step_mm = told["ObsMask"].astype(bool), float(told["Res"].reshape(-1)[0])
    with foreign(CaptureError, plane, _AGAIN):
        return DtuObserved(cells, box, step_mm, loadmat(plane)["P"].astype(float).reshape(4))


DTU = Dataset(
    "dtu",
    "Rectified/SCAN/*.png, Cameras/*_cam.txt, depth_raw/Depths/SCAN, Points/stl, SampleSet/mvs_data/ObsMask",
    "hub data set depth-anything/DA3-BENCH, dtu (8.3 GB)",
    _scenes,
    _read,
)
DTU_64 = Dataset(
    "dtu64",
    "SCAN/image/*.png, Cameras/*_cam.txt",
    "hub data set depth-anything/DA3-BENCH, dtu64 (1.7 GB)",
    _scenes_64,
    _read_64,
)
