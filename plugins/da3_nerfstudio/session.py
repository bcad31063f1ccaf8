"""What makes a folder a finished session that a trainer can read; knows nothing of nerfstudio."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from da3_pipeline.errors import CaptureError

__all__ = ["FinishedSession", "open_session", "read_list"]

_REQUIRED = ("transforms.json", "sparse_pc.ply", "report.json")


@dataclass(frozen=True)
class FinishedSession:
    """A data set that `da3-pipeline run` left behind.

    `warning` is None where the scene passed its quality gates, else one sentence for the user.
    """

    folder: Path
    frames: int
    warning: str | None


def open_session(folder: Path) -> FinishedSession:
    """Check that `folder` holds everything a trainer reads.

    Raises CaptureError naming what is missing and the command that makes it.
    """
    if not folder.exists():
        raise CaptureError(f"{folder}: no such folder; --data must name the output of da3-pipeline run")
    if not folder.is_dir():
        raise CaptureError(f"{folder}: is a file; --data must name a folder: {_command(folder)}")
    missing = [name for name in _REQUIRED if not (folder / name).is_file()]
    if missing:
        raise CaptureError(f"{folder}: is not a finished session (no {', '.join(missing)}); {_remedy(folder)}")
    transforms, report = _read(folder / "transforms.json"), _read(folder / "report.json")
    names = _frame_paths(folder / "transforms.json", transforms)
    absent = [name for name in names if not (folder / name).is_file()]
    if absent:
        others = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise CaptureError(f"{folder}: {absent[0]}{others} of transforms.json cannot be found; {_remedy(folder)}")
    if "ply_file_path" not in transforms:
        raise CaptureError(f"{folder / 'transforms.json'}: names no seed points (ply_file_path); {_remedy(folder)}")
    return FinishedSession(folder, len(transforms["frames"]), _warning(report))


def read_list(path: Path, names: Sequence[str]) -> set[str]:
    """The images of `names` that a text file lists, one a line, with or without folder and suffix.

    Raises CaptureError for a file that cannot be read, a line that is no image, and a list of all images or none.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise CaptureError(f"{path}: cannot be read ({error}); list image names, one a line") from error
    known: dict[str, set[str]] = {}
    for name in names:
        for key in {name, f"images/{name}", PurePosixPath(name).name, PurePosixPath(name).stem}:
            known.setdefault(key, set()).add(name)
    listed: set[str] = set()
    for line in filter(None, lines):
        if len(known.get(line, ())) != 1:
            raise CaptureError(f"{path}: {line!r} is no image of the session; names are such as {names[0]!r}")
        listed |= known[line]
    if not listed or len(listed) == len(names):
        raise CaptureError(f"{path}: lists {len(listed)} of {len(names)} images; some must be held out and some kept")
    return listed


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CaptureError(f"{path}: cannot be read as JSON ({error}); {_remedy(path.parent)}") from error
    if not isinstance(document, dict):
        raise CaptureError(f"{path}: holds no JSON object; {_remedy(path.parent)}")
    return document


def _frame_paths(path: Path, transforms: dict[str, Any]) -> list[str]:
    """Every file that the frames name: images, and masks and depths where they have them."""
    frames = transforms.get("frames")
    if not isinstance(frames, list) or not frames:
        raise CaptureError(f"{path}: lists no frames; {_remedy(path.parent)}")
    keys = ("file_path", "mask_path", "depth_file_path")
    return [str(frame[key]) for frame in frames for key in keys if key in frame]


def _warning(report: dict[str, Any]) -> str | None:
    verdict = report.get("verdict")
    if not isinstance(verdict, dict) or verdict.get("passed", True):
        return None
    what = "not verified" if verdict.get("unverified") else "below its quality gates"
    return f"this scene is {what}: {verdict.get('summary', 'see report.html')}"


def _remedy(folder: Path) -> str:
    if (folder / ".da3").is_dir():
        return f"resume it with the command that began it: da3-pipeline run SOURCE --output '{folder}'"
    return _command(folder)


def _command(source: Path) -> str:
    output = source.with_name(f"{source.stem or 'capture'}-da3")
    return f"da3-pipeline run '{source}' --output '{output}', then --data '{output}'"
