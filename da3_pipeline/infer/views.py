"""What a prior says before it is tied to cameras and given poses: the common ground of network and file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Bool, Float, Float32
from ..geometry import Sim3

__all__ = ["RawViews", "typical_depth"]


@dataclass(frozen=True)
class RawViews:
    """Per view, all in depth-map pixels and one arbitrary or given world.

    depth and conf (N, h, w) float32, cam_from_world (N, 3, 4), intrinsics (N, 3, 3). Where the source has them:
    descriptors (N, D); sky (N, h, w), true where there is nothing but sky; depth_m (N,), the typical depth in metres,
    NaN where unknown; gaussians (N, h, w, 38), see `gaussian_views`. The last two are of no world: none changes them.

    Every field has one entry a view, or is None: what selects, stores and merges views goes through `arrays` and
    needs no change when a field is added.
    """

    depth: Float32
    conf: Float32
    cam_from_world: Float
    intrinsics: Float
    descriptors: Float32 | None = None
    sky: Bool | None = None
    depth_m: Float | None = None
    gaussians: Float32 | None = None

    def __len__(self) -> int:
        return len(self.depth)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The fields that are there, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def subset(self, indices: Sequence[int] | NDArray[np.integer]) -> RawViews:
        """The views at `indices`, in that order."""
        chosen = np.asarray(indices, np.int64)
        return RawViews(**{name: array[chosen] for name, array in self.arrays().items()})

    def in_memory(self) -> RawViews:
        """The same with every array in memory, where some are mapped from files."""
        return RawViews(**{name: np.array(array, subok=False) for name, array in self.arrays().items()})

    def moved(self, b_from_a: Sim3) -> RawViews:
        """The same views in world b: centres move with the Sim3, depths grow by its scale."""
        changed: dict[str, NDArray[Any]] = {
            "depth": self.depth * np.float32(b_from_a.scale),
            "cam_from_world": b_from_a.apply_to_cameras(self.cam_from_world),
        }
        return RawViews(**{**self.arrays(), **changed})

    def usable(self) -> Bool:
        """(N,) whether a view has a finite pose, finite intrinsics and any positive depth."""
        poses = np.isfinite(self.cam_from_world).all((1, 2))
        matrices = np.isfinite(self.intrinsics).all((1, 2))
        with np.errstate(invalid="ignore"):
            depths = (np.isfinite(self.depth) & (self.depth > 0)).any((1, 2))
        return np.asarray(poses & matrices & depths)


def typical_depth(depth: Float32) -> Float:
    """(N,) the median of each map's finite positive depths; NaN where there is none."""
    known = (values[np.isfinite(values) & (values > 0)] for values in depth)
    return np.array([np.median(values) if len(values) else np.nan for values in known], float)
