"""Ray itself: imported, started or found, and left as it was."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import tempfile
from collections.abc import Iterator
from typing import Any

from da3_pipeline.errors import MissingExtraError, UsageError

__all__ = ["connected", "imported", "signals_raised"]

_STORE_BYTES = 100 * 2**20
"""Of a local Ray's object store: tasks and reports are some kilobytes, and pictures never go through it."""

_TRIES = 3
_LONGEST_ROOT = 30
"""Bytes of the folder for a local Ray's logs and sockets: a socket's path may have 107, and Ray adds 70."""


def imported() -> Any:
    """Raises MissingExtraError where it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody unless it is asked for
    try:
        import ray
    except ImportError:
        raise MissingExtraError("--executor ray", "ray") from None
    return ray


@contextlib.contextmanager
def connected(ray: Any, address: str | None) -> Iterator[None]:
    """Ray, for as long as it is needed; one that somebody has connected already is used, and stays.

    Raises UsageError where none answers.
    """
    if ray.is_initialized():
        yield
        return
    with contextlib.ExitStack() as stack:
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if address is None:
            options |= {"include_dashboard": False, "object_store_memory": _STORE_BYTES}
            root = stack.enter_context(tempfile.TemporaryDirectory(prefix="da3-ray-", ignore_cleanup_errors=True))
            if len(os.fsencode(root)) <= _LONGEST_ROOT:
                options["_temp_dir"] = root
        with _signals_kept():
            _begin(ray, address, options)
        stack.callback(ray.shutdown)
        yield


def _begin(ray: Any, address: str | None, options: dict[str, Any]) -> None:
    """On a busy machine Ray gives up on itself after 30 s: it is asked again."""
    for left in reversed(range(_TRIES if address is None else 1)):
        try:
            ray.init(address or "local", **options)
        except Exception as error:  # whatever Ray raises, down to a plain Exception
            if left == 0:
                raise UsageError(_unanswered(address, error)) from error
        else:
            return


@contextlib.contextmanager
def signals_raised() -> Iterator[None]:
    """What a signal's handler raises while Ray's native code waits comes as a SystemError: give what it was."""
    try:
        yield
    except SystemError as error:
        raise (error if error.__cause__ is None else error.__cause__) from None


def _unanswered(address: str | None, error: Exception) -> str:
    why = " ".join(str(error).split())[:160]
    if address is None:
        return f"--executor ray: Ray does not start here ({why}); try --executor local"
    return f"--ray-address {address}: no Ray answers ({why}); check it with ray status"


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray's own answers to signals would end us before our sessions are in order."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            with contextlib.suppress(ValueError, TypeError):  # not the main thread, or set by native code
                signal.signal(number, handler)
