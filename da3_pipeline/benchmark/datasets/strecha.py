"""Scenes with images/ and truth.json, as every benchmark here takes them: Strecha's, or one's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..truth.scene_truth import read_truth
from .contract import Dataset, GeometryScene, SceneView
from .files import folders_with

__all__ = ["STRECHA"]


def _scenes(root: Path) -> Sequence[str]:
    return folders_with(root, "images", "truth.json")


def _read(root: Path, name: str) -> GeometryScene:
    """Poses alone are judged; images that truth.json does not name are no part of the scene."""
    truth = read_truth(root / name)
    rows = zip(truth.names, truth.cam_from_world, truth.intrinsics, strict=True)
    return GeometryScene("Strecha", name, tuple(SceneView(image, truth.images / image, *row) for image, *row in rows))


STRECHA = Dataset(
    "strecha",
    "SCENE/images, SCENE/truth.json",
    "Strecha et al. 2008 (EPFL, denseMVS); truth.json has each image's w2c and K",
    _scenes,
    _read,
)
