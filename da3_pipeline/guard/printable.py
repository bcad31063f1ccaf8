"""Text that may reach a terminal: names of files hold anything, and some of it commands terminals."""

from __future__ import annotations

import re

__all__ = ["printable", "printable_json", "printable_lines"]

_ESCAPED = re.compile("[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text with '?' for control characters and bytes that are no text; spaces and line breaks become spaces."""
    return _plain(" ".join(text.split()))


def printable_lines(text: str) -> str:
    """The same of a text of several lines, whose line breaks, indents and columns stay."""
    return "\n".join(map(_plain, text.expandtabs().split("\n")))


def printable_json(document: str) -> str:
    """A JSON document with those control characters escaped that JSON leaves as they are."""
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def _plain(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
