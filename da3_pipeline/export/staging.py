"""Replace the outputs of an earlier run as a whole, or not at all.

Everything is first written below `FOLDER/.da3-staging/new`. When that is complete it is renamed to `ready`; then,
output by output, the old one is renamed into `old` and the new one into its place; last, `old` is removed. A failure
before `ready` leaves the earlier outputs untouched; one during the renames puts them back; a process killed
between two renames is finished by the next call, since `ready` says that the new outputs are whole.

`FOLDER/.da3/outputs.json` lists every file that was written, with its stamp, so that nothing else is ever replaced, and
a later run sees which are lost or were changed. It is kept twice, each copy with a checksum of its own: without it
nothing would be known to be ours.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import ExportError
from ..files.fingerprint import fingerprint
from ..files.integrity import Stamp, damaged, stamps_of

__all__ = ["OUTPUTS", "check_folder", "damaged_outputs", "finish_interrupted", "staged", "write_atomically"]

OUTPUTS = (
    *("images", "sparse", "masks", "depths", "transforms.json", "sparse_pc.ply", "init.ply"),
    *("gaussians.ply", "gaussians.spz", "orbit.mp4", "equirectangular"),
)
"""What an export replaces, beside smaller copies (`images_2`, ...) that it writes or an earlier one wrote."""

_MANIFESTS = (Path(".da3", "outputs.json"), Path(".da3", "outputs-copy.json"))
_SYSTEM_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})


def check_folder(folder: Path, sources: Sequence[Path] = (), copies: Sequence[str] = ()) -> None:
    """Raise ExportError where an export would replace files that are not of an earlier export, or its own sources.

    `copies` are folders that it writes beside OUTPUTS.
    """
    known = _read_manifest(folder)
    names = _places(folder, copies)
    for name in names:
        place = folder / name
        stray = next((path for path in _files(place) if path.relative_to(folder).as_posix() not in known), None)
        if stray is not None:
            raise ExportError(f"{stray}: was not written by da3-pipeline; move it away or choose another --output")
    places = {(folder / name).resolve() for name in names}
    for source in sources:
        if not places.isdisjoint(source.resolve().parents):
            raise ExportError(f"{source}: is an input below the output folder {folder}; choose another --output")


@contextlib.contextmanager
def staged(folder: Path, sources: Sequence[Path] = (), copies: Sequence[str] = ()) -> Iterator[Path]:
    """A fresh folder to write outputs into; on a clean exit they take the place of the earlier ones in `folder`.

    Any OSError inside becomes an ExportError. Nothing is left of a failed attempt.
    """
    staging = folder / ".da3-staging"
    new = staging / "new"
    try:
        finish_interrupted(folder)
        check_folder(folder, sources, copies)
        new.mkdir(parents=True)
        yield new
        _publish(folder, staging)
    except OSError as error:
        raise ExportError(_one_line(folder, error)) from error
    finally:
        # A staging folder that still says `ready` is a publication to be finished by the next call.
        if not (staging / "ready").exists():
            shutil.rmtree(staging, ignore_errors=True)


def damaged_outputs(folder: Path, *, thorough: bool = False) -> list[str] | None:
    """The files of the last export that are lost or not what they were; None where no export is whole there.

    `thorough` reads all of them, else only those whose size or time differ.
    """
    listed = _read_manifest(folder)
    if not listed or (folder / ".da3-staging" / "ready").is_dir():
        return None
    return damaged(folder, listed, thorough=thorough)


def finish_interrupted(folder: Path) -> None:
    """Complete the renames of a process that was killed amid them; remove what an unfinished one left behind."""
    staging = folder / ".da3-staging"
    if (staging / "ready").is_dir():
        _move_in(folder, staging)
    shutil.rmtree(staging, ignore_errors=True)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file beside its place and rename it in. Raises ExportError where the disk does not take it.

    Bytes of paths that are no UTF-8 (lone surrogates in the text) are written as '?'.
    """
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_text(text, encoding="utf-8", errors="replace")
        os.replace(fresh, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise ExportError(_one_line(path.parent, error)) from error


def _publish(folder: Path, staging: Path) -> None:
    new, ready = staging / "new", staging / "ready"
    files = stamps_of(new, sorted(_files(new)))
    (folder / ".da3").mkdir(exist_ok=True)
    # The manifest covers old and new files until the exchange is over: either set is ours.
    _write_manifest(folder, {**_read_manifest(folder), **files})
    (staging / "contents.json").write_text(json.dumps([path.name for path in new.iterdir()]), encoding="utf-8")
    new.rename(ready)
    try:
        _move_in(folder, staging)
    except OSError:
        _move_back(folder, staging)
        ready.rename(new)
        raise
    shutil.rmtree(staging, ignore_errors=True)
    with contextlib.suppress(ExportError):  # the wider list that is there already does no harm
        _write_manifest(folder, files)


def _move_in(folder: Path, staging: Path) -> None:
    """Exchange outputs for those in `ready`; doing it again after an interruption continues where it stopped."""
    ready, old = staging / "ready", staging / "old"
    contents = json.loads((staging / "contents.json").read_text(encoding="utf-8"))
    old.mkdir(exist_ok=True)
    for name in _places(folder, contents):
        arrived = name in contents and not (ready / name).exists()
        if not arrived and (folder / name).exists():
            (folder / name).rename(old / name)
        if (ready / name).exists():
            (ready / name).rename(folder / name)
    ready.rename(staging / "spent")


def _move_back(folder: Path, staging: Path) -> None:
    ready, old = staging / "ready", staging / "old"
    contents = json.loads((staging / "contents.json").read_text(encoding="utf-8"))
    for name in _places(folder, contents):
        if name in contents and not (ready / name).exists():
            (folder / name).rename(ready / name)
        if (old / name).exists():
            (old / name).rename(folder / name)


def _places(folder: Path, written: Sequence[str]) -> list[str]:
    """The names in `folder` that an export exchanges: OUTPUTS, what it writes, and what an earlier one wrote."""
    earlier = sorted({name.partition("/")[0] for name in _read_manifest(folder)})
    return list(dict.fromkeys([*OUTPUTS, *written, *earlier]))


def _files(place: Path) -> Iterator[Path]:
    """The files at or below a path, less those that operating systems strew."""
    if place.is_dir() and not place.is_symlink():
        for parent, _, names in os.walk(place):
            yield from (Path(parent, name) for name in names if name not in _SYSTEM_FILES)
    elif place.exists() or place.is_symlink():
        yield place


def _read_manifest(folder: Path) -> dict[str, Stamp]:
    """Stamps by name, from the first copy that is whole; those of what an earlier version listed meet nothing."""
    for place in _MANIFESTS:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
            document = json.loads((folder / place).read_text(encoding="utf-8"))
            if isinstance(document, list):
                return {str(name): (0, 0, "") for name in document}
            files = {
                name: (int(size), int(time_ns), str(digest))
                for name, (size, time_ns, digest) in document["files"].items()
            }
            if document["checksum"] == fingerprint(files):
                return files
    return {}


def _write_manifest(folder: Path, files: Mapping[str, Stamp]) -> None:
    document = {"files": files, "checksum": fingerprint(files)}
    for place in _MANIFESTS:
        write_atomically(folder / place, json.dumps(document, ensure_ascii=False, indent=0))


def _one_line(folder: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "free some space and run the same command again"
    else:
        remedy = "make it writable or choose another --output"
    return f"{folder}: the data set cannot be written ({error.strerror or error}); {remedy}"
