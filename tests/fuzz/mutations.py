"""What happens to the bytes of a file: bits turn, it ends, parts come twice, numbers become extremes."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

__all__ = ["mutated"]

_EXTREME_BYTES = (
    b"\xff" * 4,
    b"\xff" * 8,
    b"\0" * 4,
    b"\0" * 8,
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\0\0\0\x80",
)
_EXTREME_WORDS = (
    b"0", b"-1", b"1e400", b"-1e308", b"1e-320", b"NaN", b"-Infinity", b"9" * 400, b"2147483648",
    b"18446744073709551616", b"null", b"true", b'""', b"[]", b"{}", b"[" * 3000, b'{"a":' * 3000, b'"\\ud800"',
    b'"\xff"', b'"../../x"', b"\x1b[2J",
)  # fmt: skip
_WORD = re.compile(rb"-?[0-9][0-9.e+-]*|\"[^\"]*\"|\[[^\[\]{}]*\]")


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The data after one to four mishaps."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        if changed:
            chance.choice(_MISHAPS)(changed, chance)
    return bytes(changed)


def _flip(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def _remove(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    del data[at : at + chance.choice((1, 4, 8, 50))]


def _repeat(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    data[at:at] = data[at : at + chance.choice((1, 8, 64, 500))] * chance.choice((1, 2, 50))


def _extreme(data: bytearray, chance: random.Random) -> None:
    at, value = chance.randrange(len(data)), chance.choice(_EXTREME_BYTES)
    data[at : at + len(value)] = value


def _word(data: bytearray, chance: random.Random) -> None:
    """In text, another word in place of a number, a string or a list of these."""
    words = list(_WORD.finditer(bytes(data[:20_000])))
    if words:
        chosen = chance.choice(words)
        data[chosen.start() : chosen.end()] = chance.choice(_EXTREME_WORDS)


_MISHAPS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip, _flip, _cut, _remove, _repeat, _extreme, _word, _word, _word
)  # fmt: skip
