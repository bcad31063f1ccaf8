"""The boundary at which the bytes of strangers end: what goes wrong beyond it is one of our errors, in one line.

Parsers raise anything on what nobody thought of: RecursionError, OverflowError, zlib.error, a decoder's own kind. Each
reader's entrance stands in a `foreign` block (or has `reading` before it), so that its body need catch only what it has
something better to say of.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from ..errors import PipelineError

__all__ = ["OverLimitError", "foreign", "reading", "reason"]

_OURS = (PipelineError, ImportError, NameError, AssertionError)  # the latter are no file's fault
_MOST_WORDS = 160

P = ParamSpec("P")
R = TypeVar("R")


class OverLimitError(ValueError):
    """A file that asks for more than `limits` allow; one clause, without the file."""


@contextmanager
def foreign(error: type[PipelineError], where: object, remedy: str) -> Iterator[None]:
    """Whatever a parser raises here comes out as `error`: `where`: cannot be read (why); `remedy`.

    Our own errors pass as they are.
    """
    try:
        yield
    except _OURS:
        raise
    except PermissionError as fault:
        raise error(f"{where}: permission denied; make it readable") from fault
    except FileNotFoundError as fault:
        raise error(f"{where}: {fault.strerror or 'no such file'}; {remedy}") from fault
    except Exception as fault:
        raise error(f"{where}: cannot be read ({reason(fault)}); {remedy}") from fault


def reading(
    error: type[PipelineError], remedy: str
) -> Callable[[Callable[Concatenate[Path, P], R]], Callable[Concatenate[Path, P], R]]:
    """`foreign` around a reader whose first argument is the path of what it reads."""

    def around(read: Callable[Concatenate[Path, P], R]) -> Callable[Concatenate[Path, P], R]:
        @functools.wraps(read)
        def guarded(path: Path, /, *arguments: P.args, **settings: P.kwargs) -> R:
            with foreign(error, path, remedy):
                return read(path, *arguments, **settings)

        return guarded

    return around


def reason(fault: Exception) -> str:
    """Why something could not be read, as one clause without line breaks."""
    if isinstance(fault, RecursionError):
        return "it is nested too deeply"
    if isinstance(fault, MemoryError):
        return "it does not fit into memory"
    if isinstance(fault, OSError) and fault.strerror:
        return fault.strerror
    told = " ".join(str(fault).split())[:_MOST_WORDS]
    if told and type(fault) in (ValueError, OverLimitError):
        return told
    return f"{type(fault).__name__}: {told}" if told else type(fault).__name__
