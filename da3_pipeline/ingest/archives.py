"""Archives as sources: a .zip, or Record3D's .r3d, which is one, unpacked into a work folder before anything else.

An archive is the word of a stranger: no file leaves the folder, nothing but files and folders is made, and what it
comes to is known and allowed before the first byte is written.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ..errors import CaptureError
from ..guard.foreign import reading
from ..progress import Progress
from .config import ArchiveConfig

__all__ = ["ARCHIVES_READ", "is_archive", "unpacked"]

ARCHIVES_READ = (".zip", ".r3d")
_JUNK = "__MACOSX"
_PASSWORD = 1  # of the flags of a file
_GB = 1e9


def unpacked(sources: Sequence[Path], work: Path, config: ArchiveConfig, progress: Progress) -> list[Path]:
    """The sources, with the folder that it was unpacked into below `work` in place of each archive.

    One that an earlier run unpacked is found again as long as its path, size and time are the same; others go. Files
    have the time of their archive. Raises CaptureError, in one line, for one that cannot be unpacked or may not be.
    """
    places = {source: work / _identity(source) / source.stem for source in sources if is_archive(source)}
    if work.is_dir():
        for left in set(work.iterdir()) - {place.parent for place in places.values()}:
            shutil.rmtree(left, ignore_errors=True)
    for source, place in places.items():
        if not place.is_dir():
            progress.begin("unpack")
            progress.end(f"{source.name}: {_unpack(source, place, config, progress)} files")
    return [places.get(source, source) for source in sources]


def is_archive(source: Path) -> bool:
    """Whether a source is a file that calls itself an archive that is read."""
    return source.suffix.lower() in ARCHIVES_READ and source.is_file()


def _identity(source: Path) -> str:
    status = source.stat()
    told = f"{os.fsencode(source.absolute())!r} {status.st_size} {status.st_mtime_ns}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


@reading(CaptureError, "copy it again, or unpack it yourself and give the folder")
def _unpack(source: Path, place: Path, config: ArchiveConfig, progress: Progress) -> int:
    """Unpack an archive as a whole or not at all; the number of files."""
    fresh = place.with_name(f".{place.parent.name}.new")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        with zipfile.ZipFile(source) as archive:
            targets = _targets(source, archive, config, _free_bytes(place))
            fresh.mkdir(parents=True)
            for done, (entry, below) in enumerate(targets.items(), start=1):
                target = fresh / below
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as packed, open(target, "xb") as file:
                    shutil.copyfileobj(packed, file, 1 << 20)
                os.utime(target, ns=(source.stat().st_mtime_ns,) * 2)
                progress.step(done, len(targets), below.name)
        fresh.rename(place)
    except OSError as error:
        raise CaptureError(
            f"{source}: cannot be unpacked ({error.strerror or error}); unpack it yourself and give the folder"
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return len(targets)


def _targets(
    source: Path, archive: zipfile.ZipFile, config: ArchiveConfig, free_bytes: int
) -> dict[zipfile.ZipInfo, PurePosixPath]:
    """The files of an archive, and where below the folder each goes. Raises CaptureError for what is not allowed."""
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    remedy = "unpack it yourself and give the folder"
    if len(entries) > config.most_files:
        raise CaptureError(f"{source}: {len(entries):,} files, more than {config.most_files:,}; {remedy}")
    size = sum(entry.file_size for entry in entries)
    if size > config.most_bytes:
        raise CaptureError(f"{source}: {size / _GB:,.0f} GB, more than {config.most_bytes / _GB:,.0f}; {remedy}")
    if size > config.free_to_grow_bytes and size > config.most_growth * source.stat().st_size:
        raise CaptureError(f"{source}: would grow to {size / _GB:,.1f} GB, as no capture does; {remedy}")
    if size > free_bytes:
        raise CaptureError(f"{source}: needs {size / _GB:,.1f} GB in the output folder; free some, or choose another")
    targets = {}
    for entry in entries:
        below = PurePosixPath(entry.filename.replace("\\", "/"))
        if below.is_absolute() or ".." in below.parts or ":" in below.parts[0]:
            raise CaptureError(f"{source}: its file {entry.filename!r} leads out of the folder; {remedy}")
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
            raise CaptureError(f"{source}: its file {entry.filename!r} is a link or a device; {remedy}")
        if entry.flag_bits & _PASSWORD:
            raise CaptureError(f"{source}: has a password; {remedy}")
        if below.parts[0] != _JUNK:
            targets[entry] = below
    return targets


def _free_bytes(place: Path) -> int:
    existing = next(folder for folder in place.parents if folder.is_dir())
    return shutil.disk_usage(existing).free
