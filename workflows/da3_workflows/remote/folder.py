"""A folder at a URL, read and written through fsspec."""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from da3_pipeline.errors import CaptureError, ExportError, MissingExtraError, PipelineError, UsageError

__all__ = ["RemoteFile", "RemoteFolder", "is_url"]

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
_VERSIONS = ("ETag", "etag", "md5Hash", "mtime", "LastModified")
_TIMES = ("LastModified", "mtime", "updated", "created")
_MENDABLE = (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError)


@dataclass(frozen=True)
class RemoteFile:
    """name: below the folder that was listed, with slashes. version: differs when the content does."""

    name: str
    size: int
    version: str
    modified_ns: int


def is_url(text: str | Path) -> bool:
    return "://" in str(text)


@dataclass(frozen=True)
class RemoteFolder:
    """What lies below `url`. Trouble on the way raises CaptureError or ExportError, whose cause has EIO where the same
    may go well later."""

    url: str

    def __truediv__(self, name: str) -> RemoteFolder:
        return RemoteFolder(f"{self.url.rstrip('/')}/{name}")

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        return self.url.rstrip("/").rsplit("/", 1)[-1]

    def folders_and_files(self) -> tuple[list[str], list[str]]:
        """The names of what lies directly in it."""
        with self._told(CaptureError, "cannot be listed"):
            self._system.invalidate_cache()
            entries = self._system.ls(self._path, detail=True)
        names: tuple[list[str], list[str]] = [], []
        for entry in entries:
            name = posixpath.basename(str(entry["name"]).rstrip("/"))
            if name and str(entry["name"]).rstrip("/") != self._path.rstrip("/"):
                names[entry["type"] != "directory"].append(name)
        return names

    def files(self) -> list[RemoteFile]:
        """All below it; itself, without a name, where it is a file. Empty where there is nothing."""
        with self._told(CaptureError, "cannot be listed"):
            self._system.invalidate_cache()
            found = self._system.find(self._path, detail=True)
        return sorted((self._file(path, told) for path, told in found.items()), key=lambda file: file.name)

    def read(self, name: str) -> bytes | None:
        """None where it is not there."""
        with self._told(CaptureError, f"{name} cannot be read"):
            try:
                return bytes(self._system.cat_file(self._at(name)))
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        """As a whole: object stores know no half."""
        with self._told(ExportError, f"{name} cannot be written"):
            self._made(name)
            self._system.pipe_file(self._at(name), content)

    def download(self, name: str, to: Path) -> None:
        """Beside its place first, so that what has its name is whole."""
        part = to.with_name(f".{to.name}.part")
        with self._told(CaptureError, f"{name} cannot be read"):
            to.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._system.get_file(self._at(name), str(part))
                os.replace(part, to)
            finally:
                part.unlink(missing_ok=True)

    def upload(self, path: Path, name: str) -> None:
        with self._told(ExportError, f"{name} cannot be written"):
            self._made(name)
            self._system.put_file(str(path), self._at(name))

    def delete(self, name: str) -> None:
        with self._told(ExportError, f"{name} cannot be deleted"), contextlib.suppress(FileNotFoundError):
            self._system.rm_file(self._at(name))

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        import fsspec

        try:
            system, path = fsspec.core.url_to_fs(self.url)
        except ImportError as error:
            extra = _EXTRAS.get(self.url.partition("://")[0])
            if extra is not None:
                raise MissingExtraError(self.url, extra) from error
            raise UsageError(f"{self.url}: {error}") from error
        except ValueError as error:
            raise UsageError(f"{self.url}: is no URL that can be read ({error})") from error
        return system, str(path)

    @property
    def _system(self) -> Any:
        return self._opened[0]

    @property
    def _path(self) -> str:
        return self._opened[1]

    def _at(self, name: str) -> str:
        return f"{self._path.rstrip('/')}/{name}" if name else self._path

    def _made(self, name: str) -> None:
        """Only file systems that have folders need them."""
        if "file" in self._system.protocol:
            self._system.makedirs(posixpath.dirname(self._at(name)), exist_ok=True)

    def _file(self, path: str, told: dict[str, Any]) -> RemoteFile:
        name = path[len(self._path.rstrip("/")) :].lstrip("/")
        if ".." in name.split("/"):
            raise CaptureError(f"{self.url}: holds {name}, which would lie outside; rename it")
        version = next((str(told[key]) for key in _VERSIONS if told.get(key) is not None), "")
        return RemoteFile(name, int(told.get("size") or 0), version, _nanoseconds(told))

    @contextlib.contextmanager
    def _told(self, kind: type[PipelineError], what: str) -> Iterator[None]:
        """Whatever a file system far away raises, as one line."""
        try:
            yield
        except PipelineError:
            raise
        except _MENDABLE as error:
            raise kind(f"{self.url}: {what} ({_line(error)}); check the URL and what you may do there") from error
        except Exception as error:
            passing = OSError(errno.EIO, _line(error))
            raise kind(f"{self.url}: {what} ({type(error).__name__}: {_line(error)}); try again later") from passing


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _nanoseconds(told: dict[str, Any]) -> int:
    """When it was changed; 0 where nobody says."""
    value = next((told[key] for key in _TIMES if told.get(key) is not None), 0)
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
    if isinstance(value, datetime):
        value = value.timestamp()
    return int(value * 1e9) if isinstance(value, (int, float)) else 0
