"""Results as Markdown and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from ...files.strict_json import strict_json
from ..metrics.growth import Growth
from ..truth.verdicts import CELLS
from .cells import CellResult
from .means import FIGURES, Figure, MethodMeans, coverage, method_means
from .published import PUBLISHED

__all__ = ["columns_of", "failures", "geometry_json", "geometry_markdown", "groups_of", "value_text"]

Group = tuple[str, int | None]
"""A data set and a number of views: what one table is of."""


def groups_of(rows: Sequence[MethodMeans]) -> dict[Group, list[MethodMeans]]:
    """The rows of each table, in order."""
    groups: dict[Group, list[MethodMeans]] = {}
    for row in rows:
        groups.setdefault((row.dataset, row.views), []).append(row)
    return groups


def columns_of(rows: Sequence[MethodMeans]) -> list[Figure]:
    """The figures that any of the rows has."""
    return [figure for figure in FIGURES if any(figure.name in row.means for row in rows)]


def value_text(figure: Figure, value: float) -> str:
    """A number as its column writes it."""
    return "none" if math.isinf(value) else f"{value:.{figure.digits}f}"


def failures(results: Sequence[CellResult]) -> dict[str, list[str]]:
    """What was not measured, and which cells that holds for."""
    told: dict[str, list[str]] = {}
    for result in results:
        views = "" if result.views is None else f" ({result.views} views)"
        where = f"{result.dataset}/{result.scene}{views}, {result.method}"
        lines = [result.failure] if result.failure else result.figures.notes if result.figures else []
        for line in lines:
            told.setdefault(line, []).append(where)
    return told


def geometry_markdown(results: Sequence[CellResult], growth: Mapping[str, Growth]) -> str:
    """A table for each data set and number of views, what verdicts were worth, growth, and what is missing.

    Intervals are 95 % bootstrap intervals over scenes. Rows of the paper stand below the measured ones, marked.
    """
    lines = []
    for (dataset, views), rows in groups_of(method_means(results)).items():
        lines += [f"## {dataset}{'' if views is None else f', {views} views'}", "", *_table(dataset, views, rows), ""]
    counts = coverage(results)
    if counts:
        lines += ["## Verdict against truth", "", "| method | “good” was right | " + " | ".join(CELLS) + " |", _rule(6)]
        for name, found in counts.items():
            passed = found["right and passed"] + found["wrong and passed"]
            told = [f"{found['right and passed']} of {passed}", *(str(found[cell]) for cell in CELLS)]
            lines.append(f"| {name} | {' | '.join(told)} |")
        lines.append("")
    if growth:
        lines += ["## Seconds by number of views", "", "| method | exponent, 95 % interval |", _rule(2)]
        lines += [f"| {name} | {found} |" for name, found in growth.items()] + [""]
    missing = failures(results)
    if missing:
        lines += ["## Not measured", ""]
        lines += [f"- {why}: {'; '.join(where[:3])}{_more(where)}" for why, where in missing.items()] + [""]
    return "\n".join(lines)


def geometry_json(results: Sequence[CellResult], growth: Mapping[str, Growth], about: Mapping[str, str]) -> str:
    """Every cell, the means and intervals, and the published rows beside them."""
    document = {
        "about": dict(about),
        "means": [asdict(row) for row in method_means(results)],
        "published": [asdict(row) for row in PUBLISHED],
        "verdicts": coverage(results),
        "growth": {name: asdict(found) for name, found in growth.items()},
        "cells": [asdict(result) for result in results],
    }
    return strict_json(document, indent=1)


def _table(dataset: str, views: int | None, rows: Sequence[MethodMeans]) -> list[str]:
    columns = columns_of(rows)
    head = ["method", "scenes", *(figure.name for figure in columns), "s", "MB", "judging MB"]
    lines = [f"| {' | '.join(head)} |", _rule(len(head))]
    for row in rows:
        values = [_mean(figure, row) for figure in columns]
        scenes = f"{row.scenes}" + (f" of {row.scenes + row.failed}" if row.failed else "")
        costs = [_known(row.wall_s, 1), _known(row.peak_mb, 0), _known(row.cell_mb, 0)]
        lines.append(f"| {' | '.join([row.method, scenes, *values, *costs])} |")
    for told in PUBLISHED if views is None else ():
        if told.dataset == dataset:
            values = [f"{told.means[one.name]:g}" if one.name in told.means else "" for one in columns]
            lines.append(f"| {' | '.join([f'{told.method} (published)', '', *values, '', '', ''])} |")
    return lines


def _mean(figure: Figure, row: MethodMeans) -> str:
    found = row.means.get(figure.name)
    if found is None:
        return ""
    if math.isnan(found.low):
        return value_text(figure, found.mean)
    return f"{value_text(figure, found.mean)} [{value_text(figure, found.low)}, {value_text(figure, found.high)}]"


def _known(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def _rule(columns: int) -> str:
    return "|" + " --- |" * columns


def _more(where: Sequence[str]) -> str:
    return f" and {len(where) - 3} more" if len(where) > 3 else ""
