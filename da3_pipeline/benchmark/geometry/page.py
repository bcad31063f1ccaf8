"""The leaderboard: one offline page of tables and drawings, with the looks of report.html."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...export.report.looks import page_template
from ...export.report.reading import duration
from ..metrics.growth import Growth
from ..truth.verdicts import CELLS
from .cells import CellResult
from .means import FIGURES, Figure, MethodMeans, coverage, method_means
from .plots import Axis, Series, mark, scatter, strips
from .published import PUBLISHED
from .tables import columns_of, failures, groups_of, value_text

__all__ = ["Section", "rendered_page"]

_TITLES = {
    "hiroom": "HiRoom",
    "eth3d": "ETH3D",
    "dtu": "DTU, 49 views",
    "dtu64": "DTU, 64 views",
    "7scenes": "7-Scenes",
    "scannetpp": "ScanNet++",
    "dl3dv": "DL3DV",
    "tanksandtemples": "Tanks and Temples",
    "megadepth": "MegaDepth",
    "nyu": "NYU v2",
    "kitti": "KITTI",
    "sunrgbd": "SUN RGB-D",
    "diode": "DIODE",
    "strecha": "Strecha",
    "tum": "TUM RGB-D",
    "rendered": "Rendered scenes of our own",
}
_SHOWN = "AUC@5"
_LEAST_SIZES = 2  # of a line over numbers of views


@dataclass(frozen=True)
class Section:
    """One more benchmark on the page. about: a sentence. text: its table, as the command prints it; '' where `failure`
    says why there is none. command: which prints it."""

    title: str
    about: str
    command: str
    text: str = ""
    failure: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class _Value:
    """A number in a table; interval: '' where there is none; best: whether no other row has a better one."""

    name: str
    text: str
    interval: str = ""
    best: bool = False


@dataclass(frozen=True)
class _Row:
    method: str
    style: int | None
    scenes: str
    values: tuple[_Value, ...]
    wall: str = ""
    peak: str = ""
    judging: str = ""


@dataclass(frozen=True)
class _Board:
    """A table. costs: whether it has the columns of time and memory."""

    columns: tuple[Figure, ...]
    rows: tuple[_Row, ...]
    published: tuple[_Row, ...]
    costs: bool


@dataclass(frozen=True)
class _Table:
    """What there is of a data set."""

    title: str
    note: str
    boards: tuple[_Board, ...]
    published: bool = False
    plots: tuple[tuple[str, str], ...] = field(default_factory=tuple)


def rendered_page(
    title: str,
    results: Sequence[CellResult],
    growth: Mapping[str, Growth],
    about: Mapping[str, str],
    sections: Sequence[Section] = (),
) -> str:
    """The page as text. about: what it was measured with, a row each."""
    styles = {name: number for number, name in enumerate(dict.fromkeys(result.method for result in results))}
    groups = groups_of(method_means(results))
    there = {dataset for dataset, _ in groups}
    tables = [_table(key, rows, results, styles) for key, rows in groups.items() if key[1] is None]
    sweeps = [_sweep(name, groups, styles) for name in dict.fromkeys(dataset for dataset, n in groups if n is not None)]
    return page_template("leaderboard.html.j2", "da3_pipeline.benchmark.geometry").render(
        title=title,
        about=about,
        tables=tables,
        sweeps=sweeps,
        growth=growth,
        coverage=[_covered(name, counts) for name, counts in coverage(results).items()],
        cells=CELLS,
        legend=[(name, _swatch(style)) for name, style in styles.items()],
        swatches={style: _swatch(style) for style in styles.values()},
        elsewhere=[
            _published_table(name) for name in dict.fromkeys(row.dataset for row in PUBLISHED) if name not in there
        ],
        failures=failures(results),
        sections=sections,
        scenes=len({(result.dataset, result.scene) for result in results}),
        methods=len(styles),
    )


def _table(
    key: tuple[str, int | None], rows: Sequence[MethodMeans], results: Sequence[CellResult], styles: Mapping[str, int]
) -> _Table:
    dataset = key[0]
    columns = columns_of(rows)
    best = {figure.name: _best(figure, rows) for figure in columns}
    boards = []
    for kind in ("poses", "depth", "surfaces", "pictures"):
        chosen = [figure for figure in columns if figure.kind == kind]
        shown = tuple(_measured(row, chosen, best, styles) for row in rows)
        said = _published(dataset, chosen)
        shown = tuple(row for row in shown if any(value.text for value in row.values) or " of " in row.scenes)
        if chosen:
            boards.append(_Board(tuple(chosen), shown, said, kind in ("poses", "depth")))
    mine = [result for result in results if result.dataset == dataset and result.views is None and result.figures]
    scenes = list(dict.fromkeys(result.scene for result in mine))
    time_plot = scatter(_by_time(rows, styles), Axis("seconds a scene", log=True), Axis(_SHOWN, 0, 100))
    scene_plot = strips(scenes, _by_scene(mine, scenes, styles), Axis(_SHOWN, 0, 100))
    plots = [(f"{_SHOWN} against time: means over scenes", time_plot), (f"{_SHOWN}, scene by scene", scene_plot)]
    note = f"{len(scenes)} scene{'s' if len(scenes) != 1 else ''}" if scenes else "nothing could be measured, see below"
    drawn = tuple((name, plot) for name, plot in plots if plot)
    return _Table(_TITLES.get(dataset, dataset), note, tuple(boards), any(one.published for one in boards), drawn)


def _measured(
    row: MethodMeans, columns: Sequence[Figure], best: Mapping[str, float], styles: Mapping[str, int]
) -> _Row:
    values = []
    for figure in columns:
        found = row.means.get(figure.name)
        if found is None:
            values.append(_Value(figure.name, ""))
            continue
        known = not math.isnan(found.low)
        ends = f"{value_text(figure, found.low)}–{value_text(figure, found.high)}" if known else ""
        values.append(_Value(figure.name, value_text(figure, found.mean), ends, found.mean == best[figure.name]))
    scenes = f"{row.scenes} of {row.scenes + row.failed}" if row.failed else f"{row.scenes}"
    wall = "" if math.isnan(row.wall_s) else duration(row.wall_s)
    peak = "" if math.isnan(row.peak_mb) else f"{row.peak_mb:,.0f}"
    judging = "" if math.isnan(row.cell_mb) else f"{row.cell_mb:,.0f}"
    return _Row(row.method, styles[row.method], scenes, tuple(values), wall, peak, judging)


def _published(dataset: str, columns: Sequence[Figure]) -> tuple[_Row, ...]:
    """The paper's rows that have any of the columns."""
    rows = []
    for told in PUBLISHED:
        texts = [f"{told.means[figure.name]:g}" if figure.name in told.means else "" for figure in columns]
        if told.dataset == dataset and any(texts):
            values = tuple(_Value(one.name, text) for one, text in zip(columns, texts, strict=True))
            rows.append(_Row(told.method, None, "", values))
    return tuple(rows)


