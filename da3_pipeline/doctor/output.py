"""An output folder: can a run write there, is one at work, and is what lies there what it was?"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from ..guard.printable import printable
from .finding import Finding, fault, note, ok
from .machine import disk

__all__ = ["output_folder"]


def output_folder(output: Path) -> list[Finding]:
    """Of a session's folder, or of one that holds the sessions of a batch."""
    output = output.absolute()
    written = _writing(output)
    if written.status == "FAIL" or not output.is_dir():
        return [written]
    sessions = [output] if (output / ".da3").is_dir() else sorted(path.parent for path in output.glob("*/.da3"))
    return [written, disk("output", output), *_locks(output), *(found for one in sessions for found in _session(one))]


def _writing(output: Path) -> Finding:
    """By a file in it, or in the nearest folder above that is there: permissions do not tell of read-only disks."""
    there = next(path for path in (output, *output.parents) if path.exists())
    if not there.is_dir():
        return fault("output", f"{there} is a file", "name a folder")
    try:
        with tempfile.NamedTemporaryFile(dir=there, prefix=".da3-doctor-"):
            pass
    except OSError as error:
        remedy = "make it writable (chmod, mount), or choose another folder for --output"
        return fault("output", f"{there} cannot be written: {error.strerror or error}", remedy)
    return ok("output", f"{there} can be written")


def _locks(output: Path) -> Iterator[Finding]:
    """Whether a lock keeps others away: on some network file systems none does."""
    handle, name = tempfile.mkstemp(dir=output, prefix=".da3-doctor-")
    os.close(handle)
    try:
        with FileLock(name):
            if not _is_held(Path(name)):
                detail = "locks do not work on this file system: two runs in one folder would not see each other"
                yield note("locks", detail, "run one at a time there, or choose a local disk for --output")
    except (OSError, NotImplementedError) as error:
        yield fault("locks", f"this file system takes no locks: {error}", "choose another disk for --output")
    finally:
        Path(name).unlink(missing_ok=True)


def _session(folder: Path) -> Iterator[Finding]:
    """A lock that nobody holds is left by every run, and in nobody's way."""
    from ..export.staging import damaged_outputs

    name = printable(folder.name)
    if _is_held(folder / ".da3" / "lock"):
        yield note(name, "a run is at work in it", "wait for it, or end it; its lock goes with it")
        return
    damaged = damaged_outputs(folder)
    if (folder / ".da3-staging").exists():
        yield note(name, "an export was broken off", "run the same command again, which completes or repeats it")
    elif damaged is None:
        yield note(name, "has no finished data set", "run the same command again to resume")
    elif damaged:
        first = printable(sorted(damaged)[0])
        detail = f"{len(damaged)} of its outputs are lost or were changed, {first} first"
        yield note(name, detail, "run the same command again, which makes them anew")
    else:
        yield ok(name, "a finished data set, all of its files as they were written")


def _is_held(lock: Path) -> bool:
    if not lock.exists():
        return False
    try:
        FileLock(lock).acquire(blocking=False).lock.release()
    except Timeout:
        return True
    except OSError:
        return False
    return False
