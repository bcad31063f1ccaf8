"""A command's own entries in the log for programs: that it began, and how it ended."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from .. import __version__
from ..event_log import LOG_VARIABLE, EventLog
from .exits import EXIT_INTERRUPTED, exit_code

__all__ = ["logged", "tell_capture"]

_OF_CAPTURE = ("status", "seconds", "frames_posed", "frames", "reason", "reused", "tries")


@contextlib.contextmanager
def logged(path: Path | None, command: str, session: Path | None = None) -> Iterator[EventLog]:
    """The log of a command, which workers that it starts write to, too. Raises UsageError where it cannot be written.

    session: the folder that all of its events are of; None for commands of many.
    """
    log = EventLog(path, session.absolute().name if session else "")
    log.check()
    log.tell("start", command=command, version=__version__, pid=os.getpid())
    began_s, told, code = time.monotonic(), {}, 0
    try:
        with _for_workers(path), log.warnings():
            yield log
    except typer.Exit as ending:
        code = ending.exit_code
        raise
    except BaseException as error:
        code = exit_code(error)
        told = {} if code == EXIT_INTERRUPTED else {"error": str(error) or type(error).__name__}
        raise
    finally:
        log.tell("end", command=command, exit_code=code, seconds=round(time.monotonic() - began_s, 3), **told)


def tell_capture(log: EventLog, record: Mapping[str, Any]) -> None:
    """How a capture of a batch ended."""
    log.tell("capture_end", **{name: record[name] for name in _OF_CAPTURE}, capture=record["name"])


@contextlib.contextmanager
def _for_workers(path: Path | None) -> Iterator[None]:
    """Within, processes that are started know the file."""
    before = os.environ.get(LOG_VARIABLE)
    if path is not None:
        os.environ[LOG_VARIABLE] = str(path.absolute())
    try:
        yield
    finally:
        if path is not None and before is None:
            del os.environ[LOG_VARIABLE]
        elif before is not None:
            os.environ[LOG_VARIABLE] = before
