"""How far observations miss their points: a histogram for people, and its figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...arrays import Float
from .drawing import nice_length

__all__ = ["Histogram", "drawn_histogram", "error_figures"]

_BINS = 40
_SHOWN = 99.0
"""Percent of the observations that are drawn: the few beyond would squeeze all others into the first bar."""
_LEAST_PX = 0.1  # what is exact to less is drawn as exact
_SIZE = (420.0, 150.0)


@dataclass(frozen=True)
class Histogram:
    """The bars as a path in 420 x 150, the places of median and 90 % across, and ticks: (place, label)."""

    bars: str
    median_at: float
    p90_at: float
    ticks: tuple[tuple[float, str], ...]


def error_figures(errors_px: Float) -> dict[str, Any] | None:
    """Of observations (K,): counts in equal bins from 0 to `to_px`, how many lie beyond, median and 90 % in pixels.

    None where there are none.
    """
    known = errors_px[np.isfinite(errors_px)]
    if not len(known):
        return None
    median, p90, most = np.percentile(known, (50, 90, _SHOWN))
    to_px = max(float(most), _LEAST_PX)
    counts, _ = np.histogram(known, bins=_BINS, range=(0.0, to_px))
    return {
        "observations": len(known),
        "to_px": to_px,
        "counts": counts.tolist(),
        "beyond": int((known > to_px).sum()),
        "median_px": float(median),
        "p90_px": float(p90),
    }


def drawn_histogram(figures: dict[str, Any]) -> Histogram:
    """The drawing of what `error_figures` says."""
    width, height = _SIZE
    counts, to_px = figures["counts"], figures["to_px"]
    step, most = width / len(counts), max(max(counts), 1)
    bars = "".join(
        f"M{place * step + 0.5:.1f} {height}v{-height * count / most:.1f}h{step - 1:.1f}v{height * count / most:.1f}z"
        for place, count in enumerate(counts)
        if count
    )
    tick = nice_length(to_px / 3)
    ticks = tuple((round(k * tick / to_px * width, 1), f"{k * tick:g}") for k in range(1, int(to_px / tick) + 1))
    across = {name: round(figures[name] / to_px * width, 1) for name in ("median_px", "p90_px")}
    return Histogram(bars, across["median_px"], across["p90_px"], ticks)