def _published_table(dataset: str) -> _Table:
    """Of a data set that is not here."""
    names = {name for row in PUBLISHED if row.dataset == dataset for name in row.means}
    columns = tuple(figure for figure in FIGURES if figure.name in names)
    return _Table(_TITLES.get(dataset, dataset), "", (_Board(columns, (), _published(dataset, columns), False),))


def _best(figure: Figure, rows: Sequence[MethodMeans]) -> float:
    """NaN where all are equally good."""
    values = [row.means[figure.name].mean for row in rows if figure.name in row.means]
    if figure.best == "none" or min(values) == max(values):
        return math.nan
    return max(values) if figure.best == "high" else min(values)


def _by_time(rows: Sequence[MethodMeans], styles: Mapping[str, int]) -> list[Series]:
    series = []
    for row in rows:
        accuracy = row.means.get(_SHOWN)
        if accuracy is not None and not math.isnan(row.wall_s):
            told = f"{row.method}: {_SHOWN} {accuracy.mean:.1f}, {duration(row.wall_s)}"
            series.append(Series(row.method, styles[row.method], ((row.wall_s, accuracy.mean, told),)))
    return series


def _by_scene(results: Sequence[CellResult], scenes: Sequence[str], styles: Mapping[str, int]) -> list[Series]:
    points: dict[str, list[tuple[float, float, str]]] = {}
    for result in results:
        if result.figures is not None:
            value = result.figures.auc["5"]
            if value is None:
                continue
            told = f"{result.scene}, {result.method}: {value:.1f}"
            points.setdefault(result.method, []).append((value, float(scenes.index(result.scene)), told))
    return [Series(name, styles[name], tuple(found)) for name, found in points.items()]


def _sweep(
    dataset: str, groups: Mapping[tuple[str, int | None], Sequence[MethodMeans]], styles: Mapping[str, int]
) -> dict[str, Any]:
    """Accuracy and seconds by number of views, and which method wins at each."""
    points: dict[str, dict[str, list[tuple[float, float, str]]]] = {"accuracy": {}, "seconds": {}}
    winners = []
    numbers = sorted(views for name, views in groups if name == dataset and views is not None)
    for views in numbers:
        rows = groups[(dataset, views)]
        for row in rows:
            found = row.means.get(_SHOWN)
            if found is None:
                continue
            where = f"{row.method}, {views} views, {row.scenes} scenes"
            points["accuracy"].setdefault(row.method, []).append((views, found.mean, f"{where}: {found.mean:.1f}"))
            if not math.isnan(row.wall_s):
                told = f"{where}: {duration(row.wall_s)}"
                points["seconds"].setdefault(row.method, []).append((views, row.wall_s, told))
        top = _best_rows(rows)
        winners.append((views, max(row.scenes for row in rows), *top))
    drawn = {
        kind: [Series(name, styles[name], tuple(one)) for name, one in found.items() if len(one) >= _LEAST_SIZES]
        for kind, found in points.items()
    }
    by_views = Axis("views", log=True)
    return {
        "title": _TITLES.get(dataset, dataset),
        "accuracy": scatter(drawn["accuracy"], by_views, Axis(_SHOWN, 0, 100), joined=True),
        "seconds": scatter(drawn["seconds"], by_views, Axis("seconds", log=True), joined=True),
        "winners": winners,
    }


def _best_rows(rows: Sequence[MethodMeans]) -> tuple[str, str]:
    """The methods with the highest mean, and that mean."""
    known = {row.method: row.means[_SHOWN].mean for row in rows if _SHOWN in row.means}
    top = max(known.values(), default=math.nan)
    return ", ".join(name for name, value in known.items() if value == top and top > 0), f"{top:.1f}"


def _covered(method: str, counts: Mapping[str, int]) -> dict[str, Any]:
    passed = counts["right and passed"] + counts["wrong and passed"]
    right = counts["right and passed"] + counts["right and flagged"]
    total = sum(counts.values())
    return {
        "method": method,
        "counts": counts,
        "shares": {cell: 100 * number / total for cell, number in counts.items()},
        "good": _share(counts["right and passed"], passed),
        "seen": _share(counts["right and passed"], right),
    }


def _share(number: int, total: int) -> str:
    return f"{number} of {total}" + (f" ({100 * number / total:.0f} %)" if total else "")


def _swatch(style: int) -> str:
    return f'<svg class="swatch" viewBox="0 0 14 14" aria-hidden="true">{mark(style, 7, 7)}</svg>'
