"""AR Recorder's sessions: pictures of an Android phone and, in JSON of one object a picture, ARCore's camera."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ....errors import CaptureError
from ....guard.bounded import read_document
from ...names import natural_key
from ..views import Intrinsics, KnownView, Project, checked, from_opengl, placed

__all__ = ["read", "recognises"]

_PICTURE = re.compile(r"frame_(?:\d+_)?(\d+)\.jpe?g", re.IGNORECASE)
_INTERVALS_NS = (200_000_000, 500_000_000)  # of the versions that number pictures by their time
_UP = (0.0, 1.0, 0.0)  # ARCore aligns +y with gravity


def recognises(folder: Path) -> bool:
    return len(_documents(folder)) == 1 and any(_PICTURE.fullmatch(path.name) for path in folder.glob("frame_*"))


def read(folder: Path) -> Project:
    """session_N.jsonl: pos in metres and quat, x y z w, of world_from_cam with OpenGL's axes; fx fy cx cy of a picture
    of w x h pixels; within `pose` and `intrinsics`, or beside each other. Pictures carry frame_num; without it, the
    time t_ns in intervals.
    """
    (path,) = _documents(folder)
    rows = _objects(path)
    pictures = {int(found[1]): item for item in folder.iterdir() if (found := _PICTURE.fullmatch(item.name))}
    numbers = _numbers(rows, pictures, path)
    views = [
        _view(f"{path}: object {place + 1}", row, pictures[number], folder)
        for place, (row, number) in enumerate(zip(rows, numbers, strict=True))
        if number in pictures
    ]
    if not views:
        raise CaptureError(f"{path}: tells of none of the pictures beside it; share the session again")
    views.sort(key=lambda view: natural_key(view.name))
    return Project("AR Recorder", folder, tuple(views), True, _UP)


def _documents(folder: Path) -> list[Path]:
    return sorted(folder.glob("session_*.jsonl")) if folder.is_dir() else []


def _objects(path: Path) -> list[Mapping[str, Any]]:
    """The objects of a file, which may stand over several lines each; one that was cut off at the end is left out."""
    text, decoder, place = read_document(path), json.JSONDecoder(), 0
    found: list[Mapping[str, Any]] = []
    while (place := text.find("{", place)) >= 0:
        try:
            row, place = decoder.raw_decode(text, place)
        except json.JSONDecodeError:
            if text.find("\n{", place + 1) >= 0 or not found:
                raise CaptureError(f"{path}: object {len(found) + 1} is no JSON; share the session again") from None
            break
        found.append({**row, **_part(row, "pose"), **_part(row, "intrinsics")})
    return found


def _part(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = row.get(key)
    return part if isinstance(part, dict) else {}


def _numbers(rows: Sequence[Mapping[str, Any]], pictures: Mapping[int, Path], path: Path) -> list[int]:
    """The number of each row's picture."""
    try:
        if all("frame_num" in row for row in rows):
            return [int(row["frame_num"]) for row in rows]
        times = [int(row["t_ns"]) for row in rows]
    except (KeyError, TypeError, ValueError):
        raise CaptureError(f"{path}: has neither frame_num nor t_ns everywhere; share the session again") from None
    by_interval = [[time // interval for time in times] for interval in _INTERVALS_NS]
    return max(by_interval, key=lambda numbers: sum(number in pictures for number in numbers))


def _view(where: str, row: Mapping[str, Any], picture: Path, folder: Path) -> KnownView:
    try:
        position, turn = (np.array(row[key], float) for key in ("pos", "quat"))
        params = tuple(float(row[key]) for key in ("fx", "fy", "cx", "cy"))
        size = int(row["w"]), int(row["h"])
        told = position.shape == (3,) and turn.shape == (4,)
    except (KeyError, TypeError, ValueError):
        told = False
    if not told:
        raise CaptureError(f"{where}: has no numbers pos, quat, fx, fy, cx, cy, w and h; share the session again")
    return KnownView(
        picture.relative_to(folder).as_posix(),
        checked(Intrinsics("PINHOLE", params, *size), params[:2], where),
        from_opengl(placed(position, turn, where)),
        "transforms",
        picture,
        calibrated=False,
        stored=True,
    )
