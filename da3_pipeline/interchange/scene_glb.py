"""Cameras and seed points as glTF: what a browser, Blender or a phone shows of a session."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..arrays import Bytes, Float
from .glb import GlbFile, upright
from .session import SessionCamera, SessionCameras

__all__ = ["write_scene_glb"]

_SHARE_OF_STEP = 0.4
"""Depth of a drawn camera, of the median distance from one camera to its nearest: neighbours do not touch."""
_EDGES = np.array([(0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (2, 3), (3, 4), (4, 1)])  # apex to corners, and around


def write_scene_glb(path: Path, session: SessionCameras, points: Float, colours: Bytes) -> None:
    """Write (n, 3) points of the session's world with (n, 3) RGB, a camera for each image, and lines that draw it.

    glTF has y up, and the file's world is the session's, turned so that z becomes y. Cameras are named as images.
    """
    turned = np.eye(4)
    turned[:3, :3] = upright()
    file = GlbFile()
    if len(points):
        opaque = np.concatenate([colours, np.full((len(colours), 1), 255, np.uint8)], axis=1)
        at = file.array((points @ turned[:3, :3].T).astype("<f4"), bounds=True)
        file.mesh("points", {"POSITION": at, "COLOR_0": file.array(opaque, normalised=True)}, mode=0)
    depth = _drawn_depth(np.array([camera.world_from_camera[:3, 3] for camera in session.cameras]))
    lines = np.concatenate([_outline(camera, depth) for camera in session.cameras])
    at = file.array((lines @ turned[:3, :3].T).astype("<f4"), bounds=True)
    file.mesh("cameras", {"POSITION": at}, mode=1)
    for camera in session.cameras:
        width, height = camera.size_px
        angle = 2 * np.arctan(height / (2 * camera.focal_px[1]))
        aspect = width / camera.focal_px[0] * camera.focal_px[1] / height
        file.camera(camera.name, turned @ camera.world_from_camera, float(angle), float(aspect))
    file.write(path)


def _drawn_depth(centres: Float) -> float:
    distances = np.linalg.norm(centres[:, None] - centres[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    nearest = distances.min(axis=1)
    nearest = nearest[np.isfinite(nearest) & (nearest > 0)]
    return _SHARE_OF_STEP * float(np.median(nearest)) if len(nearest) else 1.0


def _outline(camera: SessionCamera, depth: float) -> Float:
    """(16, 3) ends of lines from the centre to the picture's corners, at `depth`, and around them; no distortion."""
    width, height = camera.size_px
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    rays = (corners - camera.centre_px) / camera.focal_px * [1, -1]
    drawn = np.concatenate([np.zeros((1, 3)), depth * np.column_stack([rays, -np.ones(4)])])
    world = drawn @ camera.world_from_camera[:3, :3].T + camera.world_from_camera[:3, 3]
    return np.asarray(world[_EDGES.ravel()])
