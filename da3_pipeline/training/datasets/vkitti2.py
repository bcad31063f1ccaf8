"""Virtual KITTI 2 (Cabon et al. 2020): simulated streets, metric, dense z-depth.

    Scene01/clone/{intrinsic.txt, extrinsic.txt,
        frames/rgb/Camera_0/rgb_00000.jpg, frames/depth/Camera_0/depth_00000.png}

Both text files have a line a frame and camera; extrinsics are cam_from_world, OpenCV's axes. Depth is in centimetres,
65535 at the sky and beyond 655.35 m. The right camera is a scene's view like the left one.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from .contract import DataSet, PosedImage, PosedScene, pinhole, unreadable
from .depth_files import read_depth_png

__all__ = ["VKITTI2"]

_CENTIMETRE, _FARTHEST = 0.01, 65535


def find_scenes(root: Path) -> tuple[Path, ...]:
    return tuple(sorted(path.parent for path in root.rglob("extrinsic.txt")))


def read_scene(folder: Path) -> PosedScene:
    listed = folder / "extrinsic.txt"
    try:
        poses = np.loadtxt(listed, skiprows=1, ndmin=2)
        if len(poses) == 0:
            raise ValueError("no frames")
        rows = np.loadtxt(folder / "intrinsic.txt", skiprows=1, ndmin=2)
        lenses = {(int(row[0]), int(row[1])): row[2:6] for row in rows}
        views = []
        for row in poses:
            frame, camera = int(row[0]), int(row[1])
            image = folder / "frames" / "rgb" / f"Camera_{camera}" / f"rgb_{frame:05d}.jpg"
            depth = folder / "frames" / "depth" / f"Camera_{camera}" / f"depth_{frame:05d}.png"
            pose = row[2:18].reshape(4, 4)[:3]
            views.append(
                PosedImage(
                    image,
                    pinhole(*lenses[frame, camera]),
                    pose,
                    partial(read_depth_png, depth, _CENTIMETRE, _FARTHEST),
                )
            )
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise unreadable(listed, "Virtual KITTI 2", error) from error
    return PosedScene("/".join(folder.parts[-2:]), tuple(views), metric=True)


VKITTI2 = DataSet(find_scenes, read_scene)
