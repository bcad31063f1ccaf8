"""What a method reaches on a data set: means over scenes, with bootstrap intervals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..metrics.intervals import MeanInterval, mean_over_scenes
from ..truth.verdicts import CELLS
from .cells import CellResult
from .evaluation import SceneFigures

__all__ = ["FIGURES", "Figure", "MethodMeans", "coverage", "method_means"]


@dataclass(frozen=True)
class Figure:
    """A column. of: the value of a scene, None where it has none. best: the better end, none where it tells nothing.
    digits: after the point. kind: of which table."""

    name: str
    meaning: str
    of: Callable[[SceneFigures], float | None]
    best: Literal["high", "low", "none"] = "high"
    digits: int = 1
    kind: Literal["poses", "depth", "surfaces", "pictures"] = "poses"


def _surface(kind: str, key: str, factor: float = 1.0) -> Callable[[SceneFigures], float | None]:
    def value(figures: SceneFigures) -> float | None:
        told = getattr(figures, kind)
        found = None if told is None else told.get(key, math.nan)
        if found is None:  # null: infinitely far, there being no surface
            return None if told is None else math.inf
        return None if math.isnan(found) else factor * found

    return value


def _depth(key: str) -> Callable[[SceneFigures], float | None]:
    return lambda figures: None if figures.depth is None else figures.depth.get(key)


def _picture(key: str) -> Callable[[SceneFigures], float | None]:
    return lambda figures: None if figures.novel_views is None else figures.novel_views.get(key)


def _area(kind: str, limit: str) -> Callable[[SceneFigures], float | None]:
    return lambda figures: getattr(figures, kind)[limit]


def _posed(figures: SceneFigures) -> float | None:
    return None if figures.registered is None else 100 * figures.registered / figures.views


FIGURES: tuple[Figure, ...] = (
    Figure("posed", "percent of the images that have a pose", _posed),
    Figure("AUC@1", "of the relative poses, in percent", _area("auc", "1")),
    Figure("AUC@3", "the same to 3 degrees", _area("auc", "3")),
    Figure("AUC@5", "the same to 5 degrees", _area("auc", "5")),
    Figure("AUC@30", "the same to 30 degrees", _area("auc", "30")),
    Figure("strict AUC@5", "the sign of the translation not forgiven", _area("strict_auc", "5")),
    Figure("Auc3 as published", "by the published formula, not of relative poses", _area("published_auc", "3")),
    Figure("Auc30 as published", "by the published formula, not of relative poses", _area("published_auc", "30")),
    Figure("ATE %", "RMS of centres, of their extent; of posed images alone", lambda one: one.ate_percent, "none", 2),
    Figure("AbsRel", "of depth, one scale a scene", _depth("abs_rel"), "low", 3, kind="depth"),
    Figure("delta 1", "percent of depths within a factor of 1.25", _depth("delta_1"), kind="depth"),
    Figure("AbsRel, scale a map", "of depth, one scale a picture", _depth("map_abs_rel"), "low", 3, kind="depth"),
    Figure("delta 1, scale a map", "of the same", _depth("map_delta_1"), kind="depth"),
    Figure(
        "AbsRel, shift, too",
        "of depth, scale and shift for each picture",
        _depth("scale_shift_abs_rel"),
        "low",
        3,
        kind="depth",
    ),
    Figure("delta 1, shift, too", "of the same", _depth("scale_shift_delta_1"), kind="depth"),
    Figure("AbsRel, metres", "of depth as it is", _depth("metric_abs_rel"), "low", 3, kind="depth"),
    Figure("delta 1, metres", "of the same", _depth("metric_delta_1"), kind="depth"),
    Figure(
        "F1 own poses",
        "of the fused surface, in percent, by the method's cameras",
        _surface("unposed", "f1", 100),
        kind="surfaces",
    ),
    Figure("F1 true poses", "the same by the true cameras", _surface("posed", "f1", 100), kind="surfaces"),
    Figure("chamfer own poses", "in units of the truth", _surface("unposed", "chamfer"), "low", 3, kind="surfaces"),
    Figure(
        "chamfer true poses", "the same by the true cameras", _surface("posed", "chamfer"), "low", 3, kind="surfaces"
    ),
    Figure("PSNR", "dB, of views that no method was given", _picture("psnr_db"), digits=2, kind="pictures"),
    Figure("SSIM", "of the same", _picture("ssim"), digits=3, kind="pictures"),
    Figure("LPIPS", "of the same, with AlexNet", _picture("lpips"), "low", 3, kind="pictures"),
)
"""Columns of the tables, in order."""


@dataclass(frozen=True)
class MethodMeans:
    """means: by name of a `Figure`, those that any scene has. wall_s, peak_mb: means over scenes of the method, NaN
    where nobody measured. cell_mb: the most that the process of a cell took. scenes, failed: measured and not."""

    dataset: str
    method: str
    views: int | None
    scenes: int
    failed: int
    means: dict[str, MeanInterval] = field(default_factory=dict)
    wall_s: float = math.nan
    peak_mb: float = math.nan
    cell_mb: float = math.nan
    mean_views: float = math.nan


def method_means(results: Sequence[CellResult]) -> list[MethodMeans]:
    """A row for each data set, number of views and method, in the order of the results. What a method has no answer
    for counts as no pose; what could not be measured does not count, and is told."""
    groups: dict[tuple[str, int | None, str], list[CellResult]] = {}
    for result in results:
        groups.setdefault((result.dataset, result.views, result.method), []).append(result)
    return [_means(key, group) for key, group in groups.items()]


def coverage(results: Sequence[CellResult]) -> dict[str, dict[str, int]]:
    """By method that judges itself: how often its verdict and the truth fell into each of the four cells."""
    counts: dict[str, Counter[str]] = {}
    for result in results:
        if result.figures is not None and result.figures.cell is not None:
            counts.setdefault(result.method, Counter())[result.figures.cell] += 1
    return {method: {cell: found[cell] for cell in CELLS} for method, found in counts.items()}


def _means(key: tuple[str, int | None, str], group: Sequence[CellResult]) -> MethodMeans:
    measured = [result for result in group if result.figures is not None]
    means = {}
    for figure in FIGURES:
        values = [value for one in measured if one.figures and (value := figure.of(one.figures)) is not None]
        if values:
            means[figure.name] = mean_over_scenes(values)
    return MethodMeans(
        dataset=key[0],
        views=key[1],
        method=key[2],
        scenes=len(measured),
        failed=len(group) - len(measured),
        means=means,
        wall_s=_mean([result.wall_s for result in measured]),
        peak_mb=_mean([result.peak_mb for result in measured]),
        cell_mb=max((result.cell_mb for result in measured if result.cell_mb is not None), default=math.nan),
        mean_views=_mean([float(result.figures.views) for result in measured if result.figures]),
    )


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else math.nan
