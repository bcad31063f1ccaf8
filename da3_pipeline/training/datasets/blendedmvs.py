"""BlendedMVS (Yao et al. 2020): rendered reconstructions, in units of their own, dense z-depth.

    SCENE/{blended_images/00000000.jpg, cams/00000000_cam.txt, rendered_depth_maps/00000000.pfm}

A camera file is `extrinsic`, a cam_from_world matrix (4, 4), `intrinsic`, K (3, 3), and the range of depth, as MVSNet
writes it. Pixel centres are at whole numbers: half a pixel is added to the principal point.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from ...arrays import Float
from .contract import DataSet, PosedImage, PosedScene, unreadable
from .depth_files import read_pfm

__all__ = ["BLENDEDMVS"]


def find_scenes(root: Path) -> tuple[Path, ...]:
    return tuple(sorted(path.parent for path in root.rglob("blended_images")))


def read_scene(folder: Path) -> PosedScene:
    views = []
    for camera in sorted((folder / "cams").glob("*_cam.txt")):
        name = camera.name.removesuffix("_cam.txt")
        K, pose = _read_camera(camera)
        depth = partial(read_pfm, folder / "rendered_depth_maps" / f"{name}.pfm")
        views.append(PosedImage(folder / "blended_images" / f"{name}.jpg", K, pose, depth))
    return PosedScene(folder.name, tuple(views), metric=False)


def _read_camera(path: Path) -> tuple[Float, Float]:
    try:
        words = path.read_text().split()
        at = words.index("extrinsic") + 1
        pose = np.array(words[at : at + 16], float).reshape(4, 4)
        at = words.index("intrinsic") + 1
        K = np.array(words[at : at + 9], float).reshape(3, 3)
    except (OSError, ValueError) as error:
        raise unreadable(path, "BlendedMVS", error) from error
    K[:2, 2] += 0.5
    return K, pose[:3]


BLENDEDMVS = DataSet(find_scenes, read_scene)
