"""Results kept on disk, one a file: whole or not there, measured once however many processes are at it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..errors import ExportError
from ..files.strict_json import strict_json

__all__ = ["code_version", "kept_once", "read_kept", "replace_text"]


@functools.cache
def code_version() -> str:
    """A digest of the package's source: two runs compare where it is the same."""
    package, digest = Path(__file__).parents[1], hashlib.blake2b(digest_size=6)
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def kept_once(
    path: Path, key: str, measure: Callable[[], dict[str, Any]], again: Callable[[dict[str, Any]], bool], wait: bool
) -> dict[str, Any] | None:
    """The document that `path` keeps under `key`, or what `measure` gives, kept from now on.

    again: whether a kept one is to be measured all the same, such as one that failed. None where another process is
    measuring it and `wait` is off. Raises ExportError where nothing can be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock"), timeout=-1 if wait else 0):
            found = read_kept(path, key)
            if found is None or again(found):
                found = measure()
                replace_text(path, strict_json({"key": key, "result": found}))
                found = read_kept(path, key)  # as a later run will see it
    except Timeout:
        return None
    except OSError as error:
        raise ExportError(f"{path}: cannot be written ({error.strerror or error}); choose another folder") from error
    return found


def read_kept(path: Path, key: str) -> dict[str, Any] | None:
    """The document that is kept there under this key; None where there is none, or half of one."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["key"] == key:
            result: dict[str, Any] = document["result"]
            return result
    return None


def replace_text(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all."""
    written = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        written.write_text(text, encoding="utf-8")
        written.replace(path)
    finally:
        written.unlink(missing_ok=True)
