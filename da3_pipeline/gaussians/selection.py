"""Which Gaussians are kept: subsets, unions, and the pruning of what no one misses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from ..arrays import Bool, Float, Int
from ..geometry import Camera, transform_points
from ..types import GaussianCloud
from .harmonics import BASES

__all__ = ["Pruning", "View", "concatenate", "finite", "pruned", "subset", "with_bands"]


@dataclass(frozen=True)
class View:
    """Where a view's Gaussians were predicted: its pose, camera, and the (left, top, right, bottom) it saw, pixels.

    hidden (h, w), over that window: True where nothing is to be kept, such as in the sky.
    """

    cam_from_world: Float
    camera: Camera
    window_px: tuple[float, float, float, float]
    hidden: Bool | None = None


@dataclass(frozen=True)
class Pruning:
    """What to leave out.

    border: share of a view's width and height at each edge, where heads see half of their context; the published
    export's is 8/256. min_opacity: 1/255 is what no renderer draws. far_quantile: depth quantile of each view beyond
    which its Gaussians go (published: 0.9); 1 keeps all. max_count: of more, the best are kept, by opacity times the
    solid angle that the Gaussian covers in its own view; ties go to the earlier one.
    """

    border: float = 8 / 256
    min_opacity: float = 1 / 255
    far_quantile: float = 1.0
    max_count: int | None = None


def subset(cloud: GaussianCloud, which: Bool | Int) -> GaussianCloud:
    """The Gaussians at a mask or indices."""
    return GaussianCloud(*(getattr(cloud, field.name)[which] for field in fields(cloud)))


def concatenate(clouds: Sequence[GaussianCloud]) -> GaussianCloud:
    """All Gaussians in order; where degrees differ, the missing bands are zero. ValueError for no cloud at all."""
    count = max(cloud.harmonics.shape[2] for cloud in clouds)
    equal = [with_bands(cloud, count) for cloud in clouds]
    return GaussianCloud(
        *(np.concatenate([getattr(cloud, field.name) for cloud in equal]) for field in fields(GaussianCloud))
    )


def with_bands(cloud: GaussianCloud, count: int) -> GaussianCloud:
    """The cloud with `count` (1, 4, 9 or 16) harmonics: higher bands cut off, or added as zeros."""
    if count not in BASES:
        raise ValueError(f"{count} harmonics: 1, 4, 9 and 16 are whole degrees")
    harmonics = np.zeros((len(cloud), 3, count), np.float32)
    shared = min(count, cloud.harmonics.shape[2])
    harmonics[:, :, :shared] = cloud.harmonics[:, :, :shared]
    return GaussianCloud(cloud.means, cloud.scales, cloud.rotations, harmonics, cloud.opacities, cloud.view)


def finite(cloud: GaussianCloud) -> Bool:
    """(G,) whether every number of a Gaussian is finite, its scales are not negative and its rotation is not zero."""
    whole = np.isfinite(cloud.opacities) & np.isfinite(cloud.harmonics).all(axis=(1, 2))
    for values in (cloud.means, cloud.scales, cloud.rotations):
        whole &= np.isfinite(values).all(axis=1)
    return whole & (cloud.scales >= 0).all(axis=1) & (np.abs(cloud.rotations) > 0).any(axis=1)


def pruned(cloud: GaussianCloud, views: Mapping[int, View], rules: Pruning | None = None) -> GaussianCloud:
    """What `rules` leave of the cloud.

    Gaussians always go that are not finite, behind their own camera, hidden there, or of a view that is not among
    `views`, whose keys are the cloud's `view` and whose poses are in the cloud's own world. A Gaussian is at the border
    where its mean projects there: this needs no knowledge of the order of the Gaussians.
    """
    rules = rules or Pruning()
    eligible = finite(cloud) & (cloud.opacities >= rules.min_opacity)
    keep = np.zeros(len(cloud), bool)
    depth = np.zeros(len(cloud))
    by_view = np.argsort(cloud.view, kind="stable")
    ordered = cloud.view[by_view]
    for index, view in views.items():
        mine = by_view[slice(*np.searchsorted(ordered, [index, index + 1]))]
        mine = mine[eligible[mine]]
        points = transform_points(view.cam_from_world, cloud.means[mine].astype(np.float64))
        depth[mine] = points[:, 2]
        inside = _inside(points, view, rules.border)
        if rules.far_quantile < 1 and inside.any():
            inside &= depth[mine] <= np.quantile(depth[mine][inside], rules.far_quantile)
        keep[mine] = inside
    kept = np.flatnonzero(keep)
    if rules.max_count is not None and len(kept) > rules.max_count:
        order = np.argsort(-_worth(cloud, kept, depth[kept]), kind="stable")
        kept = np.sort(kept[order[: rules.max_count]])
    return subset(cloud, kept)


def _inside(points_cam: Float, view: View, border: float) -> Bool:
    """(n,) whether points are in front of the camera, seen within its window less the border, and not hidden."""
    low, high = np.array(view.window_px[:2]), np.array(view.window_px[2:])
    front = points_cam[:, 2] > 0
    K = view.camera.K
    pixels = (points_cam[:, :2] / np.where(front, points_cam[:, 2], 1.0)[:, None]) * K[[0, 1], [0, 1]] + K[:2, 2]
    place = (pixels - low) / (high - low)
    inside = front & (place >= border).all(axis=1) & (place <= 1 - border).all(axis=1)
    if view.hidden is not None:
        size = np.array(view.hidden.shape)[::-1]
        columns, rows = np.clip((place[inside] * size).astype(np.intp), 0, size - 1).T
        inside[inside] = ~view.hidden[rows, columns]
    return np.asarray(inside)


def _worth(cloud: GaussianCloud, which: Int, depth: Float) -> Float:
    """Opacity times the area of the two longer axes over squared depth."""
    axes = np.sort(cloud.scales[which].astype(np.float64), axis=1)
    return np.asarray(cloud.opacities[which] * axes[:, 1] * axes[:, 2] / depth**2)
