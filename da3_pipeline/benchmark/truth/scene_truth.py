"""Scenes with known truth: a folder with `images/` and a `truth.json`, or the `colmap.json` of COLMAP's solution."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...arrays import Float
from ...errors import UsageError

__all__ = ["SceneTruth", "copy_images", "has_truth", "read_truth", "stacked", "write_truth"]

_FILES = ("truth.json", "colmap.json")


@dataclass(frozen=True)
class SceneTruth:
    """names (N) sorted; cam_from_world (N, 3, 4); intrinsics (N, 3, 3) in pixels of the images, NaN where not told.

    measured: False where the poses are COLMAP's own.
    """

    folder: Path
    names: tuple[str, ...]
    cam_from_world: Float
    intrinsics: Float
    measured: bool = True

    @property
    def images(self) -> Path:
        return self.folder / "images"

    @property
    def by_name(self) -> dict[str, Float]:
        return dict(zip(self.names, self.cam_from_world, strict=True))


def has_truth(scene: Path) -> bool:
    """Whether `read_truth` finds anything to read."""
    return any((scene / name).is_file() for name in _FILES)


def read_truth(scene: Path) -> SceneTruth:
    """The truth of a scene: {"images": {name: {"w2c": 3x4, "K": 3x3}}}, OpenCV axes, corner origin, in truth.json.

    colmap.json is read in its place where there is none; `scene` may be such a file itself. Raises UsageError for what
    is no such scene.
    """
    file = next((name for name in _FILES if (scene / name).is_file()), _FILES[0])
    path = scene if scene.is_file() else scene / file
    try:
        images = json.loads(path.read_text())["images"]
        names = tuple(sorted(images))
        poses = np.array([images[name]["w2c"] for name in names], float).reshape(-1, 3, 4)
        unknown = np.full((3, 3), np.nan)
        matrices = np.array([images[name].get("K", unknown) for name in names], float).reshape(-1, 3, 3)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{scene}: needs images/ and a truth.json with w2c poses ({error})") from error
    return SceneTruth(path.parent, names, poses, matrices, path.name != _FILES[1])


def write_truth(folder: Path, names: Sequence[str], cam_from_world: Float, intrinsics: Float) -> None:
    """truth.json as `read_truth` takes it."""
    rows = zip(names, cam_from_world, intrinsics, strict=True)
    images = {name: {"w2c": pose.tolist(), "K": matrix.tolist()} for name, pose, matrix in rows}
    (folder / "truth.json").write_text(json.dumps({"images": images}))


def copy_images(images: Mapping[str, Path], folder: Path) -> None:
    """Copies of files below `folder`, under these names and no others."""
    for name, path in images.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)


def stacked(names: Iterable[str], poses: Mapping[str, Float]) -> Float:
    """(N, 3, 4) poses in the order of the names, NaN where there is none."""
    missing = np.full((3, 4), np.nan)
    return np.stack([poses.get(name, missing) for name in names])
