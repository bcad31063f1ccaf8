"""Where a scene stands in the viewer: upright, around the origin and of one size, whatever its own units are.

Browsers draw in single precision, and clipping planes, line widths and the speed of the mouse are made for scenes of a
few units: a survey in metres far from its origin must be moved before it is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Float
from ..geometry import Sim3, centres
from .session import SessionScene

__all__ = ["RADIUS", "Placement", "place"]


RADIUS = 5.0
"""What is worth looking at lies within this distance of the viewer's origin."""

_KEPT_PERCENT = 90.0
_CAMERA_SHARE = 0.4  # of the distance to the next camera
_CAMERA_SIZES = (0.006 * RADIUS, 0.035 * RADIUS)
_DISTANCE = 1.2 * RADIUS
_ELEVATION = 0.55  # tangent


@dataclass(frozen=True)
class Placement:
    """The similarity into the viewer's world (z up), and there: the size of cameras, the first view's eye, target."""

    view_from_world: Sim3
    camera_size: float
    eye: Float
    target: Float


def place(scene: SessionScene) -> Placement:
    """A placement that shows the cameras and most of the points from behind and above the cameras."""
    upright = scene.upright_from_world
    cameras = centres(scene.cam_from_world) @ upright.T
    points = (scene.points if len(scene.points) else scene.seeds) @ upright.T
    shown = np.concatenate([cameras, points]) if len(points) else cameras
    middle = (cameras.mean(0) + np.median(points, axis=0)) / 2 if len(points) else cameras.mean(0)
    distances = np.linalg.norm(shown - middle, axis=1)
    reach = max(float(np.percentile(distances, _KEPT_PERCENT)), float(distances[: len(cameras)].max()))
    scale = RADIUS / reach if reach > 0 else 1.0
    view_from_world = Sim3(scale, upright, -scale * middle)
    forward = scene.cam_from_world[:, 2, :3] @ upright.T
    return Placement(view_from_world, _camera_size(scale * cameras), _eye(cameras - middle, forward), np.zeros(3))


def _camera_size(positions: Float) -> float:
    """Small enough that neighbours stay apart, large enough to be seen."""
    smallest, largest = _CAMERA_SIZES
    if len(positions) < 2:
        return largest
    from scipy.spatial import cKDTree

    nearest = cKDTree(positions).query(positions, k=2)[0][:, 1]
    return float(np.clip(_CAMERA_SHARE * np.median(nearest), smallest, largest))


def _eye(positions: Float, forward: Float) -> Float:
    """Behind the cameras where they look one way; else behind the first of them, seen from the middle; always above."""
    level = forward.mean(0) * [1, 1, 0]
    if np.linalg.norm(level) < 0.3:
        level = -positions[0] * [1, 1, 0]
    length = float(np.linalg.norm(level))
    level = level / length if length > 1e-9 else np.array([0.0, 1.0, 0.0])
    direction = np.array([0.0, 0.0, _ELEVATION]) - level
    return np.asarray(_DISTANCE * direction / np.linalg.norm(direction))
