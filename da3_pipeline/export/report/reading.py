"""Figures and reasons as people read them: no exponents, one reason in one line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["ReasonGroup", "by_reason", "count", "duration", "figure", "sentence"]

_DIGITS = 3
_VARYING = re.compile(
    r"(?P<number>(?<![\w.,/-])\d+(?:\.\d+)?(?![\w./-]))|(?P<name>[^\s;,:()]+\.(?=[A-Za-z])[A-Za-z0-9]{2,4}\b)"
)
"""What differs between files that are left out for one reason: a measured number, or the name of another file."""


@dataclass(frozen=True)
class ReasonGroup:
    """A reason, of how many files, the names of some, how many more there are, and the names of all."""

    reason: str
    total: int
    names: tuple[str, ...]
    more: int
    members: tuple[str, ...]


def by_reason(dropped: Sequence[Mapping[str, str]], examples: int) -> list[ReasonGroup]:
    """Files left out by why they are, the commonest reason first; reasons that differ in their numbers are one."""
    groups: dict[str, list[Mapping[str, str]]] = {}
    for item in dropped:
        groups.setdefault(_VARYING.sub("\0", item["reason"]), []).append(item)
    found = [
        ReasonGroup(
            _joined([item["reason"] for item in items]),
            len(items),
            tuple(item["frame"] for item in items[:examples]),
            max(0, len(items) - examples),
            tuple(item["frame"] for item in items),
        )
        for items in groups.values()
    ]
    return sorted(found, key=lambda group: -group.total)


def _joined(reasons: Sequence[str]) -> str:
    """One sentence for reasons that differ in what varies: numbers become a range, names three dots."""
    slots = [list(_VARYING.finditer(reason)) for reason in dict.fromkeys(reasons)]
    text, end = "", 0
    for number, slot in enumerate(slots[0]):
        words = [found[number].group() for found in slots]
        text += reasons[0][end : slot.start()]
        end = slot.end()
        if len(set(words)) == 1:
            text += words[0]
        elif slot.group("number"):
            ordered = sorted(words, key=float)
            text += f"{ordered[0]} to {ordered[-1]}"
        else:
            text += "…"
    return text + reasons[0][end:]


def sentence(clause: str) -> str:
    return f"{clause[:1].upper()}{clause[1:]}."


def count(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\u202f")


def figure(value: float | None) -> str:
    """Three digits that count, more before the point; never an exponent."""
    if value is None:
        return "–"
    if float(value).is_integer() or abs(value) >= 10**_DIGITS:
        return count(value)
    return np.format_float_positional(value, precision=_DIGITS, fractional=False, trim="-")


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
