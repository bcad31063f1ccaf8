"""7-Scenes (Shotton et al. 2013), as DA3-BENCH lays it out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...errors import CaptureError
from ...geometry import invert
from ...ingest.projects.views import rigid
from ..metrics.settings import SurfaceSettings
from .contract import Dataset, GeometryScene, SceneView
from .files import folders_with, mesh_points, metric_depth, numbers, pinhole

__all__ = ["PAPER_STRIDE", "SEVEN_SCENES", "evenly"]

_SETTINGS = SurfaceSettings(4 / 512, 0.04, 1e6, 0.05, 4 / 512)
_FOCAL_PX, _CENTRE_PX = 585.0, (320.0, 240.0)
_MILLI = 1e-3

PAPER_STRIDE = 11
"""The paper takes every eleventh frame; its code takes all, of which the benchmark draws 100."""


def _sequence(root: Path, name: str) -> Path:
    return root / "7Scenes" / name / ("seq-02" if name == "stairs" else "seq-01")


def _scenes(root: Path) -> Sequence[str]:
    return [name for name in folders_with(root / "7Scenes") if _sequence(root, name).is_dir()]


def _read(root: Path, name: str) -> GeometryScene:
    """seq-01 (stairs: seq-02) with frame-000000.color.png, .depth.png in mm and .pose.txt, camera to world."""
    folder, views = _sequence(root, name), []
    K = pinhole(_FOCAL_PX, _FOCAL_PX, *_CENTRE_PX)
    for path in sorted(folder.glob("frame-*.color.png")):
        stem = path.name.removesuffix(".color.png")
        pose = folder / f"{stem}.pose.txt"
        if pose.is_file():
            # The tracker's rotations are off by rounding, which a plain inverse would carry into the centre.
            upright = rigid(numbers(pose, 4, 4)[:3], str(pose))
            depth = metric_depth(folder / f"{stem}.depth.png", _MILLI)
            views.append(SceneView(path.name, path, invert(upright), K, depth))
    if not views:
        raise CaptureError(f"{folder}: holds no frame-*.color.png with a pose; get the data set again")
    return GeometryScene("7Scenes", name, tuple(views), _SETTINGS, mesh_points(root / "7Scenes/meshes" / f"{name}.ply"))


def evenly(scene: GeometryScene, stride: int = PAPER_STRIDE) -> GeometryScene:
    """Every `stride`-th view."""
    return scene.subset(range(0, len(scene), stride))


SEVEN_SCENES = Dataset(
    "7scenes",
    "7Scenes/SCENE/seq-01/frame-*.{color.png,depth.png,pose.txt} (stairs: seq-02), 7Scenes/meshes/SCENE.ply",
    "hub data set depth-anything/DA3-BENCH, 7scenes (3.3 GB)",
    _scenes,
    _read,
    depth=True,
)
