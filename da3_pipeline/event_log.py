"""A log for programs: a line of JSON for each thing that happens, appended to one file that processes may share."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .errors import UsageError
from .guard.printable import printable
from .progress import Progress

__all__ = ["LOG_VARIABLE", "EventLog"]

LOG_VARIABLE = "DA3_PIPELINE_LOG"
"""Names the file for processes that are started by us, as it does for the command itself."""


class EventLog:
    """Appends to `path`; without one says nothing. session: of which the events are.

    Every line is written by one call, so that lines of several processes do not mix. A line that the disk does not take
    is lost: a log stops no work.
    """

    def __init__(self, path: Path | None, session: str = "") -> None:
        self._path = path
        self._session = {"session": printable(session)} if session else {}

    def check(self) -> None:
        """Raises UsageError where the file cannot be written."""
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._append(b"")
        except OSError as error:
            raise UsageError(f"{self._path}: cannot be written ({error.strerror}); choose another --log") from error

    def tell(self, event: str, **told: Any) -> None:
        """An event and what is to be known of it: plain values, of which text loses control characters."""
        if self._path is None:
            return
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        plain = {name: printable(value) if isinstance(value, str) else value for name, value in told.items()}
        with contextlib.suppress(OSError):
            self._append((json.dumps({"time": now, "event": event} | self._session | plain) + "\n").encode("ascii"))

    def listening(self, progress: Progress) -> Progress:
        """A listener that logs stages as they begin and end, and passes everything on."""
        return progress if self._path is None else _Listener(self, progress)

    @contextlib.contextmanager
    def warnings(self) -> Iterator[None]:
        """Within, what is logged as a warning or worse is an event, too."""
        handler = _Handler(self)
        logging.getLogger().addHandler(handler)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(handler)

    def _append(self, line: bytes) -> None:
        if self._path is not None:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(file, line)
            finally:
                os.close(file)


class _Listener:
    def __init__(self, log: EventLog, progress: Progress) -> None:
        self._log, self._progress = log, progress
        self._stage, self._began_s = "", 0.0

    def begin(self, stage: str) -> None:
        self._stage, self._began_s = stage, time.monotonic()
        self._log.tell("stage_start", stage=stage)
        self._progress.begin(stage)

    def step(self, done: int, total: int, note: str = "") -> None:
        self._progress.step(done, total, note)

    def end(self, summary: str) -> None:
        seconds = round(time.monotonic() - self._began_s, 3)
        self._log.tell("stage_end", stage=self._stage, seconds=seconds, summary=summary)
        self._progress.end(summary)


class _Handler(logging.Handler):
    def __init__(self, log: EventLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.tell("warning", level=record.levelname.lower(), logger=record.name, message=record.getMessage())
