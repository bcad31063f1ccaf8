"""The session folder: what is done is kept under a fingerprint and found again.

`OUTPUT/.da3/<stage>/` holds `artefact.json`, `arrays.npz`, large arrays as .npy files, and `stage.json` (fingerprint,
cost, and the stamps of these files and of others that the stage made). A stage folder is written beside its place and
renamed into it, so it is either whole or absent; one whose files are not what they were is as good as absent. This is
the only module that knows these names.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from filelock import FileLock, Timeout

from ..errors import ExportError, SessionBusyError, UsageError
from ..files.fingerprint import fingerprint
from ..files.integrity import damaged, stamps_of
from ..types import StageRecord

__all__ = ["Session", "disk_is_full", "file_stamps", "sources_fingerprint"]

_NAME = ".da3"
_NETWORK = "network.json"
_REPORT = "report.json"
_DAMAGED = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, RecursionError, BadZipFile, zlib.error)
_CHEAP = (_NAME, "ingest", "select", "mask", "chunks")  # of chunks only the note of the plan: each has its own folder


def file_stamps(settings: object) -> list[tuple[str, int, int]]:
    """Path, size and modification time of every existing file that a configuration names, however deeply nested, and
    of all files in a folder that it names."""
    if isinstance(settings, dict):
        return [stamp for value in settings.values() for stamp in file_stamps(value)]
    if isinstance(settings, list):
        return [stamp for value in settings for stamp in file_stamps(value)]
    if isinstance(settings, str) and settings:
        with contextlib.suppress(OSError, ValueError):
            return sorted(_states([Path(settings)], None))
    return []


def sources_fingerprint(sources: Sequence[Path], exclude: Path) -> str:
    """What identifies the state of source files without reading them: paths, sizes and modification times.

    Links are followed, to files and to folders, as ingest does.
    """
    return fingerprint(sorted(_states(sources, exclude)))


def _states(paths: Sequence[Path], exclude: Path | None) -> Iterator[tuple[str, int, int]]:
    """Path, size and time of files, and of all below folders, each folder once however many links lead to it."""
    seen: set[tuple[int, int]] = set()
    for path in paths:
        if not path.is_dir():
            yield from _state(path)
            continue
        for folder, subfolders, files in os.walk(path, followlinks=True):
            with contextlib.suppress(OSError):
                status = os.stat(folder)
                if (status.st_dev, status.st_ino) in seen:
                    subfolders.clear()
                    continue
                seen.add((status.st_dev, status.st_ino))
            subfolders[:] = [name for name in subfolders if not _is_left_alone(Path(folder, name), exclude)]
            for name in files:
                yield from _state(Path(folder, name))


def _state(path: Path) -> Iterator[tuple[str, int, int]]:
    with contextlib.suppress(OSError, ValueError):
        status = path.stat()
        yield str(path), status.st_size, status.st_mtime_ns


def _is_left_alone(folder: Path, exclude: Path | None) -> bool:
    """The output of this run, and of others: nothing in there is a source."""
    return folder.resolve() == exclude or (folder / _NAME).is_dir()


class Session:
    """One output folder and the finished stages in it.

    thorough: whether files are held against their checksums, or only where size or time leave a doubt.
    """

    def __init__(self, output: Path, *, thorough: bool = False) -> None:
        self.output = output.resolve()
        self.thorough = thorough
        self._folder = self.output / _NAME

    @classmethod
    @contextlib.contextmanager
    def open(cls, output: Path, *, overwrite: bool = False, thorough: bool = False) -> Iterator[Session]:
        """The session in `output`, created or resumed, and locked against a second run.

        Raises UsageError for a folder that holds something else, SessionBusyError where another run is using it,
        ExportError where it cannot be written. `overwrite` forgets the finished stages; exported files stay until new
        ones replace them.
        """
        session = cls(output, thorough=thorough)
        created = session._prepare()
        try:
            with session._locked():
                if overwrite:
                    session.forget()
                yield session
        except BaseException:
            if created:
                session._remove_if_cheap()
            raise

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        lock = FileLock(self._folder / "lock")
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            message = f"{self.output}: another run is at work in this folder; wait for it, or choose another --output"
            raise SessionBusyError(message) from error
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
        if name != self.network:
            self._note(_NETWORK, {"name": name})

    def _note(self, name: str, document: dict[str, Any]) -> None:
        fresh = self._folder / f"{name}.new"
        try:
            fresh.write_text(json.dumps(document), encoding="utf-8")
            os.replace(fresh, self._folder / name)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise ExportError(f"{self.output}: cannot be written ({error.strerror}); free some space") from error

    def forget(self) -> None:
        """Drop every finished stage, and what network they are of."""
        for note in (_NETWORK, _REPORT):
            (self._folder / note).unlink(missing_ok=True)
        for path in self._folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)

    def load(self, stage: str, key: str) -> tuple[Any, StageRecord] | None:
        """A finished stage's artefact if its fingerprint is `key`; None where it is absent, outdated or damaged."""
        from .codec import read_artefact

        folder = self._folder / stage
        try:
            record = json.loads((folder / "stage.json").read_text(encoding="utf-8"))
            if record["fingerprint"] != key or not self._is_whole(folder, record):
                return None
            artefact = read_artefact(folder, self.output)
            cost = record["seconds"], record["peak_memory_mb"], True, record.get("cpu_seconds")
            return artefact, StageRecord(stage, *cost)
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

    def _is_whole(self, folder: Path, record: dict[str, Any]) -> bool:
        """Whether a stage's files, and what else it made, are what they were."""
        lost = damaged(folder, record["files"], thorough=self.thorough)
        return not lost and not damaged(self.output, record["made"], thorough=self.thorough)

    def report_is_whole(self, key: str | None = None) -> bool:
        """Whether the report that people read is the one of the export with this fingerprint, or of any, and what it
        was."""
        try:
            record = json.loads((self._folder / _REPORT).read_text(encoding="utf-8"))
            return key in (None, record["key"]) and not damaged(self.output, record["files"], thorough=self.thorough)
        except _DAMAGED:
            return False

    def remember_report(self, key: str, files: Iterable[Path]) -> None:
        """Note that the report of the export with this fingerprint is written. Raises ExportError as `save` does."""
        self._note(_REPORT, {"key": key, "files": stamps_of(self.output, files)})

    def save(self, stage: str, key: str, artefact: Any, record: StageRecord, made: Iterable[Path] = ()) -> None:
        """Keep a finished stage; made: files beside it that the stage wrote and later ones read.

        Raises ExportError where the disk does not take it.
        """
        from .codec import write_artefact

        fresh = self._folder / f"{stage}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            fresh.mkdir()
            write_artefact(artefact, fresh, self.output)
            document = {"fingerprint": key, "seconds": record.seconds, "peak_memory_mb": record.peak_memory_mb}
            document |= {"cpu_seconds": record.cpu_seconds}
            document |= {"files": stamps_of(fresh, sorted(fresh.iterdir())), "made": stamps_of(self.output, made)}
            (fresh / "stage.json").write_text(json.dumps(document), encoding="utf-8")
            shutil.rmtree(self._folder / stage, ignore_errors=True)
            fresh.rename(self._folder / stage)
        except OSError as error:
            shutil.rmtree(fresh, ignore_errors=True)
            raise ExportError(self.told_of_disk(stage, error)) from error

    def told_of_disk(self, stage: str, error: OSError) -> str:
        """In one line that a stage could not write what it must."""
        remedy = "free some space" if disk_is_full(error) else "make it writable"
        why = error.strerror or "the disk is full"
        return f"{self.output}: the {stage} stage cannot be saved ({why}); {remedy} and run the same command again"


def disk_is_full(error: OSError) -> bool:
    """Whether that is what an error says; numpy says it by the number of items that it could not write."""
    written_short = error.errno is None and str(error).endswith(" written")
    return written_short or error.errno in (errno.ENOSPC, errno.EDQUOT)
