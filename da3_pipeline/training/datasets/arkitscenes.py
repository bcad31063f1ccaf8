"""ARKitScenes (Baruch et al. 2021), the raw part: rooms filmed with an iPad, metric, LiDAR depth.

    {Training,Validation}/VIDEO/{lowres_wide/VIDEO_1234.567.png, lowres_depth/VIDEO_1234.567.png,
        lowres_wide_intrinsics/VIDEO_1234.567.pincam, lowres_wide.traj}

A line of the trajectory is `seconds rx ry rz tx ty tz`: cam_from_world as axis times angle and translation. It has ten
poses a second, at the pictures' times but for a few milliseconds; a picture without a pose close by is left out. A
pincam file is `width height fx fy cx cy`, now and then a millisecond off its picture. Depth is in millimetres. Pictures
are stored as the sensor lies, whichever way the device was held.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from ...arrays import Float
from .contract import DataSet, PosedImage, PosedScene, pinhole, unreadable
from .depth_files import read_depth_png

__all__ = ["ARKITSCENES"]

_MILLIMETRE = 0.001
_CLOSE_S = 0.02
_ROUNDING_S = (0.0, -0.001, 0.001)


def find_scenes(root: Path) -> tuple[Path, ...]:
    return tuple(sorted(path.parent for path in root.rglob("lowres_wide.traj")))


def read_scene(folder: Path) -> PosedScene:
    listed = folder / "lowres_wide.traj"
    try:
        lines = np.loadtxt(listed, ndmin=2)
        seconds, poses = lines[:, 0], [_pose(line) for line in lines]
    except (OSError, ValueError, IndexError) as error:
        raise unreadable(listed, "ARKitScenes", error) from error
    views = []
    for image in sorted((folder / "lowres_wide").glob("*.png")):
        stamp = float(image.stem.rpartition("_")[2])
        nearest = int(np.abs(seconds - stamp).argmin())
        depth = folder / "lowres_depth" / image.name
        if abs(seconds[nearest] - stamp) <= _CLOSE_S and depth.exists():
            K = _read_lens(folder / "lowres_wide_intrinsics", image.stem, stamp)
            views.append(PosedImage(image, K, poses[nearest], partial(read_depth_png, depth, _MILLIMETRE)))
    return PosedScene(folder.name, tuple(views), metric=True)


def _pose(line: Float) -> Float:
    return np.concatenate([Rotation.from_rotvec(line[1:4]).as_matrix(), line[4:7, None]], axis=1)


def _read_lens(folder: Path, stem: str, stamp: float) -> Float:
    video = stem.rpartition("_")[0]
    candidates = [folder / f"{video}_{stamp + off:.3f}.pincam" for off in _ROUNDING_S]
    path = next((path for path in candidates if path.exists()), candidates[0])
    try:
        _, _, fx, fy, cx, cy = np.loadtxt(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, "ARKitScenes", error) from error
    return pinhole(fx, fy, cx, cy)


ARKITSCENES = DataSet(find_scenes, read_scene)
