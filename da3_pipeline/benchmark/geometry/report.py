"""What a grid came to, on disk: index.html, results.md and results.json."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ...errors import ExportError
from ...metering import resident_mb
from ..kept_results import code_version, replace_text
from ..metrics.growth import Growth, growth_of
from .cells import CellResult
from .page import Section, rendered_page
from .tables import geometry_json, geometry_markdown

__all__ = ["ABOUT_COMMAND", "about", "growth_by_method", "write_results"]

ABOUT_COMMAND = "command"


def about(command: str, results: Sequence[CellResult] = ()) -> dict[str, str]:
    """What the figures were measured with, and by which command; the most memory that a process took meanwhile."""
    from importlib.metadata import version

    peaks = [value for one in results for value in (one.peak_mb, one.cell_mb) if value is not None]
    memory = f"{max(peaks, default=0):,.0f} MB at most in one process; the grid's own holds {resident_mb():,.0f} MB"
    return {
        ABOUT_COMMAND: command,
        "version": f"{version('da3-pipeline')}, code {code_version()}",
        "machine": f"{os.cpu_count()} CPU cores, {platform.system()} {platform.machine()}",
        "python": f"{platform.python_version()}, COLMAP {version('pycolmap')}, torch {version('torch')}",
        **({"memory": memory} if peaks else {}),
    }


def growth_by_method(results: Sequence[CellResult]) -> dict[str, Growth]:
    """How the seconds of each method grow with the number of views, where several numbers were measured."""
    timed: dict[str, list[tuple[int, float]]] = {}
    for result in results:
        if result.views is not None and result.wall_s is not None and result.wall_s > 0:
            timed.setdefault(result.method, []).append((result.views, result.wall_s))
    found = {name: growth_of(*np.array(sorted(pairs), float).T) for name, pairs in timed.items()}
    return {name: growth for name, growth in found.items() if not math.isnan(growth.exponent)}


def write_results(
    folder: Path, title: str, results: Sequence[CellResult], told: Mapping[str, str], sections: Sequence[Section] = ()
) -> str:
    """Write the three files, each whole or not at all; the tables in Markdown. Raises ExportError where they cannot
    be written."""
    growth = growth_by_method(results)
    tables = geometry_markdown(results, growth)
    for section in sections:
        body = section.failure or f"```\n{section.text}\n```"
        tables += f"\n## {section.title}\n\n{section.about}\n\n{body}\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_text(folder / "results.json", geometry_json(results, growth, told))
        head = "\n".join(f"- {name}: {value}" for name, value in told.items())
        replace_text(folder / "results.md", f"# {title}\n\n{head}\n\n{tables}")
        replace_text(folder / "index.html", rendered_page(title, results, growth, told, sections))
    except OSError as error:
        raise ExportError(f"{folder}: cannot be written ({error.strerror or error}); choose another folder") from error
    return tables
