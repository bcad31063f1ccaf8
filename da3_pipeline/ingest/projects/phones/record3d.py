"""Record3D's captures: an unpacked .r3d (metadata and rgbd/), or its export to EXR and RGBD folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from ....errors import CaptureError
from ....guard.bounded import read_json
from ....types import SensorDepth
from ...names import natural_key
from ..views import Intrinsics, KnownView, Project, checked, from_opengl, rigid

__all__ = ["metadata_of", "read", "recognises"]

_MEDIUM = 1  # ARKit's confidence is 0, 1 or 2
_UP = (0.0, 1.0, 0.0)
_PICTURE_FOLDERS = ("rgbd", "rgb", "EXR_RGBD/rgb")
_DEPTH_FOLDERS = ("rgbd", "depth", "EXR_RGBD/depth")


def recognises(folder: Path) -> bool:
    return metadata_of(folder) is not None and any((folder / name).is_dir() for name in _PICTURE_FOLDERS)


def metadata_of(folder: Path) -> Path | None:
    """The file with poses: `metadata`, or `metadata.json` of an export."""
    places = (folder / "metadata", folder / "metadata.json", folder / "EXR_RGBD" / "metadata.json")
    return next((path for path in places if path.is_file()), None)


def read(folder: Path) -> Project:
    """Poses are qx qy qz qw tx ty tz of world_from_cam with OpenGL's axes, in metres, +y up; K is stored by column.

    Depth is float32 metres, in LZFSE (.depth, rows dh and columns dw) or EXR.
    """
    path = metadata_of(folder)
    if path is None:
        raise CaptureError(f"{folder}: holds no metadata of Record3D's; export it again")
    try:
        told: dict[str, Any] = read_json(path)
        poses = np.asarray(told["poses"], float).reshape(-1, 7)
        shared = np.asarray(told["K"], float).reshape(3, 3).T
        size = int(told["w"]), int(told["h"])
        own = told.get("perFrameIntrinsicCoeffs") or []
        shape = (int(told["dh"]), int(told["dw"])) if "dh" in told and "dw" in told else (size[1], size[0])
    except (ValueError, KeyError, TypeError) as error:
        raise CaptureError(
            f"{path}: no metadata of Record3D's ({type(error).__name__}: {error}); export again"
        ) from error
    pictures = next(folder / name for name in _PICTURE_FOLDERS if (folder / name).is_dir())
    depths = next((folder / name for name in _DEPTH_FOLDERS if (folder / name).is_dir()), pictures)
    views = []
    for picture in sorted(pictures.glob("*.[jp][pn]g"), key=lambda picture: natural_key(picture.name)):
        where = f"{path}: {picture.name}"
        if not picture.stem.isdecimal() or int(picture.stem) >= len(poses):
            continue
        number = int(picture.stem)
        world_from_cam = np.eye(4)
        if not np.linalg.norm(poses[number, :4]) > 0:
            raise CaptureError(f"{where}: its quaternion is zero; export it again")
        world_from_cam[:3, :3] = Rotation.from_quat(poses[number, :4]).as_matrix()
        world_from_cam[:3, 3] = poses[number, 4:]
        pose = from_opengl(np.vstack([rigid(world_from_cam, where), [0.0, 0.0, 0.0, 1.0]]))
        fx, fy, cx, cy = own[number] if len(own) > number else shared[[0, 1, 0, 1], [0, 1, 2, 2]]
        intrinsics = checked(
            Intrinsics("PINHOLE", (float(fx), float(fy), float(cx), float(cy)), *size), [fx, fy], where
        )
        name = picture.relative_to(folder).as_posix()
        depth = _depth(depths, picture.stem, shape)
        views.append(KnownView(name, intrinsics, pose, "transforms", picture, depth, calibrated=False))
    beside = () if depths == pictures else (depths,)
    return Project("Record3D", folder, tuple(views), True, _UP, beside)


def _depth(folder: Path, stem: str, shape: tuple[int, int]) -> SensorDepth | None:
    packed, confidence = folder / f"{stem}.depth", folder / f"{stem}.conf"
    if packed.is_file():
        told = confidence if confidence.is_file() else None
        return SensorDepth(packed, 1.0, shape=shape, confidence=told, least_confidence=_MEDIUM)
    exported = folder / f"{stem}.exr"
    return SensorDepth(exported, 1.0) if exported.is_file() else None
