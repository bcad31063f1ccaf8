"""Targets of the benchmark's data sets: a scene of a tiny tree, with all that is read of its first view."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from dataset_layouts import LAYOUTS

from da3_pipeline.benchmark.datasets.registry import DATASETS

__all__ = ["DATASET_READERS", "dataset_files"]

_SCENES = {
    "hiroom": "a/b/c",
    "eth3d": "delivery_area",
    "dtu": "scan4",
    "dtu64": "scan24",
    "7scenes": "stairs",
    "scannetpp": "0a1b",
    "dl3dv": "1K/0a1b2c",
    "tanksandtemples": "truck",
    "megadepth": "0015",
    "strecha": "fountain",
    "tum": "rgbd_dataset_freiburg3_office",
}


def dataset_files(name: str, folder: Path) -> dict[str, bytes]:
    """All files of a tree."""
    LAYOUTS[name](folder)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _read(name: str, folder: Path) -> None:
    DATASETS[name].scenes(folder)
    scene = DATASETS[name].read(folder, _SCENES[name])
    view = scene.views[0]
    for reader in (view.depth, view.mask, scene.dtu):
        if reader is not None:
            reader()


DATASET_READERS: dict[str, Callable[[Path], None]] = {name: partial(_read, name) for name in LAYOUTS}
"""By name."""
