"""What files were when they were written, so that a later run finds those that are lost or were changed.

A stamp is size, time of change and a checksum. The first two cost nothing and are looked at always; the checksum where
they leave a doubt, or where it is asked for: a disk that loses a bit changes neither.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["Stamp", "Stamps", "damaged", "stamps_of"]

Stamp = tuple[int, int, str]
"""Bytes, nanoseconds of the last change, and 32 hexadecimal digits of BLAKE2b."""

Stamps = Mapping[str, Stamp]
"""By path below a folder, with slashes."""

_CHUNK = 1 << 20
_READ: dict[tuple[int, int, int, int], str] = {}
"""Checksums by device, inode, size and time: maps of long captures are linked into several artefacts, and read once."""


def stamps_of(folder: Path, files: Iterable[Path]) -> dict[str, Stamp]:
    """Of files at or below a folder, or absolute ones elsewhere. Raises OSError where one cannot be read."""
    return {_name(path, folder): _stamp(path) for path in files}


def damaged(folder: Path, stamps: Stamps, *, thorough: bool = False) -> list[str]:
    """The names of those that are absent, no files any more, or not what they were; `thorough` reads all of them.

    Names that are no stamps (of an earlier version) count as damaged: nothing is known of them.
    """
    return [name for name, stamp in stamps.items() if not _is_whole(folder / name, stamp, thorough)]


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    state = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    if state not in _READ:
        _READ[state] = _checksum(path)
    return status.st_size, status.st_mtime_ns, _READ[state]


def _is_whole(path: Path, stamp: Stamp, thorough: bool) -> bool:
    try:
        size, changed_ns, checksum = stamp
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size != size:
            return False
        if status.st_mtime_ns == changed_ns and not thorough:
            return True
        return _checksum(path) == checksum
    except (OSError, TypeError, ValueError):
        return False


def _checksum(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()
