"""The grammar of `--distance`: text to two ends and a length. Names are resolved later, against the frames."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import UsageError

__all__ = ["Distance", "End", "parse_distance"]

_END = r"(?P<name{0}>.+)@(?P<x{0}>-?[\d.]+),(?P<y{0}>-?[\d.]+)"
_POINTS = re.compile(_END.format(1) + ":" + _END.format(2))
_FORMS = "write 'A.jpg,B.jpg=2.5' for two cameras, or 'A.jpg@812,604:B.jpg@1220,610=1.25' for two points, in metres"


@dataclass(frozen=True)
class End:
    """A camera centre, or with `pixel` (x, y), original pixels, the surface that is seen there."""

    name: str
    pixel: tuple[float, float] | None = None


@dataclass(frozen=True)
class Distance:
    """What the user measured. `cameras`: the pairs of names that the text can mean, since names may hold commas."""

    text: str
    metres: float
    points: tuple[End, End] | None
    cameras: tuple[tuple[str, str], ...] = ()


def parse_distance(text: str) -> Distance:
    """Read one `--distance`. Raises UsageError, with the two forms, where it is neither."""
    ends, equals, length = text.rpartition("=")
    if not equals:
        raise UsageError(f"--distance {text}: has no '=METRES'; {_FORMS}")
    metres = _metres(text, length)
    match = _POINTS.fullmatch(ends.strip())
    if match:
        first, second = (_end(text, match, side) for side in "12")
        if first == second:
            raise UsageError(f"--distance {text}: both ends are the same pixel; {_FORMS}")
        return Distance(text, metres, (first, second))
    pairs = tuple(_splits(ends))
    if not pairs:
        raise UsageError(f"--distance {text}: does not name two different ends; {_FORMS}")
    return Distance(text, metres, None, pairs)


def _metres(text: str, length: str) -> float:
    try:
        metres = float(length.strip().removesuffix("m"))
    except ValueError:
        raise UsageError(f"--distance {text}: '{length}' is no length in metres; {_FORMS}") from None
    if not (math.isfinite(metres) and metres > 0):
        raise UsageError(f"--distance {text}: a length must be above 0 m; {_FORMS}")
    return metres


def _end(text: str, match: re.Match[str], side: str) -> End:
    try:
        pixel = float(match[f"x{side}"]), float(match[f"y{side}"])
    except ValueError:
        raise UsageError(
            f"--distance {text}: '{match[f'x{side}']},{match[f'y{side}']}' is no pixel; {_FORMS}"
        ) from None
    return End(match[f"name{side}"].strip(), pixel)


def _splits(ends: str) -> Iterator[tuple[str, str]]:
    """Every way to read two different names out of a comma-separated pair."""
    for position in (k for k, letter in enumerate(ends) if letter == ","):
        first, second = ends[:position].strip(), ends[position + 1 :].strip()
        if first and second and first != second:
            yield first, second
