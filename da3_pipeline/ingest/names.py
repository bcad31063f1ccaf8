"""Names of frames: sorted as people count, unique, and safe to write anywhere."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

__all__ = ["UniqueNames", "clean_name", "identifier", "natural_key"]

_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")  # Unicode categories: controls, surrogates, line and paragraph separators
_NUMBER = re.compile(r"([0-9]+)")


def natural_key(name: str) -> tuple[object, ...]:
    """Sorts 'b2/9' before 'b2/10' and 'b10/1': numbers by value, letters without case, folder by folder.

    A total order: names that differ only in case or in leading zeros are told apart by the name itself.
    """
    parts = tuple(
        tuple(
            (0, int(piece), "") if piece.isascii() and piece.isdigit() else (1, 0, piece.casefold()) for piece in pieces
        )
        for pieces in ([p for p in _NUMBER.split(part) if p] for part in name.split("/"))
    )
    return (parts, name)


def clean_name(name: str) -> str:
    """The name with line breaks, control characters (legal in file names) and undecodable bytes replaced by '_'."""
    return "".join("_" if unicodedata.category(character) in _UNPRINTABLE else character for character in name)


def identifier(*parts: str) -> str:
    """Parts joined by '_', with all but letters, digits, '.', '+' and '-' replaced: fit for a file name."""
    words = (re.sub(r"[^A-Za-z0-9.+-]+", "_", part).strip("_.") for part in parts)
    return "_".join(word for word in words if word)


class UniqueNames:
    """Hands out each name once; a name already taken gets '-2', '-3', ...

    Names of the same letters are one, however accents are encoded: macOS keeps no two such files in a folder.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def claim(self, name: str, before_suffix: bool = True) -> str:
        """`name`, or the first numbered variant that is free; the number goes before the file suffix or to the end."""
        suffix = PurePosixPath(name).suffix if before_suffix else ""
        stem = name.removesuffix(suffix)
        candidate, count = name, 1
        while unicodedata.normalize("NFC", candidate) in self._taken:
            count += 1
            candidate = f"{stem}-{count}{suffix}"
        self._taken.add(unicodedata.normalize("NFC", candidate))
        return candidate
