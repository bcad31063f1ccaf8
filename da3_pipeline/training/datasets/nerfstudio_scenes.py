"""Data sets with a nerfstudio file of cameras: DL3DV (Ling et al. 2024) and ScanNet++ (Yeshwanth et al. 2023).

    DL3DV        SCENE/{transforms.json, images_4/frame_00001.png}; no depth, no metres
    ScanNet++    SCENE/dslr/{nerfstudio/transforms_undistorted.json, undistorted_images/DSC00001.JPG,
                     render_depth/DSC00001.png}; metric, depth of the laser scan in millimetres

Poses are world_from_cam, OpenGL's axes. DL3DV's file speaks of the full-size pictures, of which smaller sets are
published, and has distortion terms, which are left out: they are below a pixel at the sizes that networks train at.
ScanNet++'s pictures are those that its toolkit makes pinhole, and its depth what the toolkit renders from the mesh.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...arrays import Float
from ...imageio import probe_image
from .contract import DataSet, PosedImage, PosedScene, opencv_from_opengl, pinhole, unreadable
from .depth_files import read_depth_png

__all__ = ["DL3DV", "SCANNETPP"]

_MILLIMETRE = 0.001
_DL3DV_SIZES = ("images_8", "images_4", "images_2", "images")
_UNDISTORTED = "transforms_undistorted.json"


def find_dl3dv(root: Path) -> tuple[Path, ...]:
    return tuple(sorted(path.parent for path in root.rglob("transforms.json") if _pictures(path.parent) is not None))


def read_dl3dv(folder: Path) -> PosedScene:
    path, pictures = folder / "transforms.json", _pictures(folder)
    if pictures is None:
        raise unreadable(folder, "DL3DV", f"none of {', '.join(_DL3DV_SIZES)}")
    try:
        meta = json.loads(path.read_text())
        named = [(pictures / Path(frame["file_path"]).name, _pose(frame)) for frame in meta["frames"]]
        present = [(image, pose) for image, pose in named if image.exists()]
        K = _lens(meta, present[0][0]) if present else np.eye(3)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unreadable(path, "DL3DV", error) from error
    return PosedScene(folder.name, tuple(PosedImage(image, K, pose) for image, pose in present), metric=False)


def find_scannetpp(root: Path) -> tuple[Path, ...]:
    return tuple(sorted(path.parents[2] for path in root.rglob(_UNDISTORTED)))


def read_scannetpp(folder: Path) -> PosedScene:
    """Frames that its authors call bad, moving or blurred ones, are left out."""
    dslr = folder / "dslr"
    path = dslr / "nerfstudio" / _UNDISTORTED
    try:
        meta = json.loads(path.read_text())
        K = pinhole(*(float(meta[key]) for key in ("fl_x", "fl_y", "cx", "cy")))
        views = []
        for frame in (frame for frame in meta["frames"] if not frame.get("is_bad", False)):
            name = Path(frame["file_path"])
            depth = partial(read_depth_png, dslr / "render_depth" / f"{name.stem}.png", _MILLIMETRE)
            views.append(PosedImage(dslr / "undistorted_images" / name.name, K, _pose(frame), depth))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unreadable(path, "ScanNet++", error) from error
    return PosedScene(folder.name, tuple(views), metric=True)


def _pictures(folder: Path) -> Path | None:
    return next((folder / name for name in _DL3DV_SIZES if (folder / name).is_dir()), None)


def _pose(frame: dict[str, Any]) -> Float:
    return opencv_from_opengl(np.array(frame["transform_matrix"], float).reshape(4, 4))


def _lens(meta: dict[str, Any], image: Path) -> Float:
    """K of the file, which speaks of pictures `w` by `h`, for the picture that is there."""
    info = probe_image(image)
    across, down = info.width / float(meta["w"]), info.height / float(meta["h"])
    fx, fy, cx, cy = (float(meta[key]) for key in ("fl_x", "fl_y", "cx", "cy"))
    return pinhole(fx * across, fy * down, cx * across, cy * down)


DL3DV = DataSet(find_dl3dv, read_dl3dv)
SCANNETPP = DataSet(find_scannetpp, read_scannetpp)
