"""A known camera in known places, for readers of formats: a point of the world is seen at a known pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from da3_pipeline.geometry.cameras import Camera
from da3_pipeline.ingest.projects.views import KnownView

CAMERA = Camera("PINHOLE", 640, 480, (520.0, 510.0, 331.5, 236.25))
"""Neither square nor centred, so that no swap goes unseen."""

WORLD_POINT = np.array([0.3, -0.2, 4.0])


def _poses() -> list[np.ndarray]:
    rotations = Rotation.from_euler("xyz", [(10, 5, 20), (-8, 12, -35), (4, -15, 3)], degrees=True).as_matrix()
    places = np.array([(0.2, 0.1, -0.3), (-0.4, 0.3, 0.2), (0.1, -0.5, 0.4)])
    return [
        np.concatenate([rotation, -(rotation @ place)[:, None]], axis=1)
        for rotation, place in zip(rotations, places, strict=True)
    ]


POSES = _poses()
"""cam_from_world (3, 4), OpenCV axes, all looking about +z."""


def opengl(pose: np.ndarray) -> np.ndarray:
    """(4, 4) world_from_cam with OpenGL's axes: y up and z back."""
    return np.asarray(opencv(pose) @ np.diag([1.0, -1.0, -1.0, 1.0]))


def opencv(pose: np.ndarray) -> np.ndarray:
    """(4, 4) world_from_cam."""
    return np.asarray(np.linalg.inv(np.vstack([pose, [0, 0, 0, 1]])))


def project_point(camera: Camera, pose: np.ndarray, point: np.ndarray) -> np.ndarray:
    return np.asarray(camera.project((pose[:, :3] @ point + pose[:, 3])[None])[0])


def seen_where_it_is(
    views: Sequence[KnownView],
    camera: Camera = CAMERA,
    poses: Sequence[np.ndarray] = POSES,
    world: np.ndarray | None = None,
    tolerance_px: float = 1e-6,
) -> None:
    """Each view's own camera and pose put the point of the world where the truth puts it.

    world (4, 4): the format's world from the truth's, which it may turn, move and scale.
    """
    assert len(views) == len(poses)
    moved = np.append(WORLD_POINT, 1.0) if world is None else world @ np.append(WORLD_POINT, 1.0)
    for view, pose in zip(views, poses, strict=True):
        assert view.intrinsics is not None and view.cam_from_world is not None
        own = view.intrinsics.at(camera.width, camera.height)
        seen = project_point(own, view.cam_from_world, moved[:3])
        truth = project_point(camera, pose, WORLD_POINT)
        assert np.abs(seen - truth).max() < tolerance_px, (seen, truth)
