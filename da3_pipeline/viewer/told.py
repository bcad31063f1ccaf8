"""What report.json and transforms.json say, as far as it is what they should say; and which files are the session's.

A session may be anybody's: what is not as the exporter writes it is left out, and said in a note.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Float
from ..guard.bounded import read_json
from ..guard.foreign import reason

__all__ = ["Told", "inside", "number", "read_told"]

_MOST = 1e300  # of a whole number, which may be longer than any float
_FARTHEST = 1e12  # of coordinates: surveys have 1e7
_PLY = "sparse_pc.ply"


@dataclass(frozen=True)
class Told:
    """figures: of images by their name. measured: how many tracks are, None where all are. summary: the verdict in a
    sentence. applied: (3, 4) from the world of sparse/0 to that of transforms.json, None where unknown; offset (3,):
    what the seeds' file leaves out. seeds: that file below the session. notes: sentences.
    """

    figures: Mapping[str, Mapping[str, Any]]
    measured: int | None
    summary: str
    applied: Float | None
    offset: Float
    seeds: str
    notes: tuple[str, ...]


def read_told(folder: Path) -> Told:
    """The documents of a session folder; what is not there is as if it were empty."""
    notes: list[str] = []
    report, transforms = (_document(folder / name, notes) for name in ("report.json", "transforms.json"))
    frames = report.get("frames")
    verdict, data_set = (_mapping(report.get(key)) for key in ("verdict", "data_set"))
    measured, summary = data_set.get("tracks_measured"), verdict.get("summary")
    named = [_mapping(frame) for frame in frames] if isinstance(frames, list) else []
    seeds = transforms.get("ply_file_path", _PLY)
    return Told(
        figures={frame["image"]: frame for frame in named if isinstance(frame.get("image"), str)},
        measured=measured if type(measured) is int else None,
        summary=summary if isinstance(summary, str) else "no report.json: nothing is known of the quality",
        applied=_numbers(transforms.get("applied_transform"), (3, 4)),
        offset=_or_zero(_numbers(transforms.get("world_offset"), (3,))),
        seeds=seeds if isinstance(seeds, str) else _PLY,
        notes=tuple(notes),
    )


def inside(folder: Path, name: str) -> Path | None:
    """The file of that name below a folder; None where it, or what a link there leads to, lies elsewhere."""
    try:
        path = folder / name
        return path if path.resolve().is_relative_to(folder.resolve()) else None
    except (OSError, ValueError, RuntimeError):  # a name that no file can have, links in a circle
        return None


def number(value: Any) -> float | None:
    """A finite number; None for anything else."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST
    return float(value) if known else None


def _document(path: Path, notes: list[str]) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = read_json(path)
    except Exception as error:  # whatever it is: the session is shown without it
        notes.append(f"{path.name} cannot be read ({reason(error)}).")
        return {}
    if not isinstance(found, dict):
        notes.append(f"{path.name} is not what da3-pipeline writes.")
    return _mapping(found)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _numbers(value: Any, shape: tuple[int, ...]) -> Float | None:
    try:
        found = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return None
    return found if found.shape == shape and (np.abs(found) < _FARTHEST).all() else None


def _or_zero(offset: Float | None) -> Float:
    return np.zeros(3) if offset is None else offset
