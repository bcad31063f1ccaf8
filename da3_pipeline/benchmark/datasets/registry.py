"""All data sets by name, and what of them is there."""

from __future__ import annotations

from pathlib import Path

from ...errors import UsageError
from .contract import Dataset
from .dtu import DTU, DTU_64
from .eth3d import ETH3D
from .hiroom import HIROOM
from .novel_views import DL3DV, MEGADEPTH, TANKS_AND_TEMPLES
from .rendered import RENDERED
from .scannetpp import SCANNETPP
from .seven_scenes import SEVEN_SCENES
from .strecha import STRECHA
from .tum import TUM

__all__ = ["DATASETS", "availability", "dataset"]

DATASETS: dict[str, Dataset] = {
    one.name: one
    for one in (
        *(HIROOM, ETH3D, DTU, DTU_64, SEVEN_SCENES, SCANNETPP),
        *(DL3DV, TANKS_AND_TEMPLES, MEGADEPTH),
        *(STRECHA, TUM, RENDERED),
    )
}
"""In the order of the published tables, then the others."""


def dataset(name: str) -> Dataset:
    """The data set of that name. Raises UsageError, which lists them."""
    if name not in DATASETS:
        raise UsageError(f"no data set is called '{name}'; there are {', '.join(DATASETS)}")
    return DATASETS[name]


def availability(root: Path) -> str:
    """A table of what lies in `root`/NAME of each data set; where the others are to be had, and their layout."""
    rows = []
    for name, one in DATASETS.items():
        found = one.scenes(root / name)
        rows.append(f"{name:<16}{len(found):>4} scenes" if found else f"{name:<16} missing: {one.source}")
        if not found:
            rows.append(f"{'':<17}as {root / name}/{one.layout}")
    return "\n".join(rows)
