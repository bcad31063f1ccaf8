"""A scene's pictures as files in a folder, which is what programs ask for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...imageio import copy_upright, probe_image, write_rgb
from ..datasets.contract import GeometryScene, SceneView

__all__ = ["Pictures", "lay_pictures", "picture_size"]


@dataclass(frozen=True)
class Pictures:
    """names (N): of the files in `folder`, by view of the scene, which is also their order by name."""

    folder: Path
    names: tuple[str, ...]


def lay_pictures(scene: GeometryScene, folder: Path) -> Pictures:
    """Upright copies, 0000.jpg and so on; pictures that the data set has with distortion are straightened first."""
    folder.mkdir(parents=True)
    names = []
    for number, view in enumerate(scene.views):
        path = folder / f"{number:04d}.png"
        if view.undistort is None:
            path = copy_upright(view.path, path)
        else:
            write_rgb(path, view.image())
        names.append(path.name)
    return Pictures(folder, tuple(names))


def picture_size(view: SceneView) -> tuple[int, int]:
    """Width and height of the picture that `view` gives."""
    if view.undistort is None:
        info = probe_image(view.path)
        return info.width, info.height
    height, width = view.image().shape[:2]
    return width, height
