"""3d Scanner App's "All Data": a JSON of ARKit's camera for every frame, pictures of some, LiDAR depth of more."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ....errors import CaptureError
from ....guard.bounded import read_json
from ....types import SensorDepth
from ...names import natural_key
from ..views import Intrinsics, KnownView, Project, checked, from_opengl, matrix, rigid

__all__ = ["read", "recognises"]

_FRAME = re.compile(r"frame_\d+\.json", re.IGNORECASE)
_POSE, _INTRINSICS = "cameraPoseARFrame", "intrinsics"
_MILLI = 1e-3
_MEDIUM = 1  # ARKit's confidence is 0, 1 or 2
_UP = (0.0, 1.0, 0.0)  # ARKit aligns +y with gravity
_LAYERS = ("depth_*.png", "conf_*.png", "thumb_*.jpg", "textured_output*", "export*")


def recognises(folder: Path) -> bool:
    """By the first of its frames: other programs write a frame_00000.json, too."""
    if not folder.is_dir():
        return False
    first = min((path for path in folder.glob("frame_*.json") if _FRAME.fullmatch(path.name)), default=None)
    try:
        return first is not None and _POSE in first.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def read(folder: Path) -> Project:
    """cameraPoseARFrame: 16 numbers row by row, world_from_cam with OpenGL's axes, in metres, +y up; intrinsics: 9, in
    pixels of the stored picture. Frames without a picture, which most are, are left out.

    depth_00000.png is in millimetres, conf_00000.png ARKit's confidence.
    """
    files = sorted((path for path in folder.glob("frame_*.json") if _FRAME.fullmatch(path.name)), key=_order)
    pictures = {path.stem: path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png")}
    views = tuple(_view(path, pictures[path.stem], folder) for path in files if path.stem in pictures)
    if not views:
        raise CaptureError(f"{folder}: frames of 3d Scanner App without a picture; share the scan as All Data again")
    beside = tuple(sorted(path for pattern in _LAYERS for path in folder.glob(pattern)))
    return Project("3d Scanner App", folder, views, True, _UP, beside)


def _order(path: Path) -> tuple[object, ...]:
    return natural_key(path.name)


def _view(path: Path, picture: Path, folder: Path) -> KnownView:
    try:
        fields = read_json(path)
        world_from_cam = matrix(fields[_POSE], str(path), _POSE)
        K = np.array(fields[_INTRINSICS], float).reshape(3, 3)
    except (ValueError, KeyError, TypeError) as error:
        raise CaptureError(
            f"{path}: no camera of 3d Scanner App's ({type(error).__name__}: {error}); export again"
        ) from error
    if K[0, 1] or K[1, 0] or K[2].tolist() != [0.0, 0.0, 1.0]:
        raise CaptureError(f"{path}: intrinsics are not fx 0 cx, 0 fy cy, 0 0 1, row by row; export again")
    pose = from_opengl(np.vstack([rigid(world_from_cam, str(path)), [0.0, 0.0, 0.0, 1.0]]))
    params = tuple(float(K[place]) for place in ((0, 0), (1, 1), (0, 2), (1, 2)))
    number = path.stem.split("_", 1)[1]
    depth, confidence = (folder / f"{kind}_{number}.png" for kind in ("depth", "conf"))
    certain = confidence if confidence.is_file() else None
    return KnownView(
        picture.relative_to(folder).as_posix(),
        checked(Intrinsics("PINHOLE", params, None, None), params[:2], str(path)),
        pose,
        "transforms",
        picture,
        SensorDepth(depth, _MILLI, confidence=certain, least_confidence=_MEDIUM) if depth.is_file() else None,
        calibrated=False,
        stored=True,
    )
