"""iOS Logger's recordings, and those of its port to Android: a video; by time, poses of ARKit or ARCore and lenses."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ....arrays import Float
from ....errors import CaptureError
from ....guard.bounded import read_document
from ..views import Intrinsics, KnownView, Project, checked, from_opengl, placed

__all__ = ["read", "recognises"]

_FRAMES, _POSES = "Frames.txt", "ARposes.txt"
_VIDEOS = ("Frames.m4v", "Frames.mp4", "Frames.mov")
_APART_S = 0.02  # of a frame and its pose: of ARKit's, every other has the time of a frame, and they are 0.017 s apart
_UP = (0.0, 1.0, 0.0)  # both align +y with gravity


def recognises(folder: Path) -> bool:
    return all((folder / name).is_file() for name in (_FRAMES, _POSES)) and _video(folder) is not None


def read(folder: Path) -> Project:
    """Frames.txt: time, number of the frame, and where the camera tells them fx fy cx cy of the stored picture;
    ARposes.txt: time, x y z in metres, qw qx qy qz of world_from_cam with OpenGL's axes. Each frame has the pose that
    is nearest in time.
    """
    frames, poses = _rows(folder / _FRAMES, (2, 6)), _rows(folder / _POSES, (8,))
    clip = _video(folder)
    if clip is None or not len(frames):
        raise CaptureError(f"{folder / _FRAMES}: holds no frames; export the recording again")
    poses = poses[np.argsort(poses[:, 0], kind="stable")]
    views = []
    for row, pose in zip(frames, _nearest(poses, frames[:, 0]), strict=True):
        number = int(row[1])
        known = None
        if pose is not None:
            where = f"{folder / _POSES}: {pose[0]:.6f} s"
            known = from_opengl(placed(pose[1:4], pose[[5, 6, 7, 4]], where))
        intrinsics = _lens(row[2:], f"{folder / _FRAMES}: frame {number}")
        views.append(
            KnownView(f"{clip.name}/{number:06d}", intrinsics, known, calibrated=False, stored=True, frame=number)
        )
    return Project("iOS Logger", folder, tuple(views), True, _UP, clip=clip)


def _video(folder: Path) -> Path | None:
    return next((folder / name for name in _VIDEOS if (folder / name).is_file()), None)


def _rows(path: Path, columns: tuple[int, ...]) -> Float:
    """(N, columns) numbers of a file without a header; a line that a full disk cut off at the end is left out."""
    lines = [line.split(",") for line in read_document(path, errors="replace").splitlines() if line.strip()]
    wide = len(lines[0]) if lines else columns[0]
    if lines and len(lines[-1]) < wide:
        lines = lines[:-1]
    try:
        rows = np.array([[float(word) for word in line] for line in lines]).reshape(-1, wide)
    except ValueError:
        rows = np.full((1, wide), np.nan)
    if wide not in columns or not np.isfinite(rows).all():
        raise CaptureError(f"{path}: is no table of {' or '.join(map(str, columns))} numbers a line; export it again")
    return rows


def _nearest(poses: Float, times_s: Float) -> list[Float | None]:
    """The row of `poses` (N, 8), by rising time, that is nearest to each time and near enough."""
    if not len(poses):
        return [None] * len(times_s)
    after = np.searchsorted(poses[:, 0], times_s).clip(1, max(len(poses) - 1, 1))
    sides = np.stack([after - 1, after.clip(max=len(poses) - 1)])
    gaps = np.abs(poses[sides, 0] - times_s)
    best = np.where(gaps[0] <= gaps[1], sides[0], sides[1])
    return [poses[k] if gap <= _APART_S else None for k, gap in zip(best, gaps.min(0), strict=True)]


def _lens(told: Float, where: str) -> Intrinsics | None:
    if not len(told):
        return None
    params = tuple(float(value) for value in told)
    return checked(Intrinsics("PINHOLE", params, None, None), params[:2], where)
