"""Gaussians of single views, in a form that no change of world touches, and one cloud of them all at the end.

They are kept in the axes of their camera with the view's typical depth as unit. Whatever happens to poses and depth in
between (given worlds, overlapping chunks that are blended), they follow both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..arrays import Float32
from ..gaussians import concatenate, moved_by_view
from ..geometry import Sim3
from ..types import GaussianCloud
from .views import RawViews, typical_depth

if TYPE_CHECKING:
    from ..model import Gaussians

__all__ = ["cloud_of_views", "gaussians_by_view"]

_INVISIBLE = 1 / 255
_WIDTHS = (3, 3, 4, 27, 1)


def gaussians_by_view(gaussians: Gaussians, views: RawViews) -> Float32:
    """(V, h, w, 38) of each pixel: mean, scales, rotation, harmonics, opacity in the axes and unit of its view.

    gaussians: of one set, in the world of the views' cameras. NaN for a view without a finite pose or depth.
    """
    count, height, width = views.depth.shape
    parts = {name: value[0].float().cpu().numpy() for name, value in vars(gaussians).items()}
    view = np.repeat(np.arange(count, dtype=np.int32), height * width)
    similarities = []
    for pose, unit in zip(views.cam_from_world, typical_depth(views.depth), strict=True):
        if np.isfinite(pose).all() and np.isfinite(unit):
            similarities.append(Sim3(1 / unit, pose[:, :3], pose[:, 3] / unit))
        else:
            similarities.append(Sim3(np.nan, np.eye(3), np.full(3, np.nan)))
    cloud = moved_by_view(GaussianCloud(**parts, view=view), similarities)
    rows = (cloud.means, cloud.scales, cloud.rotations, cloud.harmonics.reshape(-1, 27), cloud.opacities[:, None])
    return np.concatenate(rows, axis=1).reshape(count, height, width, sum(_WIDTHS))


def cloud_of_views(views: RawViews) -> GaussianCloud | None:
    """All Gaussians in the world of the views' cameras but those of the sky and those that nobody can see.

    None where the views have none. `view` is the index of the view.
    """
    if views.gaussians is None:
        return None
    clouds = []
    for index in range(len(views)):
        rows = np.asarray(views.gaussians[index]).reshape(-1, sum(_WIDTHS))
        unit = float(typical_depth(views.depth[index : index + 1])[0])
        rotation, translation = views.cam_from_world[index, :, :3].T, views.cam_from_world[index, :, 3]
        shown = np.isfinite(rows).all(1) & (rows[:, -1] >= _INVISIBLE)
        if views.sky is not None:
            shown &= ~np.asarray(views.sky[index]).ravel()
        means, scales, quaternions, harmonics, opacities = np.split(rows[shown], np.cumsum(_WIDTHS)[:-1], axis=1)
        count = len(means)
        local = GaussianCloud(
            means, scales, quaternions, harmonics.reshape(count, 3, 9), opacities[:, 0], np.zeros(count, np.int32)
        )
        label = np.full(count, index, np.int32)
        clouds.append(moved_by_view(local, [Sim3(unit, rotation, -rotation @ translation)], label))
    return concatenate(clouds)
