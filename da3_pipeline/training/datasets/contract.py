"""What every data set becomes: scenes of posed pictures, in one convention, with depth where it is known.

Cameras are OpenCV's (x right, y down, z forward), poses cam_from_world, intrinsics in pixels of the stored picture with
a corner origin (pixel centres at +0.5). Depth is z-depth on the picture's own grid or a coarser one over the same
field, in the units of the poses; 0 where it is unknown, whatever the data set writes there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...arrays import Float, Float32
from ...errors import CaptureError

__all__ = ["DataSet", "PosedImage", "PosedScene", "opencv_from_opengl", "pinhole", "unreadable"]


@dataclass(frozen=True)
class PosedImage:
    """One picture: its file, K (3, 3), cam_from_world (3, 4), and what reads its depth (h, w)."""

    image: Path
    K: Float
    cam_from_world: Float
    depth: Callable[[], Float32] | None = None


@dataclass(frozen=True)
class PosedScene:
    """Pictures of one static place. metric: whether poses and depth are in metres."""

    name: str
    views: tuple[PosedImage, ...]
    metric: bool

    @property
    def has_depth(self) -> bool:
        return all(view.depth is not None for view in self.views)


@dataclass(frozen=True)
class DataSet:
    """find: the folders of a root that hold a scene each, sorted. read: the scene of such a folder.

    Both raise CaptureError that names the file where the layout is not as published.
    """

    find: Callable[[Path], tuple[Path, ...]]
    read: Callable[[Path], PosedScene]


def pinhole(fx: float, fy: float, cx: float, cy: float) -> Float:
    """K (3, 3); cx and cy with a corner origin."""
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], float)


def opencv_from_opengl(world_from_cam: Float) -> Float:
    """cam_from_world (3, 4) of OpenCV from camera-to-world (4, 4) of OpenGL (y up, looking along -z)."""
    turned = world_from_cam[:3] * np.array([1, -1, -1, 1.0])
    rotation = turned[:, :3].T
    return np.concatenate([rotation, -rotation @ turned[:, 3:]], axis=1)


def unreadable(path: Path, data_set: str, reason: object) -> CaptureError:
    """The error of a file that is not as the data set publishes it."""
    return CaptureError(f"{path} is not as {data_set} publishes it ({reason}): download the scene again")
