"""Which captures a folder holds: each sub-folder with photographs or videos, each video and archive beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from da3_pipeline.errors import CaptureError
from da3_pipeline.imageio import sniff_format
from da3_pipeline.ingest.archives import is_archive
from da3_pipeline.ingest.names import natural_key
from da3_pipeline.ingest.scan import scan
from da3_pipeline.types import Dropped

__all__ = ["CaptureSource", "captures_among", "entries_of", "find_captures"]

_LOOSE = "lie beside the captures; give them a sub-folder"


@dataclass(frozen=True)
class CaptureSource:
    """One capture: a folder, or a video or archive. `name` is that of the file or folder, and of its session folder.

    url: where it lies, if that is far away; `path` is then where it will lie, and `stamp` what its files are.
    """

    name: str
    path: Path
    url: str = ""
    stamp: str = ""


def find_captures(root: Path, exclude: Path) -> tuple[tuple[CaptureSource, ...], tuple[Dropped, ...]]:
    """The captures of `root` in natural order of their names, and what lies beside them and is none, with the reason.

    Hidden entries and `exclude` (the batch's own output) are passed over. Raises CaptureError where there is none.
    """
    found, left_out = captures_among(entries_of(root, exclude), exclude)
    if not found:
        photographs = any(dropped.reason == _LOOSE for dropped in left_out)
        remedy = f"for one capture: da3-pipeline run '{root}' --output DIR" if photographs else "check the path"
        raise CaptureError(f"{root}: holds no sub-folder with photographs or videos, and no video; {remedy}")
    return found, left_out


def entries_of(root: Path, exclude: Path) -> list[Path]:
    """What lies in `root`, in natural order, but for hidden entries and `exclude`.

    Raises CaptureError where it cannot be listed.
    """
    if not root.is_dir():
        raise CaptureError(f"{root}: no such folder; name a folder that holds one sub-folder or video for each capture")
    try:
        entries = sorted(root.iterdir(), key=lambda path: natural_key(path.name))
    except OSError as error:
        remedy = "make it readable" if isinstance(error, PermissionError) else "check the path"
        raise CaptureError(f"{root}: cannot be listed ({error.strerror}); {remedy}") from error
    return [path for path in entries if not path.name.startswith(".") and not _is_same(path, exclude)]


def captures_among(entries: Sequence[Path], exclude: Path) -> tuple[tuple[CaptureSource, ...], tuple[Dropped, ...]]:
    """Which of these are captures, and which are none, with the reason."""
    found: list[CaptureSource] = []
    left_out: list[Dropped] = []
    photographs = 0
    for path in entries:
        kind = _kind_or_fault(path, exclude)
        if kind == "capture":
            found.append(CaptureSource(path.name, path))
        elif kind == "photograph":
            photographs += 1
        elif kind:
            left_out.append(Dropped(path.name, kind))
    if photographs:
        left_out.append(Dropped(f"{photographs} photographs", _LOOSE))
    return tuple(found), tuple(left_out)


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:  # one of them is not there, or a link that leads nowhere
        return False


def _kind_or_fault(path: Path, exclude: Path) -> str:
    """As `_kind`; whatever is wrong with one entry is said of it and does not touch the others."""
    try:
        path.stat()
        return _kind(path, exclude)
    except OSError as error:
        return f"cannot be looked into ({error.strerror or error})"
    except (RuntimeError, ValueError) as error:
        return f"cannot be looked into ({error})"


def _kind(path: Path, exclude: Path) -> str:
    """'capture', 'photograph', the reason why it is none, or '' for a file that is nobody's business."""
    if path.is_dir():
        if (path / ".da3").is_dir():
            return "is the output of a session"
        listing = scan([path], exclude)
        # Pictures that cannot be read still make a capture: its failure names each of them.
        return "capture" if listing.files or listing.dropped else "holds no photographs or videos"
    if not path.is_file():
        return ""
    if is_archive(path):
        return "capture"
    try:
        listing = scan([path])
    except CaptureError:
        return "an archive that is not read; unpack it, or give a .zip"
    if any(file.kind == "video" for file in listing.files):
        return "capture"
    return "photograph" if sniff_format(path) is not None else ""
