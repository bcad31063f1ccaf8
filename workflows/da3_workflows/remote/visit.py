"""One task whose capture or session lies at a URL, on the machine that does it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from da3_pipeline.errors import SessionBusyError

from .folder import RemoteFolder
from .mirror import fetch, pull, push

__all__ = ["Visit", "visit"]


class Visit:
    """What is at hand for a task, until it is sent back."""

    def __init__(self, task: Mapping[str, Any]) -> None:
        self._source, self._output = Path(task["source"]), Path(task["output"])
        self._fetch, self._store = task.get("fetch", ""), task.get("store", "")
        self._key = task.get("key", "")
        self._lost: list[str] = []

    def bring(self) -> None:
        if self._fetch:
            fetch(RemoteFolder(self._fetch), self._source)
        if self._store:
            self._lost = pull(RemoteFolder(self._store), self._output)

    def send(self, result: Mapping[str, Any] | None, others: Callable[[], Sequence[Path]] = tuple) -> None:
        """Send the session, finished where there is a result, and those of other places; what is finished is kept here
        no longer."""
        beside = others() if self._store else ()
        if self._store:
            home = RemoteFolder(self._store.rstrip("/").rsplit("/", 1)[0])
            for folder in beside:
                push(folder, home / folder.name, self._key, result)
            push(self._output, RemoteFolder(self._store), self._key, result, self._lost)
        if result is None:
            return
        if self._fetch:
            _forget(self._source)
        for folder in (self._output, *beside) if self._store else ():
            _forget(folder)


@contextlib.contextmanager
def visit(task: Mapping[str, Any]) -> Iterator[Visit]:
    """Nobody else on this machine does the same meanwhile: raises SessionBusyError where somebody does."""
    at_hand = Visit(task)
    if not (task.get("fetch") or task.get("store")):
        yield at_hand
        return
    output = Path(task["output"])
    output.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(output.with_name(f".{output.name}.lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise SessionBusyError(f"{output}: another run is at work on this capture; wait for it") from error
    try:
        at_hand.bring()
        yield at_hand
    finally:
        lock.release()


def _forget(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    for note in (f".{path.name}.fetched.json", f".{path.name}.manifest"):
        path.with_name(note).unlink(missing_ok=True)
