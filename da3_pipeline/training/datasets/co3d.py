"""CO3Dv2 (Reizenstein et al. 2021): objects filmed all around, in units of their own, depth from COLMAP.

    CATEGORY/{frame_annotations.jgz, SEQUENCE/images/frame000001.jpg, SEQUENCE/depths/frame000001.jpg.geometric.png}

Viewpoints are PyTorch3D's: points are rows, x_cam = x R + T, x to the left and y up; focal length and principal point
in half of the picture's shorter side (`ndc_isotropic`) or of each side (`ndc_norm_image_bounds`). Depth is stored as
the bits of half floats, times `scale_adjustment`. A scene is one sequence of a category.
"""

from __future__ import annotations

import gzip
import json
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from .contract import DataSet, PosedImage, PosedScene, pinhole, unreadable
from .depth_files import read_half_float_png

__all__ = ["CO3D"]

_ANNOTATIONS = "frame_annotations.jgz"


def find_scenes(root: Path) -> tuple[Path, ...]:
    found = (path.parent / sequence for path in root.rglob(_ANNOTATIONS) for sequence in _by_sequence(path))
    return tuple(sorted(found))


def read_scene(folder: Path) -> PosedScene:
    path = folder.parent / _ANNOTATIONS
    frames = _by_sequence(path).get(folder.name, ())
    try:
        views = [_view(frame, folder.parents[1]) for frame in frames]
    except (ValueError, KeyError, TypeError) as error:
        raise unreadable(path, "CO3Dv2", error) from error
    return PosedScene("/".join(folder.parts[-2:]), tuple(views), metric=False)


@lru_cache(maxsize=4)
def _by_sequence(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The frames of a category by sequence, in order; a category's file is large and is read once."""
    try:
        with gzip.open(path, "rt") as file:
            frames = sorted(json.load(file), key=lambda frame: frame["frame_number"])
        found: dict[str, list[dict[str, Any]]] = {}
        for frame in frames:
            found.setdefault(frame["sequence_name"], []).append(frame)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise unreadable(path, "CO3Dv2", error) from error
    return found


def _view(frame: dict[str, Any], root: Path) -> PosedImage:
    seen, (height, width) = frame["viewpoint"], frame["image"]["size"]
    half = np.array([width, height], float) / 2
    unit = half if seen.get("intrinsics_format") == "ndc_norm_image_bounds" else np.full(2, half.min())
    focal, centre = np.array(seen["focal_length"], float) * unit, half - np.array(seen["principal_point"], float) * unit
    flip = np.array([-1.0, -1, 1])
    rotation, translation = np.array(seen["R"], float).T * flip[:, None], np.array(seen["T"], float) * flip
    depth = frame["depth"]
    return PosedImage(
        root / frame["image"]["path"],
        pinhole(*focal, *centre),
        np.concatenate([rotation, translation[:, None]], axis=1),
        partial(read_half_float_png, root / depth["path"], float(depth["scale_adjustment"])),
    )


CO3D = DataSet(find_scenes, read_scene)
