"""MegaDepth (Li and Snavely 2018): tourists' photographs of landmarks, in units of their own; needs h5py.

    phoenix/S6/zl548/MegaDepth_v1/0000/dense0/depths/NAME.h5      as published
    Undistorted_SfM/0000/{images/NAME.jpg, sparse/{cameras,images,points3D}.txt}

The published depth belongs to undistorted pictures, and the published cameras to distorted ones. As is usual since
D2-Net (Dusmanu et al. 2019), COLMAP's image_undistorter has made `Undistorted_SfM` of the published models, pictures of
the same names and sizes as the depth's. Depth is z-depth of multi-view stereo; negative where only an order is known.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from ...arrays import Float32
from ...files.colmap_model import read_colmap_model
from .contract import DataSet, PosedImage, PosedScene, unreadable
from .depth_files import read_hdf5

__all__ = ["MEGADEPTH"]

_UNDISTORTED, _DEPTHS = "Undistorted_SfM", Path("phoenix", "S6", "zl548", "MegaDepth_v1")
_PINHOLES = ("PINHOLE", "SIMPLE_PINHOLE")


def find_scenes(root: Path) -> tuple[Path, ...]:
    return tuple(sorted(path.parent for path in root.rglob(f"{_UNDISTORTED}/*/sparse")))


def read_scene(folder: Path) -> PosedScene:
    """The pictures that have depth; those of which only an order of depths is known have a file, too, but no metres."""
    sparse = folder / "sparse"
    try:
        model = read_colmap_model(sparse)
    except (OSError, ValueError, IndexError, RuntimeError) as error:
        raise unreadable(next(sparse.glob("images.*"), sparse), "MegaDepth", error) from error
    depths = {
        path.stem: path for path in sorted((folder.parents[1] / _DEPTHS / folder.name).glob("dense*/depths/*.h5"))
    }
    views = []
    for image in sorted((image for image in model.images.values() if image.has_pose), key=lambda image: image.name):
        camera, stored = model.cameras[image.camera_id], depths.get(Path(image.name).stem)
        if stored is None:
            continue
        if camera.model.name not in _PINHOLES:
            raise unreadable(sparse, "MegaDepth", f"{image.name} is distorted: run image_undistorter")
        pose = np.asarray(image.cam_from_world().matrix(), float)
        K = np.asarray(camera.calibration_matrix(), float)
        views.append(PosedImage(folder / "images" / image.name, K, pose, partial(_read_depth, stored)))
    return PosedScene(folder.name, tuple(views), metric=False)


def _read_depth(path: Path) -> Float32:
    depth = read_hdf5(path, "depth", "MegaDepth")
    return np.where(np.isfinite(depth) & (depth > 0), depth, 0).astype(np.float32)


MEGADEPTH = DataSet(find_scenes, read_scene)
