"""Scenes with known truth: a folder with `images/` and a `truth.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...arrays import Float
from ...errors import UsageError

__all__ = ["SceneTruth", "read_truth"]


@dataclass(frozen=True)
class SceneTruth:
    """names (N) sorted; cam_from_world (N, 3, 4); intrinsics (N, 3, 3) in pixels of the images, NaN where not told."""

    folder: Path
    names: tuple[str, ...]
    cam_from_world: Float
    intrinsics: Float

    @property
    def images(self) -> Path:
        return self.folder / "images"


def read_truth(scene: Path) -> SceneTruth:
    """The truth of a scene: {"images": {name: {"w2c": 3x4, "K": 3x3}}}, OpenCV axes, corner origin.

    Raises UsageError for a folder that is not such a scene.
    """
    try:
        images = json.loads((scene / "truth.json").read_text())["images"]
        names = tuple(sorted(images))
        poses = np.array([images[name]["w2c"] for name in names], float).reshape(-1, 3, 4)
        unknown = np.full((3, 3), np.nan)
        matrices = np.array([images[name].get("K", unknown) for name in names], float).reshape(-1, 3, 3)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{scene}: needs images/ and a truth.json with w2c poses ({error})") from error
    return SceneTruth(scene, names, poses, matrices)
