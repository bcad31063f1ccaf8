"""How often a JPEG goes over its picture: a progressive file of some kilobytes can do so thousands of times."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["has_more_scans"]

_MARK = b"\xff\xda"
_START_OF_SCAN, _END = 0xDA, 0xD9
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
_NEXT_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
"""After a scan's data, in which zeros are stuffed after each 0xff and restart markers stand."""


def has_more_scans(path: Path, most: int) -> bool:
    """Whether the first picture of a JPEG file has more scans than `most`; what is no JPEG has none.

    One scan of all components at once can have no others after it: such files, which most are, are not read further
    than that; and others are walked only where they hold the mark of a scan so often, be it in what is appended.
    """
    with path.open("rb") as file:
        head = file.read(1 << 16)
        found = _scans(head, most)
        if found is None:
            data = head + file.read()
            found = _scans(data, most) if data.count(_MARK) > most else 0
    return found is not None and found > most


def _scans(data: bytes, most: int) -> int | None:
    """The number, counted no further than one beyond `most`; None where the data end before it is known."""
    at, scans, components, progressive = 2, 0, 0, False
    while scans <= most:
        marker = _NEXT_MARKER.search(data, at)
        if marker is None or len(data) < marker.end() + 8:
            return None if marker is None or data[marker.end() - 1] != _END else scans
        kind, at = data[marker.end() - 1], marker.end()
        if kind == _END:
            return scans
        length = int.from_bytes(data[at : at + 2], "big")
        if kind in _FRAMES:
            components, progressive = data[at + 7], kind in _PROGRESSIVE
        elif kind == _START_OF_SCAN:
            scans += 1
            if not progressive and data[at + 2] >= components:
                return scans
        at += length
    return scans
