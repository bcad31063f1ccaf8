"""One cell of the grid: a scene by a method, measured in a process of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...ingest.projects.views import rigid
from ..datasets.contract import CONTEXT_VIEWS, GeometryScene, evenly_picked, sampled, with_targets
from ..datasets.registry import dataset
from .evaluation import SceneFigures

__all__ = ["Cell", "CellResult", "cell_scene"]


@dataclass(frozen=True)
class Cell:
    """What to measure. folder: of the data set. method: as it is asked for, KIND:WHAT. views: evenly picked ones, None
    for all that the published benchmark takes."""

    dataset: str
    folder: Path
    scene: str
    method: str
    label: str
    views: int | None = None

    @property
    def path(self) -> Path:
        """Where its result is kept, below a folder of results."""
        count = "all" if self.views is None else f"{self.views} views"
        return Path(self.dataset, _file_name(self.scene), f"{_file_name(self.label)} {count}.json")

    def __str__(self) -> str:
        views = "" if self.views is None else f", {self.views} views"
        return f"{self.dataset}/{self.scene}{views}, {self.label}"


@dataclass(frozen=True)
class CellResult:
    """What came of it: figures, or in `failure` the line that says why there are none.

    wall_s, cpu_s, peak_mb: of the method. cell_mb: peak memory of the process that reads the scene and judges the
    answer, in which methods without a process of their own run, too. passed: its verdict on itself, None for one that
    never says.
    """

    dataset: str
    scene: str
    method: str
    views: int | None
    figures: SceneFigures | None = None
    wall_s: float | None = None
    cpu_s: float | None = None
    peak_mb: float | None = None
    cell_mb: float | None = None
    passed: bool | None = None
    verdict: str = ""
    failure: str = ""

    @classmethod
    def of(cls, cell: Cell, document: dict[str, Any]) -> CellResult:
        """From what is kept of a cell."""
        figures = document.get("figures")
        told = {name: document.get(name) for name in ("wall_s", "cpu_s", "peak_mb", "cell_mb", "passed")}
        return cls(
            cell.dataset,
            cell.scene,
            cell.label,
            cell.views,
            None if figures is None else SceneFigures.of(figures),
            verdict=str(document.get("verdict") or ""),
            failure=str(document.get("failure") or ""),
            **told,
        )


def cell_scene(name: str, folder: Path, scene: str, views: int | None) -> GeometryScene:
    """The scene of a cell: no more views than the published benchmark takes, or so many, evenly picked; of data sets
    whose views are rendered those that methods are given, and the targets.

    Raises CaptureError in one line where it is damaged.
    """
    told = dataset(name)
    whole = told.read(folder, scene)
    for view in whole.views:
        rigid(view.cam_from_world, f"{folder}: the pose of {view.name} in {scene}")
    if told.novel_views:
        return with_targets(whole, views or CONTEXT_VIEWS)
    if views is None:
        return sampled(whole)
    return whole.subset(evenly_picked(len(whole), views))


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "+", text)
