"""What every reader of a data set gives: scenes of posed views, with depth and surface where they are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np

from ...arrays import Bool, Bytes, Float, Float32
from ...imageio import read_rgb
from ..metrics.dtu import DtuObserved
from ..metrics.settings import SurfaceSettings

__all__ = [
    "CONTEXT_VIEWS",
    "PUBLISHED_MOST_FRAMES",
    "Dataset",
    "GeometryScene",
    "SceneView",
    "evenly_picked",
    "sampled",
    "with_targets",
]

PUBLISHED_MOST_FRAMES = 100
CONTEXT_VIEWS = 12
"""That methods are given where others are rendered (SPEC 3.8, the paper's table 5)."""


@dataclass(frozen=True)
class SceneView:
    """A picture and what is true of it.

    cam_from_world (3, 4) in OpenCV axes, in units of the scene; intrinsics (3, 3) in pixels with a corner origin of
    the picture that `image` gives. depth: reads (H, W) z-depth of that picture, NaN where it is not known; mask: reads
    (H, W), True where surfaces are judged. None where the data set has none.
    """

    name: str
    path: Path
    cam_from_world: Float
    intrinsics: Float
    depth: Callable[[], Float32] | None = None
    mask: Callable[[], Bool] | None = None
    undistort: Callable[[Bytes], Bytes] | None = None

    def image(self) -> Bytes:
        """(H, W, 3) RGB, of a pinhole camera."""
        stored = read_rgb(self.path)
        return stored if self.undistort is None else self.undistort(stored)


@dataclass(frozen=True)
class GeometryScene:
    """Views in the data set's order. surface: reads (M, 3) points of the true surface; settings: how it is compared.

    dtu: what DTU's protocol needs in their place. targets: views that no method is given, to be rendered.
    """

    dataset: str
    name: str
    views: tuple[SceneView, ...]
    settings: SurfaceSettings | None = None
    surface: Callable[[], Float] | None = None
    dtu: Callable[[], DtuObserved] | None = None
    targets: tuple[SceneView, ...] = ()

    def __len__(self) -> int:
        return len(self.views)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(view.name for view in self.views)

    @property
    def cam_from_world(self) -> Float:
        """(N, 3, 4)."""
        return np.stack([view.cam_from_world for view in self.views])

    @property
    def intrinsics(self) -> Float:
        """(N, 3, 3)."""
        return np.stack([view.intrinsics for view in self.views])

    def subset(self, chosen: Sequence[int]) -> GeometryScene:
        return replace(self, views=tuple(self.views[k] for k in chosen))


@dataclass(frozen=True)
class Dataset:
    """A data set by its name in tables. layout: what is looked for below its folder, source: where it is to be had.

    scenes: the names that lie in a folder; read: one of them. Both raise CaptureError in one line for what is damaged.
    novel_views: whether some views are given and others rendered (`with_targets`). depth: whether there
    is any, which then is in metres.
    """

    name: str
    layout: str
    source: str
    scenes: Callable[[Path], Sequence[str]]
    read: Callable[[Path, str], GeometryScene]
    novel_views: bool = False
    depth: bool = False


def sampled(scene: GeometryScene, most: int = PUBLISHED_MOST_FRAMES, seed: int = 42) -> GeometryScene:
    """The scene with no more than `most` views, drawn as the published benchmark draws them, in their order."""
    if len(scene) <= most:
        return scene
    order = list(range(len(scene)))
    Random(seed).shuffle(order)
    return scene.subset(sorted(order[:most]))


def evenly_picked(count: int, views: int) -> Sequence[int]:
    """So many of `count` places, or all, the first and the last among them."""
    picked: list[int] = np.unique(np.linspace(0, count - 1, min(views, count)).round().astype(int)).tolist()
    return picked


def with_targets(scene: GeometryScene, context: int = CONTEXT_VIEWS) -> GeometryScene:
    """The scene with `context` evenly picked views, and as targets those halfway between one and the next.

    Which views the paper takes it does not tell. A scene of few views gives every second one.
    """
    given = evenly_picked(len(scene), min(context, (len(scene) + 1) // 2))
    between = [(left + right) // 2 for left, right in pairwise(given) if right - left > 1]
    return replace(scene.subset(given), targets=tuple(scene.views[view] for view in between))
