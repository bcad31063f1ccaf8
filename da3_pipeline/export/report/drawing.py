"""The scene as lines: cameras and points seen from above and from the side, as paths of SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ...arrays import Bool, Float, Int
from ...types import Frame

__all__ = ["MAP_SIZE", "Map", "ScaleBar", "evenly", "maps_of", "nice_length"]

MAP_SIZE = (420.0, 260.0)
_MAP_POINTS = 2_500
_MARGIN = 0.94
_LOOK_PX = 13.0
_LONGEST_BAR_PX = 110.0


@dataclass(frozen=True)
class ScaleBar:
    """A length in the drawing, and what it is in metres."""

    length_px: float
    label: str


@dataclass(frozen=True)
class Map:
    """One view, as path data in a frame of MAP_SIZE: points, the way a video took, cameras that were refined and
    others, where each looks, and the place of the first camera."""

    title: str
    dots: str
    way: str
    refined: str
    others: str
    looks: str
    first: tuple[float, float]
    bar: ScaleBar | None


def maps_of(
    points: Float,
    centres: Float,
    forward: Float,
    refined: Bool,
    frames: Sequence[Frame],
    metres_per_unit: float | None,
) -> tuple[Map, ...]:
    """(P, 3) points, (N, 3) camera centres and unit view directions in a world with z up, from above and from the side.

    refined (N,): whether a camera was adjusted on matches; frames (N,): which it is of, in capture order.
    """
    shown = points[evenly(len(points), _MAP_POINTS)]
    return tuple(
        _map(title, shown[:, axes], centres[:, axes], forward[:, axes], refined, frames, metres_per_unit)
        for title, axes in (("from above", (0, 1)), ("from the side", (0, 2)))
    )


def evenly(count: int, limit: int) -> Int:
    """Indices of at most `limit` of so many things, at equal steps."""
    return np.linspace(0, count - 1, min(count, limit)).astype(np.intp) if count else np.zeros(0, np.intp)


def nice_length(at_most: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is not above it."""
    power = 10.0 ** math.floor(math.log10(at_most))
    return max(step * power for step in (1, 2, 5) if step * power <= at_most)


def _map(
    title: str,
    points: Float,
    places: Float,
    looks: Float,
    refined: Bool,
    frames: Sequence[Frame],
    metres_per_unit: float | None,
) -> Map:
    bulk = np.concatenate([np.percentile(points, (3, 97), axis=0), places]) if len(points) else places
    low, high = bulk.min(axis=0), bulk.max(axis=0)
    reach = np.maximum((high - low) / 2, 1e-9)
    scale = float(min(MAP_SIZE[0] / 2 / reach[0], MAP_SIZE[1] / 2 / reach[1])) * _MARGIN

    def drawn(at: Float) -> Float:
        return np.array(MAP_SIZE) / 2 + (at - (low + high) / 2) * [scale, -scale]

    dots, track = drawn(points), drawn(places)
    dots = dots[((dots > 0) & (dots < MAP_SIZE)).all(axis=1)]
    tips = track + looks * [_LOOK_PX, -_LOOK_PX]
    return Map(
        title,
        _dots(dots),
        _way(track, frames),
        _dots(track[refined]),
        _dots(track[~refined]),
        "".join(f"M{x:.1f} {y:.1f}L{u:.1f} {v:.1f}" for (x, y), (u, v) in zip(track, tips, strict=True)),
        (round(float(track[0, 0]), 1), round(float(track[0, 1]), 1)),
        _bar(scale, metres_per_unit),
    )


def _dots(places: Float) -> str:
    return "".join(f"M{x:.1f} {y:.1f}h0" for x, y in places)


def _way(track: Float, frames: Sequence[Frame]) -> str:
    """Lines between frames that follow each other in one video; photographs are in no order that is known."""
    parts = []
    for (a, b), before, after in zip(pairwise(track), frames, frames[1:], strict=False):
        if before.video is not None and before.video == after.video:
            parts.append(f"M{a[0]:.1f} {a[1]:.1f}L{b[0]:.1f} {b[1]:.1f}")
    return "".join(parts)


def _bar(scale: float, metres_per_unit: float | None) -> ScaleBar | None:
    """None where the length of a unit is not known."""
    if metres_per_unit is None or not math.isfinite(metres_per_unit) or metres_per_unit <= 0:
        return None
    metres = nice_length(_LONGEST_BAR_PX / scale * metres_per_unit)
    label = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m" if metres >= 1 else f"{100 * metres:g} cm"
    return ScaleBar(round(metres / metres_per_unit * scale, 1), label)
