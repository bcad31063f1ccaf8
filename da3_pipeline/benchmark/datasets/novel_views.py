"""Data sets on which views are rendered that no method was given: DL3DV, Tanks and Temples, MegaDepth.

Their cameras are COLMAP's own, which none of them calls a truth: poses by COLMAP agree with them better than they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ...errors import CaptureError
from ...ingest.projects.colmap import model_folder, read_model
from ...ingest.projects.transforms import read_transforms
from ...ingest.projects.views import KnownView
from .contract import Dataset, GeometryScene, SceneView
from .files import straight_view

__all__ = ["DL3DV", "MEGADEPTH", "TANKS_AND_TEMPLES"]

_AGAIN = "get the data set again"
_DL3DV_PLACES = ("transforms.json", "nerfstudio/transforms.json")
_DL3DV_PICTURES = ("images_8", "images_4", "images_2", "images")  # images_8 are the 480 x 270 px of the paper
_MEGADEPTH_MODEL = Path("sparse", "manhattan", "0")


def _dl3dv_scenes(root: Path) -> Sequence[str]:
    """HASH, or SUBSET/HASH as in the whole data set."""
    found = {path.parent for depth in ("*", "*/*") for place in _DL3DV_PLACES for path in root.glob(f"{depth}/{place}")}
    scenes = {folder.parent if folder.name == "nerfstudio" else folder for folder in found}
    return sorted(scene.relative_to(root).as_posix() for scene in scenes)


def _read_dl3dv(root: Path, name: str) -> GeometryScene:
    """transforms.json of nerfstudio, whose cameras are of 3840 x 2160 px whatever the size of the pictures beside."""
    place = next((place for place in _DL3DV_PLACES if (root / name / place).is_file()), _DL3DV_PLACES[0])
    folder = (root / name / place).parent
    pictures = next((folder / kind for kind in _DL3DV_PICTURES if (folder / kind).is_dir()), folder / "images")
    return _scene("DL3DV", root, name, read_transforms(folder / "transforms.json"), pictures)


def _tanks_scenes(root: Path) -> Sequence[str]:
    folders = sorted(root.iterdir()) if root.is_dir() else []
    return [one.name for one in folders if (one / "images").is_dir() and model_folder(one) is not None]


def _read_tanks(root: Path, name: str) -> GeometryScene:
    """images/ and a COLMAP model in sparse/0, as 3DGS hands the scenes out."""
    model = model_folder(root / name)
    if model is None:
        raise CaptureError(f"{root / name}: holds no COLMAP model (sparse/0/cameras.bin); {_AGAIN}")
    return _scene("Tanks and Temples", root, name, read_model(model), root / name / "images")


def _megadepth_scenes(root: Path) -> Sequence[str]:
    return sorted(path.name for path in root.glob("*") if (path / _MEGADEPTH_MODEL / "images.bin").is_file())


def _read_megadepth(root: Path, name: str) -> GeometryScene:
    """images/ and sparse/manhattan/0 of MegaDepth_v1_SfM: photographs of strangers, a SIMPLE_RADIAL lens each."""
    return _scene("MegaDepth", root, name, read_model(root / name / _MEGADEPTH_MODEL), root / name / "images")


def _scene(dataset: str, root: Path, name: str, known: Sequence[KnownView], pictures: Path) -> GeometryScene:
    """Of the views with a pose and a picture, which becomes a pinhole's where it is opened."""
    views: list[SceneView] = []
    for view in known:
        path = pictures / view.name.removeprefix("images/")
        if view.cam_from_world is not None and path.is_file():
            views.append(straight_view(view, path))
    if not views:
        raise CaptureError(f"{root / name}: none of its posed pictures lies in {pictures.name}/; {_AGAIN}")
    return GeometryScene(dataset, name, tuple(sorted(views, key=lambda view: view.name)))


_rendered = partial(Dataset, novel_views=True)

DL3DV = _rendered(
    "dl3dv",
    "SCENE/{transforms.json,images_8 or images_4}, or the same in SCENE/nerfstudio",
    "hub data set DL3DV/DL3DV-Benchmark (140 scenes; its terms must be accepted there)",
    _dl3dv_scenes,
    _read_dl3dv,
)
TANKS_AND_TEMPLES = _rendered(
    "tanksandtemples",
    "SCENE/images, SCENE/sparse/0",
    "pictures: tanksandtemples.org; with COLMAP's cameras: tandt_db.zip of 3D Gaussian splatting (train, truck)",
    _tanks_scenes,
    _read_tanks,
)
MEGADEPTH = _rendered(
    "megadepth",
    "SCENE/images, SCENE/sparse/manhattan/0",
    "MegaDepth_v1_SfM (Li and Snavely 2018, Cornell): an archive for each scene",
    _megadepth_scenes,
    _read_megadepth,
)
