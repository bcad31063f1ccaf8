"""TUM RGB-D (Sturm et al. 2012): sequences of a Kinect in a room with motion capture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...errors import CaptureError
from ...guard.foreign import foreign
from ...ingest.projects.sequences import read_tum
from .contract import Dataset, GeometryScene, SceneView
from .files import folders_with, metric_depth, pinhole

__all__ = ["TUM"]


def _scenes(root: Path) -> Sequence[str]:
    return folders_with(root, "rgb.txt", "groundtruth.txt")


def _read(root: Path, name: str) -> GeometryScene:
    """rgb.txt, depth.txt and groundtruth.txt, joined by time as TUM's own associate.py does; pictures without a pose
    are no part of the scene. Cameras are those published with the benchmark, NaN for sequences of others."""
    views = []
    with foreign(CaptureError, root / name, "get the sequence again"):
        project = read_tum(root / name)
    for known in project.views:
        if known.cam_from_world is not None and known.path is not None:
            K = pinhole(*known.intrinsics.params) if known.intrinsics else np.full((3, 3), np.nan)
            depth = None if known.depth is None else metric_depth(known.depth.path, known.depth.unit)
            views.append(SceneView(known.name, known.path, known.cam_from_world, K, depth))
    if not views:
        raise CaptureError(f"{root / name}: no picture of rgb.txt is near a pose in time; get the sequence again")
    return GeometryScene("TUM RGB-D", name, tuple(views))


TUM = Dataset(
    "tum",
    "SEQUENCE/{rgb,depth}, SEQUENCE/{rgb,depth,groundtruth}.txt",
    "TUM's RGB-D SLAM data set and benchmark: an archive for each sequence",
    _scenes,
    _read,
    depth=True,
)
