"""Which picture of a capture a name in somebody's file means: by path, as much of it as both sides have."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

__all__ = ["ambiguous_names", "comparable_names", "match_names"]

_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,7}$")
_DRIVE = re.compile(r"^[A-Za-z]:/")


def match_names(names: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """From names of the capture to names of a file, each name at most once.

    By the whole path; then by its ending, the longer the better, so that absolute paths, `../` and those of another
    machine are understood, down to the file's name; then the same without suffix, so that pictures converted to
    another format are found; then whatever the case of letters. A weaker rule applies only to what is unique on both
    sides by that rule.
    """
    matched: dict[str, str] = {}
    taken: set[str] = set()
    for rule in _rules([*names, *known]):
        ours, theirs = _grouped(names, rule), _grouped(known, rule)
        for key, candidates in ours.items():
            others = theirs.get(key, [])
            if len(candidates) == len(others) == 1 and candidates[0] not in matched and others[0] not in taken:
                matched[candidates[0]] = others[0]
                taken.add(others[0])
    return matched


def ambiguous_names(names: Sequence[str], known: Sequence[str], matched: dict[str, str]) -> list[str]:
    """Names of the capture without a match although a known name that is not taken either ends as they do."""
    free = {_folded(_stem(name)) for name in set(known) - set(matched.values())}
    return [name for name in names if name not in matched and _folded(_stem(name)) in free]


def comparable_names(name: str) -> tuple[str, ...]:
    """The forms of a name of the capture in which a file may speak of it: the whole path, and that below `images/`."""
    return tuple(dict.fromkeys((_whole(name), _below_images(name))))


def _rules(names: Sequence[str]) -> list[Callable[[str], str | None]]:
    deepest = min(max((_whole(name).count("/") + 1 for name in names), default=1), _DEEPEST)
    endings: list[Callable[[str], str | None]] = [_ending(parts) for parts in range(deepest, 0, -1)]
    exact: list[Callable[[str], str | None]] = [_whole, _below_images, *endings]
    loose = [*exact, *(_then(rule, _without_suffix) for rule in exact)]
    return [*loose, *(_then(rule, _folded) for rule in loose)]


_DEEPEST = 8  # parts of a path that are compared at most


@functools.lru_cache(maxsize=1 << 16)
def _whole(name: str) -> str:
    """With forward slashes, without drive, root and steps that lead back."""
    parts: list[str] = []
    for part in _DRIVE.sub("", unicodedata.normalize("NFC", name).replace("\\", "/")).split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in ("", ".", ".."):
            parts.append(part)
    return "/".join(parts)


def _below_images(name: str) -> str:
    return _whole(name).removeprefix("images/")


def _ending(parts: int) -> Callable[[str], str | None]:
    def last(name: str) -> str | None:
        split = _whole(name).split("/")
        return "/".join(split[-parts:]) if len(split) >= parts else None

    return last


def _then(rule: Callable[[str], str | None], change: Callable[[str], str]) -> Callable[[str], str | None]:
    def both(name: str) -> str | None:
        found = rule(name)
        return None if found is None else change(found)

    return both


def _without_suffix(name: str) -> str:
    return _SUFFIX.sub("", name)


def _stem(name: str) -> str:
    return _without_suffix(PurePosixPath(_whole(name)).name)


def _folded(name: str) -> str:
    return name.casefold()


def _grouped(names: Sequence[str], rule: Callable[[str], str | None]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        key = rule(name)
        if key is not None:
            groups[key].append(name)
    return groups
