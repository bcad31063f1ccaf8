"""transforms.json as nerfstudio reads it. OpenGL axes appear here and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Float
from ..geometry import Camera, invert
from ..geometry.gravity import rotation_between, up_from_cameras

__all__ = ["PosedImage", "upright_from_world", "write_transforms"]


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


def upright_from_world(cam_from_world: Float, up_source: str | None) -> Float:
    """The (3, 4) rotation that turns the world of (N, 3, 4) cameras so that z is up, as in nerfstudio's worlds.

    None is needed where `up_source` says who turned the scene before. Else the rotation of least angle that brings the
    cameras' up to +z, none where they do not know it: worlds of given poses are turned here only, and keep their own
    axes in the COLMAP model.
    """
    up = up_from_cameras(cam_from_world) if up_source is None else None
    rotation = np.eye(3) if up is None else rotation_between(up.direction, np.array([0.0, 0.0, 1.0]))
    return np.concatenate([rotation, np.zeros((3, 1))], axis=1)


def write_transforms(
    path: Path,
    images: Sequence[PosedImage],
    applied: Float,
    ply_name: str,
    masks: Mapping[str, str],
    depths: Mapping[str, str],
) -> None:
    """Write poses after `applied` (3, 4) has moved the world, in which frame the ply must be, too.

    `masks`, `depths`: path of its mask and depth map by image name, for all images or none. Intrinsics stand at the top
    where all images share them, else in every frame: nerfstudio mixes the two up.
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
            **({"mask_path": masks[image.name]} if masks else {}),
            **({"depth_file_path": depths[image.name]} if depths else {}),
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
