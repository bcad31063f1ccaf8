"""Stray Scanner's recordings: a video; by frame number ARKit's poses, LiDAR depth and its confidence."""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from ....arrays import Float
from ....errors import CaptureError
from ....geometry import invert
from ....guard.bounded import check_document
from ....types import SensorDepth
from ..views import Intrinsics, KnownView, Project, checked, rigid

__all__ = ["read", "recognises"]

logger = logging.getLogger(__name__)

_VIDEO, _ODOMETRY, _CAMERA = "rgb.mp4", "odometry.csv", "camera_matrix.csv"
_BESIDE = ("depth", "confidence", "distortion")
_MILLI = 1e-3
_MEDIUM = 1  # ARKit's confidence is 0, 1 or 2
_UP = (0.0, 1.0, 0.0)  # ARKit aligns +y with gravity


def recognises(folder: Path) -> bool:
    return all((folder / name).is_file() for name in (_VIDEO, _ODOMETRY))


def read(folder: Path) -> Project:
    """Rows of odometry.csv: x y z in metres and qx qy qz qw of world_from_cam, OpenCV's axes in a world of ARKit's.

    A row is of the frame that it numbers, else of that in its place; its fx fy cx cy go before camera_matrix.csv. All
    are those of the stored picture. depth/000000.png is in millimetres. The lens tables of some recordings
    (distortion/, AVCameraCalibrationData's) are not used, and it is said: their radius is in shares of a picture whose
    size is not recorded. Intrinsics are a start only, and the lens is solved for.
    """
    path = folder / _ODOMETRY
    shared = _shared(folder / _CAMERA)
    views = []
    check_document(path)
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.DictReader(file, skipinitialspace=True)
        rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
        for place, row in enumerate(rows):
            views.append(_view(folder, f"{path}: row {place + 1}", place, row, shared))
    if not views:
        raise CaptureError(f"{path}: holds no poses; export the recording again")
    if any((folder / "distortion").glob("*.bin")):
        logger.warning("%s: its lens tables do not tell their scale: the lens is solved anew", folder / "distortion")
    beside = tuple(folder / name for name in _BESIDE)
    return Project("Stray Scanner", folder, tuple(views), True, _UP, beside, clip=folder / _VIDEO)


def _view(
    folder: Path, where: str, place: int, row: Mapping[str, str | None], shared: tuple[float, ...] | None
) -> KnownView:
    number = int(_numbers(where, row, "frame")[0]) if "frame" in row else place
    turn = _numbers(where, row, "qx", "qy", "qz", "qw")
    if not np.linalg.norm(turn) > 0:
        raise CaptureError(f"{where}: its quaternion is zero; export the recording again")
    position = _numbers(where, row, "x", "y", "z")
    pose = np.concatenate([Rotation.from_quat(turn).as_matrix(), position[:, None]], axis=1)
    told = tuple(_numbers(where, row, "fx", "fy", "cx", "cy").tolist()) if row.get("fx") else shared
    intrinsics = None if told is None else checked(Intrinsics("PINHOLE", told, None, None), told[:2], where)
    depth, confidence = (folder / kind / f"{number:06d}.png" for kind in ("depth", "confidence"))
    certain = confidence if confidence.is_file() else None
    return KnownView(
        f"{_VIDEO}/{number:06d}",
        intrinsics,
        invert(rigid(pose, where)),
        depth=SensorDepth(depth, _MILLI, confidence=certain, least_confidence=_MEDIUM) if depth.is_file() else None,
        calibrated=False,
        stored=True,
        frame=number,
    )


def _numbers(where: str, row: Mapping[str, str | None], *keys: str) -> Float:
    try:
        numbers = np.array([float(row[key] or "nan") for key in keys])
    except (KeyError, ValueError):
        numbers = np.array([np.nan])
    if not np.isfinite(numbers).all():
        raise CaptureError(f"{where}: has no numbers {' '.join(keys)} of Stray Scanner's; export the recording again")
    return numbers


def _shared(path: Path) -> tuple[float, ...] | None:
    """fx fy cx cy of the last frame, where the file is there."""
    if not path.is_file():
        return None
    try:
        K = np.loadtxt(path, delimiter=",")
        return float(K[0, 0]), float(K[1, 1]), float(K[0, 2]), float(K[1, 2])
    except (ValueError, IndexError) as error:
        raise CaptureError(f"{path}: no 3 x 3 matrix ({error}); export the recording again") from error
