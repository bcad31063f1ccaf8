"""The grid of data sets and methods: what is missing is measured, each cell in a process of its own, and kept.

A grid that is killed goes on where it was, and several commands on one folder, on one machine or more that share it,
do it together. Memory stays flat, since cells end with their processes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from ...errors import PipelineError, UsageError
from ...files.fingerprint import fingerprint
from ...progress import Progress
from ..datasets.registry import DATASETS, dataset
from ..fresh_process import ask, python_module
from ..kept_results import code_version, kept_once
from ..methods.registry import DEPTH_ALONE, method
from .cells import Cell, CellResult

__all__ = ["METHODS", "VIEWS", "GridOptions", "grid_cells", "measure_grid"]

METHODS = (
    "floor:constant",
    "floor:random",
    "raw:da3-nano",
    "ray:da3-nano",
    "long:da3-nano",
    "mono:da3-nano",
    "refined:da3-nano",
    "colmap:photographs",
    "colmap:global",
    "colmap:few",
)
"""What needs neither weights nor files of others; COLMAP with a lens that bends, with the global mapper, and with a
pinhole, which is best for few views."""

VIEWS = (3, 5, 8, 12, 20, 30)
"""Numbers of evenly picked views of a sweep: from what COLMAP cannot start with to what it does best on."""

_PROCESS = "da3_pipeline.benchmark.geometry.cell_process"


@dataclass(frozen=True)
class GridOptions:
    """methods: as they are asked for, KIND:WHAT. views: numbers of evenly picked views, None for all of a scene; a
    scene that has fewer is left out of that number. results: where cells are kept. jobs: cells at once, on the devices
    in turn. datasets: names, all that are there if none. most_scenes: of each, all if None."""

    results: Path
    methods: tuple[str, ...]
    views: tuple[int | None, ...] = (None,)
    datasets: tuple[str, ...] = ()
    most_scenes: int | None = None
    jobs: int = 1
    devices: tuple[str, ...] = ("auto",)


def grid_cells(roots: Sequence[Path], options: GridOptions) -> list[Cell]:
    """Every cell, scene by scene; `roots` hold a folder for each data set, by its name.

    Raises UsageError where there is no scene, and for a data set or a method that there is not.
    """
    names = [dataset(name).name for name in options.datasets] or list(DATASETS)
    cells = []
    for name in names:
        for root in roots:
            scenes = list(DATASETS[name].scenes(root / name))[: options.most_scenes]
            meant = [asked for asked in options.methods if _means_something(asked, name)]
            labels = {asked: method(asked, name).name for asked in meant} if scenes else {}
            if len(set(labels.values())) < len(labels):
                raise UsageError("two methods would have one name in the table; give their folders different names")
            cells += [
                Cell(name, root / name, scene, asked, label, views)
                for scene in scenes
                for views in _numbers(name, root / name, scene, options.views)
                for asked, label in labels.items()
            ]
    if not cells:
        looked = ", ".join(str(root) for root in roots)
        raise UsageError(
            f"{looked}: holds no scene of {', '.join(names)}; da3-pipeline bench datasets says what it may"
        )
    return cells


def measure_grid(cells: Sequence[Cell], options: GridOptions, progress: Progress) -> list[CellResult]:
    """The result of every cell, in order; those that could not be measured say why. What failed is tried again by the
    next call, what was measured is not, as long as the code and what a method reads are the same."""
    devices: SimpleQueue[str] = SimpleQueue()
    for number in range(max(options.jobs, 1)):
        devices.put(options.devices[number % len(options.devices)])
    found: dict[Cell, CellResult] = {}
    progress.begin("grid")
    for wait in (False, True):  # what another process is at is waited for when all else is done
        missing = [cell for cell in cells if cell not in found]
        once = partial(_once, options.results, devices, options.jobs, wait)
        for cell, result in zip(missing, _each(once, missing, options.jobs), strict=True):
            if result is not None:
                found[cell] = result
                progress.step(len(found), len(cells), str(cell))
    failed = sum(bool(result.failure) for result in found.values())
    progress.end(f"{len(cells)} cells" + (f", {failed} not measured" if failed else ""))
    return [found[cell] for cell in cells]


def _means_something(asked: str, name: str) -> bool:
    """Methods that know depth alone are left out where no depth is judged."""
    return DATASETS[name].depth or asked.partition(":")[0] not in DEPTH_ALONE


def _numbers(name: str, folder: Path, scene: str, views: Sequence[int | None]) -> list[int | None]:
    """Those numbers of views that the scene has; one that cannot be read gets a cell that says so."""
    if all(number is None for number in views):
        return list(views)
    try:
        length = len(dataset(name).read(folder, scene))
    except PipelineError:
        return [None]
    return [number for number in views if number is None or number <= length]


def _each(once: partial[CellResult | None], cells: Sequence[Cell], jobs: int) -> Iterator[CellResult | None]:
    """A thread waits for each process."""
    if jobs <= 1:
        yield from map(once, cells)
        return
    pool = ThreadPoolExecutor(jobs)
    try:
        yield from pool.map(once, cells)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _once(results: Path, devices: SimpleQueue[str], jobs: int, wait: bool, cell: Cell) -> CellResult | None:
    read = method(cell.method, cell.dataset).identity(cell.scene)
    key = fingerprint(code_version(), str(cell.folder), cell.scene, cell.method, read, cell.views)
    kept = kept_once(results / cell.path, key, partial(_measured, cell, devices, jobs), _has_failed, wait)
    return None if kept is None else CellResult.of(cell, kept)


def _has_failed(document: dict[str, Any]) -> bool:
    return bool(document.get("failure"))


def _measured(cell: Cell, devices: SimpleQueue[str], jobs: int) -> dict[str, Any]:
    """The answer of a fresh process, or its last word in `failure`."""
    request = {"dataset": cell.dataset, "folder": str(cell.folder), "scene": cell.scene}
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs))} if jobs > 1 else {}
    device = devices.get()
    try:
        asked = request | {"method": cell.method, "views": cell.views, "device": device}
        return ask(str(cell), python_module(_PROCESS), asked, threads).answer
    except PipelineError as error:
        return {"failure": str(error).removeprefix(f"{cell}: ")}
    finally:
        devices.put(device)
