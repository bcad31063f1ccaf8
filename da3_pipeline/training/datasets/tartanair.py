"""TartanAir (Wang et al. 2020): simulated flights, metric, dense z-depth.

    ENVIRONMENT/{Easy,Hard}/P000/{image_left/000000_left.png, depth_left/000000_left_depth.npy, pose_left.txt}

Poses are world_from_cam lines `tx ty tz qx qy qz qw` whose axes run north, east, down: x forward, y right, z down.
One lens of 90 degrees for 640 x 480 px.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from ...arrays import Float, Float32
from .contract import DataSet, PosedImage, PosedScene, pinhole, unreadable

__all__ = ["TARTANAIR"]

_K = pinhole(320, 320, 320, 240)
_OPENCV_FROM_NED = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])
_SKY_M = 1000.0  # the simulator writes its far plane, 10 km and more, where there is nothing


def find_scenes(root: Path) -> tuple[Path, ...]:
    return tuple(sorted(path.parent for path in root.rglob("pose_left.txt")))


def read_scene(folder: Path) -> PosedScene:
    listed = folder / "pose_left.txt"
    try:
        lines = np.loadtxt(listed, ndmin=2)
        poses = [_pose(line) for line in lines]
    except (OSError, ValueError, IndexError) as error:
        raise unreadable(listed, "TartanAir", error) from error
    images = sorted((folder / "image_left").glob("*_left.png"))
    if len(images) != len(poses):
        raise unreadable(listed, "TartanAir", f"{len(poses)} poses of {len(images)} pictures")
    views = (
        PosedImage(image, _K, pose, partial(_read_depth, folder / "depth_left" / f"{image.stem}_depth.npy"))
        for image, pose in zip(images, poses, strict=True)
    )
    return PosedScene("/".join(folder.parts[-3:]), tuple(views), metric=True)


def _pose(line: Float) -> Float:
    rotation = _OPENCV_FROM_NED @ Rotation.from_quat(line[3:7]).as_matrix().T
    return np.concatenate([rotation, -rotation @ line[:3, None]], axis=1)


def _read_depth(path: Path) -> Float32:
    try:
        depth = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise unreadable(path, "TartanAir", error) from error
    return np.where((depth > 0) & (depth < _SKY_M), depth, 0).astype(np.float32)


TARTANAIR = DataSet(find_scenes, read_scene)
