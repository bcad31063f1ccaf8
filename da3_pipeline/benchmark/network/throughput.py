"""What a network gets through: views a second and memory by variant, views, resolution, and how time grows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..metrics.growth import Growth, growth_of
from .forward import ForwardRow

__all__ = ["growth_by_network", "throughput_table"]

_COLUMNS = f"{'variant':<26}{'size':>9}{'views':>6} {'network':<10}{'s a pass':>10}{'views/s':>9}{'peak MB':>9}"


def throughput_table(rows: Sequence[ForwardRow], device: str) -> str:
    """A line a case by its quickest pass, and the power of the number of views with which seconds grow."""
    lines = [f"forward passes on {device}", _COLUMNS]
    for row in rows:
        height, width = row.case.size
        least_s = min(row.seconds)
        lines.append(
            f"{row.case.variant:<26}{f'{height}x{width}':>9}{row.case.views:>6} {row.network:<10}{least_s:>10.3f}"
            f"{row.case.views / least_s:>9.2f}{row.peak_mb:>9.0f}"
            + (f"  at most {row.most_views} views" if row.most_views is not None else "")
        )
    growth = growth_by_network(rows)
    lines += ["", *(f"{name}: seconds grow as views^{found}" for name, found in growth.items())] if growth else []
    return "\n".join(lines)


def growth_by_network(rows: Sequence[ForwardRow]) -> dict[str, Growth]:
    """By variant, size and network, of all timed passes; where several numbers of views were timed."""
    timed: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        name = f"{row.case.variant}, {'x'.join(map(str, row.case.size))}, {row.network}"
        timed.setdefault(name, []).extend((row.case.views, second) for second in row.seconds)
    return {
        name: growth_of(*np.array(pairs, float).T)
        for name, pairs in timed.items()
        if len({views for views, _ in pairs}) > 1
    }
