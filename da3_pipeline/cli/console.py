"""What reaches the console: any name, on any console, without what would command a terminal."""

from __future__ import annotations

import io
import logging
import sys

__all__ = ["open_console", "printable"]


def open_console() -> None:
    """Make standard output and error write a sign for what they have none for, and set up logging to the latter.

    File names hold bytes of any encoding; a console of cp1252 or of the C locale has no sign for most of the world's.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def printable(text: str) -> str:
    """The text with '?' for control characters and bytes that are no text; spaces and line breaks become spaces."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


class _OneLine(logging.Formatter):
    """A message a line, whatever names are in it."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return printable(super().formatMessage(record))
