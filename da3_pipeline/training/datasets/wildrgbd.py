"""WildRGB-D (Xia et al. 2024): objects filmed all around with an iPhone, metric, LiDAR depth.

    CATEGORY/scenes/scene_000/{rgb/00000.png, depth/00000.png, metadata, cam_poses.txt}

`metadata` is JSON with K column by column. A line of the poses is the frame's number and world_from_cam (4, 4) row by
row, OpenCV's axes. Depth is in millimetres.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np

from .contract import DataSet, PosedImage, PosedScene, unreadable
from .depth_files import read_depth_png

__all__ = ["WILDRGBD"]

_MILLIMETRE = 0.001


def find_scenes(root: Path) -> tuple[Path, ...]:
    return tuple(sorted(path.parent for path in root.rglob("cam_poses.txt")))


def read_scene(folder: Path) -> PosedScene:
    listed = folder / "cam_poses.txt"
    try:
        K = np.array(json.loads((folder / "metadata").read_text())["K"], float).reshape(3, 3).T
        lines = np.loadtxt(listed, ndmin=2)
        poses = {int(line[0]): np.linalg.inv(line[1:17].reshape(4, 4))[:3] for line in lines}
    except (OSError, ValueError, KeyError, IndexError, np.linalg.LinAlgError) as error:
        raise unreadable(listed, "WildRGB-D", error) from error
    views = (
        PosedImage(
            folder / "rgb" / f"{number:05d}.png",
            K,
            pose,
            partial(read_depth_png, folder / "depth" / f"{number:05d}.png", _MILLIMETRE),
        )
        for number, pose in sorted(poses.items())
    )
    return PosedScene("/".join((folder.parts[-3], folder.name)), tuple(views), metric=True)


WILDRGBD = DataSet(find_scenes, read_scene)
