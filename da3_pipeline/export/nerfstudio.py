"""transforms.json as nerfstudio reads it. OpenGL axes appear here and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import Camera, invert

__all__ = ["PosedImage", "upright_from_world", "write_transforms"]

Float = NDArray[np.float64]

_OPENGL_FROM_OPENCV = np.diag([1.0, -1.0, -1.0])
_DISTORTION = {"PINHOLE": (), "OPENCV": ("k1", "k2", "p1", "p2"), "OPENCV_FISHEYE": ("k1", "k2", "k3", "k4")}


@dataclass(frozen=True)
class PosedImage:
    """An image of the data set: path below images/, ids in the COLMAP model, camera (in a trainer's model), pose."""

    name: str
    image_id: int
    camera_id: int
    camera: Camera
    cam_from_world: Float


def upright_from_world(cam_from_world: Float) -> Float:
    """The (3, 4) rotation of least angle that turns the mean up direction of (N, 3, 4) cameras to +z.

    nerfstudio's worlds have z up. The cameras' up (their -y axis) is all that is known of gravity: right on
    average for hand-held and mounted captures, off by the pitch of a camera that always looks down or up.
    """
    up = -np.asarray(cam_from_world)[:, 1, :3].mean(axis=0)
    length = float(np.linalg.norm(up))
    rotation = _rotation_between(up / length, np.array([0.0, 0.0, 1.0])) if length > 1e-3 else np.eye(3)
    return np.concatenate([rotation, np.zeros((3, 1))], axis=1)


def write_transforms(path: Path, images: Sequence[PosedImage], applied: Float, ply_name: str) -> None:
    """Write poses after `applied` (3, 4) has moved the world, in which frame the ply must be, too.

    Intrinsics stand at the top where all images share them, else in every frame: nerfstudio mixes the two up.
    """
    document: dict[str, Any] = {"camera_model": _camera_model(images)}
    shared = len({image.camera for image in images}) == 1
    if shared:
        document.update(_intrinsics(images[0].camera))
    document["applied_transform"] = applied.tolist()
    document["ply_file_path"] = ply_name
    document["frames"] = [
        {
            "file_path": f"images/{image.name}",
            "transform_matrix": _opengl_pose(image.cam_from_world, applied),
            "colmap_im_id": image.image_id,
            **({} if shared else _intrinsics(image.camera)),
        }
        for image in images
    ]
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False), encoding="utf-8")


def _camera_model(images: Sequence[PosedImage]) -> str:
    return "OPENCV_FISHEYE" if images[0].camera.model == "OPENCV_FISHEYE" else "OPENCV"


def _intrinsics(camera: Camera) -> dict[str, float]:
    """nerfstudio's keys. Its principal point has the corner origin, as ours."""
    focal_x, focal_y, centre_x, centre_y = camera.params[:4]
    values = {"fl_x": focal_x, "fl_y": focal_y, "cx": centre_x, "cy": centre_y, "w": camera.width, "h": camera.height}
    names = _DISTORTION[camera.model] or _DISTORTION["OPENCV"]
    coefficients = camera.params[4:] or (0.0,) * len(names)
    return values | dict(zip(names, coefficients, strict=True))


def _opengl_pose(cam_from_world: Float, applied: Float) -> list[list[float]]:
    """(4, 4) camera-to-world with x right, y up, z backwards."""
    world_from_cam = invert(cam_from_world)
    pose = np.eye(4)
    pose[:3, :3] = applied[:, :3] @ world_from_cam[:, :3] @ _OPENGL_FROM_OPENCV
    pose[:3, 3] = applied[:, :3] @ world_from_cam[:, 3] + applied[:, 3]
    return [[float(value) for value in row] for row in pose]


def _rotation_between(a: Float, b: Float) -> Float:
    """The least rotation that takes unit vector a to unit vector b (Rodrigues); half a turn about x if opposite."""
    cosine, axis = float(a @ b), np.cross(a, b)
    if cosine < -1 + 1e-12:
        return np.diag([1.0, -1.0, -1.0])
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1 + cosine)
