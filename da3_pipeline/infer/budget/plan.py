"""At what size, and how many at once, the network shall see the frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import InferenceError
from ..config import InferConfig
from ..preprocess import PATCH_PX, common_layouts
from .memory import NetworkCost

__all__ = ["Limits", "Plan", "make_plan"]


@dataclass(frozen=True)
class Limits:
    """What a pass may take: memory, the ratio of cross-view attention to the rest (None: any), views (None: any)."""

    memory_bytes: int
    attention_ratio: float | None = None
    views: int | None = None


@dataclass(frozen=True)
class Plan:
    """The chosen processing resolution, the (width, height) px of every view, and how many views go into one pass."""

    resolution_px: int
    size: tuple[int, int]
    views_per_pass: int
    peak_bytes: int


def make_plan(
    sources: Sequence[tuple[int, int]], resolution_px: int, config: InferConfig, cost: NetworkCost, limits: Limits
) -> Plan:
    """The best plan for photographs of the given (width, height) px.

    All frames in one pass are preferred, for which the resolution may fall to a share of what was asked; else
    the highest resolution at which a chunk of some size fits; else the highest at which two do. InferenceError if none.
    """
    count, budget = len(sources), config.budget
    shapes = sorted(set(sources))
    steps = range(resolution_px, min(resolution_px, budget.least_resolution_px) - 1, -PATCH_PX)
    candidates = []
    for step in steps:
        width, height = common_layouts(shapes, step, config.resize_method, config.views)[0].size
        views = _most_views(count, width, height, cost, limits)
        peak_bytes = cost.peak_bytes(max(views, 1), width, height, count - views)
        candidates.append(Plan(step, (width, height), views, peak_bytes))
    chunk = min(count, budget.least_chunk_views, limits.views or count)
    for least_views, least_share in ((count, budget.least_share_for_one_pass), (chunk, 0.0), (min(count, 2), 0.0)):
        for plan in candidates:
            if plan.views_per_pass >= least_views and plan.resolution_px >= least_share * resolution_px:
                return plan
    need = cost.peak_bytes(min(count, 2), *candidates[-1].size, max(0, count - 2))
    raise InferenceError(
        f"the network needs {need / 2**30:.2f} GB for {min(count, 2)} frames at {candidates[-1].resolution_px} px, "
        f"but may take {limits.memory_bytes / 2**30:.2f} GB; use a smaller model or a machine with more memory"
    )


def _most_views(count: int, width: int, height: int, cost: NetworkCost, limits: Limits) -> int:
    """The largest number of views, at most `count`, that keeps the limits; the cost grows with the views."""
    low, high = 0, count if limits.views is None else min(count, limits.views)
    while low < high:
        middle = (low + high + 1) // 2
        attention = cost.attention_ratio(middle, width, height)
        too_slow = middle > 2 and limits.attention_ratio is not None and attention > limits.attention_ratio
        if too_slow or cost.peak_bytes(middle, width, height, count - middle) > limits.memory_bytes:
            high = middle - 1
        else:
            low = middle
    return low
