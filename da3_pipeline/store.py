"""The session folder: what is done is kept under a fingerprint and found again.

`OUTPUT/.da3/<stage>/` holds `artefact.json`, `arrays.npz`, large arrays as .npy files, and `stage.json` (fingerprint
and cost). A stage folder is written beside its place and renamed into it, so it is either whole or absent. This is
the only module that knows these names.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from filelock import FileLock, Timeout

from .errors import ExportError, UsageError
from .fingerprint import fingerprint
from .types import StageRecord

__all__ = ["Session", "file_stamps", "sources_fingerprint"]

_NAME = ".da3"
_NETWORK = "network.json"
_DAMAGED = (OSError, ValueError, KeyError, TypeError, BadZipFile)
_CHEAP = (_NAME, "ingest", "select", "mask", "chunks")  # of chunks only the note of the plan: each has its own folder


def file_stamps(settings: object) -> list[tuple[str, int, int]]:
    """Size and modification time of every existing file that a configuration names, however deeply nested."""
    if isinstance(settings, dict):
        return [stamp for value in settings.values() for stamp in file_stamps(value)]
    if isinstance(settings, list):
        return [stamp for value in settings for stamp in file_stamps(value)]
    if isinstance(settings, str):
        with contextlib.suppress(OSError, ValueError):
            status = Path(settings).stat()
            return [(settings, status.st_size, status.st_mtime_ns)]
    return []


def sources_fingerprint(sources: Sequence[Path], exclude: Path) -> str:
    """What identifies the state of source files without reading them: paths, sizes and modification times."""
    entries: list[tuple[str, int, int]] = []

    def add(path: Path) -> None:
        with contextlib.suppress(OSError):
            status = path.stat()
            entries.append((str(path), status.st_size, status.st_mtime_ns))

    for source in sources:
        if not source.is_dir():
            add(source)
            continue
        for folder, subfolders, files in os.walk(source):
            subfolders[:] = [name for name in subfolders if not _is_left_alone(Path(folder, name), exclude)]
            for name in files:
                add(Path(folder, name))
    return fingerprint(sorted(entries))


def _is_left_alone(folder: Path, exclude: Path) -> bool:
    """The output of this run, and of others: nothing in there is a source."""
    return folder.resolve() == exclude or (folder / _NAME).is_dir()


class Session:
    """One output folder and the finished stages in it."""

    def __init__(self, output: Path) -> None:
        self.output = output.resolve()
        self._folder = self.output / _NAME

    @classmethod
    @contextlib.contextmanager
    def open(cls, output: Path, *, overwrite: bool = False) -> Iterator[Session]:
        """The session in `output`, created or resumed, and locked against a second run.

        Raises UsageError for a folder that holds something else or that another run is using, ExportError where
        it cannot be written. `overwrite` forgets the finished stages; exported files stay until new ones replace them.
        """
        session = cls(output)
        created = session._prepare()
        try:
            with session._locked():
                if overwrite:
                    session.forget()
                yield session
        finally:
            if created:
                session._remove_if_cheap()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        lock = FileLock(self._folder / "lock")
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            message = f"{self.output}: another run is at work in this folder; wait for it, or choose another --output"
            raise UsageError(message) from error
        try:
            yield
        finally:
            lock.release()

    def _prepare(self) -> list[Path]:
        """Make the session folder; return the folders that had to be created, innermost first."""
        if self.output.exists() and not self.output.is_dir():
            raise UsageError(f"{self.output}: is a file; --output must name a folder")
        if self.output.is_dir() and not self._folder.is_dir() and any(self.output.iterdir()):
            raise UsageError(
                f"{self.output}: is not empty and holds no session of da3-pipeline; choose an empty folder for --output"
            )
        missing = [path for path in (self._folder, *self._folder.parents) if not path.exists()]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            probe = self._folder / "lock"
            probe.touch()
        except OSError as error:
            raise ExportError(
                f"{self.output}: cannot be written ({error.strerror}); choose another --output"
            ) from error
        return missing

    def _remove_if_cheap(self) -> None:
        """A run that failed before anything dear was made (stills of a video, a prediction) leaves no folder behind."""
        made = (path for path in self._folder.rglob("*") if path.is_file() and self.unpacked not in path.parents)
        dear = [path for path in made if path.parent.name not in _CHEAP]
        if not dear and {path.name for path in self.output.iterdir()} == {_NAME}:
            shutil.rmtree(self._folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                self.output.rmdir()

    @property
    def unpacked(self) -> Path:
        """Where archives that are sources are unpacked."""
        return self._folder / "unpacked"

    @property
    def stills(self) -> Path:
        """Where stills extracted from videos live."""
        return self._folder / "stills"

    @property
    def masks(self) -> Path:
        """Where masks of people live."""
        return self._folder / "masks"

    @property
    def chunks(self) -> Path:
        """Where inference keeps finished chunks, and the maps of long captures."""
        return self._folder / "chunks"

    @property
    def network(self) -> str | None:
        """The network that this session's frames are shown to; None where that has not been decided."""
        try:
            return str(json.loads((self._folder / _NETWORK).read_text(encoding="utf-8"))["name"])
        except _DAMAGED:
            return None

    def remember_network(self, name: str) -> None:
        """Keep it for later runs. Raises ExportError where the disk does not take it."""
        if name == self.network:
            return
        fresh = self._folder / f"{_NETWORK}.new"
        try:
            fresh.write_text(json.dumps({"name": name}), encoding="utf-8")
            os.replace(fresh, self._folder / _NETWORK)
        except OSError as error:
            raise ExportError(f"{self.output}: cannot be written ({error.strerror}); free some space") from error

    def forget(self) -> None:
        """Drop every finished stage, and what network they are of."""
        (self._folder / _NETWORK).unlink(missing_ok=True)
        for path in self._folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)

    def load(self, stage: str, key: str) -> tuple[Any, StageRecord] | None:
        """A finished stage's artefact if its fingerprint is `key`; None where it is absent, outdated or damaged."""
        from .codec import read_artefact

        folder = self._folder / stage
        try:
            record = json.loads((folder / "stage.json").read_text(encoding="utf-8"))
            if record["fingerprint"] != key:
                return None
            artefact = read_artefact(folder, self.output)
            return artefact, StageRecord(stage, record["seconds"], record["peak_memory_mb"], reused=True)
        except _DAMAGED:
            return None

    def stored(self, stage: str) -> Any | None:
        """A finished stage's artefact whatever its fingerprint, to be looked at; None where it is absent or damaged.

        Touches nothing and takes no lock. Whoever asks must check that it belongs to what lies beside it.
        """
        from .codec import read_artefact

        try:
            return read_artefact(self._folder / stage, self.output)
        except _DAMAGED:
            return None

    def save(self, stage: str, key: str, artefact: Any, record: StageRecord) -> None:
        """Keep a finished stage. Raises ExportError where the disk does not take it."""
        from .codec import write_artefact

        fresh = self._folder / f"{stage}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            fresh.mkdir()
            write_artefact(artefact, fresh, self.output)
            document = {"fingerprint": key, "seconds": record.seconds, "peak_memory_mb": record.peak_memory_mb}
            (fresh / "stage.json").write_text(json.dumps(document), encoding="utf-8")
            shutil.rmtree(self._folder / stage, ignore_errors=True)
            fresh.rename(self._folder / stage)
        except OSError as error:
            shutil.rmtree(fresh, ignore_errors=True)
            remedy = "free some space" if error.errno == errno.ENOSPC else "make it writable"
            message = f"the {stage} stage cannot be saved ({error.strerror}); {remedy} and run the same command again"
            raise ExportError(f"{self.output}: {message}") from error
