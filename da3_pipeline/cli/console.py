"""What reaches the console: any name, on any console, without what would command a terminal."""

from __future__ import annotations

import io
import logging
import sys

import typer

from ..guard.printable import printable, printable_json, printable_lines

__all__ = ["open_console", "printable", "say", "say_json"]


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


def say(text: object, err: bool = False) -> None:
    """Lines for people, on standard output or error: what is in them may come from files."""
    typer.echo(printable_lines(str(text)), err=err)


def say_json(document: str) -> None:
    """A JSON document, or a line of it, on standard output."""
    typer.echo(printable_json(document))


class _OneLine(logging.Formatter):
    """A message a line, whatever names are in it."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return printable(super().formatMessage(record))
