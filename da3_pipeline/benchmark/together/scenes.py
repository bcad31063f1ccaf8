"""The scenes that every benchmark can have: those that are rendered here, and the given ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...progress import Progress
from ..datasets.rendered import RENDERED, RENDERED_KINDS, render_scene
from ..datasets.strecha import STRECHA

__all__ = ["QUICK_VIEWS", "VIEWS", "rendered_set", "scene_with_truth"]

VIEWS, QUICK_VIEWS = 30, 12
"""Of a rendered scene: enough for the largest number of a sweep, or few."""


def rendered_set(root: Path, quick: bool, progress: Progress) -> Path:
    """Lay the rendered scenes below `root`, unless they are there; `root` of that size."""
    views = QUICK_VIEWS if quick else VIEWS
    place = root / f"{views} views"
    progress.begin("rendering")
    for number, kind in enumerate(RENDERED_KINDS):
        progress.step(number, len(RENDERED_KINDS), kind)
        render_scene(place / RENDERED.name, kind, views=views)
    progress.end(f"{len(RENDERED_KINDS)} scenes")
    return place


def scene_with_truth(roots: Sequence[Path], quick: bool = False) -> Path:
    """The folder with images/ and truth.json that benchmarks of one scene take: Strecha's first by name, else the room;
    if quick, that of the fewest images."""
    for dataset in (STRECHA, RENDERED):
        found = [root / dataset.name / name for root in roots for name in dataset.scenes(root / dataset.name)]
        if found:
            return min(found, key=lambda folder: (_images(folder) if quick else 0, *_by_name(folder)))
    raise AssertionError("the rendered scenes are there")


def _images(folder: Path) -> int:
    return sum(1 for _ in (folder / "images").iterdir())


def _by_name(folder: Path) -> tuple[bool, str]:
    return not folder.name.startswith("room"), folder.name
