"""What every method gives: poses and, where it has any, depth of the views of a scene, and what that took."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...arrays import Bytes, Float, Float32
from ...geometry import Camera, PixelMap
from ..datasets.contract import GeometryScene

__all__ = ["DenseViews", "Estimate", "Method"]

_PINHOLES = ("PINHOLE", "SIMPLE_PINHOLE")


@dataclass(frozen=True)
class DenseViews:
    """Depth of some of a scene's views, the rest having none.

    depth (M, h, w): z-depth in units of the method's poses, NaN or not positive where unknown. pixel_maps (M): to the
    pixels of the pictures. cameras (M): of the pictures, lens included. row: by view of the scene.
    """

    depth: Float32
    pixel_maps: tuple[PixelMap, ...]
    cameras: tuple[Camera, ...]
    row: dict[int, int]

    def of_picture(self, view: int) -> Float32:
        """(H, W) depth at the centres of the picture's pixels, of the nearest pixel of the map, NaN where it has
        none: maps are cropped, and views may have no depth."""
        if view not in self.row:
            raise KeyError(f"view {view} has no depth")
        camera = self.cameras[self.row[view]]
        return self._at(view, _centres(camera.width, camera.height)).reshape(camera.height, camera.width)

    def of_pinhole(self, view: int) -> tuple[Float32, Float]:
        """The same on the picture that a camera without distortion would have taken, and its K (3, 3)."""
        camera = self.cameras[self.row[view]]
        if camera.model in _PINHOLES:
            return self.of_picture(view), camera.K
        x, y = ((_centres(camera.width, camera.height) - camera.K[:2, 2]) / np.diag(camera.K)[:2]).T
        bent = camera.project(np.stack([x, y, np.ones_like(x)], axis=1))
        return self._at(view, bent).reshape(camera.height, camera.width), camera.K

    def _at(self, view: int, pixels: Float) -> Float32:
        """(P,) at (P, 2) pixels of the picture."""
        depth = self.depth[self.row[view]]
        column, row = np.floor(self.pixel_maps[self.row[view]].to_network(np.nan_to_num(pixels, nan=-1e6))).T
        inside = (column >= 0) & (row >= 0) & (column < depth.shape[1]) & (row < depth.shape[0])
        found = np.full(len(pixels), np.nan, np.float32)
        found[inside] = depth[row[inside].astype(int), column[inside].astype(int)]
        found[~(found > 0)] = np.nan
        return found


@dataclass(frozen=True)
class Estimate:
    """A method's answer for the N views of a scene, in their order.

    cam_from_world (N, 3, 4), NaN for views without a pose. wall_s, cpu_s, peak_mb: of a process that does nothing else,
    from the pictures' files to the answer on disk; None where nobody measured it. passed: what the method says of its
    own result, with the reason in `verdict`; None for methods that never say. set_aside: views that it did not mean to
    use. points (P, 3) in its world, with colours (P, 3), of methods that triangulate. has_poses: False for
    methods that say nothing of poses, and whose depth maps have a scale each. in_metres: whether depth claims to be.
    """

    cam_from_world: Float
    dense: DenseViews | None = None
    wall_s: float | None = None
    cpu_s: float | None = None
    peak_mb: float | None = None
    passed: bool | None = None
    verdict: str = ""
    set_aside: frozenset[int] = frozenset()
    points: Float | None = None
    colours: Bytes | None = None
    has_poses: bool = True
    in_metres: bool = False

    @property
    def posed(self) -> list[int]:
        """The views that have a pose."""
        return [int(view) for view in np.flatnonzero(np.isfinite(self.cam_from_world).all(axis=(1, 2)))]


@dataclass(frozen=True)
class Method:
    """A method by its name in tables, which is also how it is asked for.

    estimate: (scene, an empty folder to work in) to the answer. Raises PipelineError in one line where there is none.
    identity: by the name of a scene, what else decides the answer, such as the state of the file that holds it; kept
    results are used again where it is the same.
    """

    name: str
    estimate: Callable[[GeometryScene, Path], Estimate]
    identity: Callable[[str], str] = lambda scene: ""


def _centres(width: int, height: int) -> Float:
    """(H * W, 2) pixel centres, row by row."""
    column, row = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([column.ravel(), row.ravel()], axis=1)
