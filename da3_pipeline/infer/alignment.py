"""The similarity between two predictions of the same frames, unmoved by a minority of bad ones.

The geometry folder's alignments fit camera centres or mean orientations; here every mean is a median, and the
scale can come from depth, which does not need the cameras to be apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..geometry import Sim3, centres, nearest_rotation
from .views import RawViews

__all__ = ["align_views", "distance_ratio", "robust_alignment"]

Float = NDArray[np.float64]

_MAX_PIXELS_PER_VIEW = 4096
_ITERATIONS = 20


def align_views(source: RawViews, target: RawViews) -> Sim3:
    """The similarity that takes `source` onto `target`, two predictions of the same frames in two worlds.

    Scale from the ratio of their confident depths, which does not need the cameras to be apart; rotation and
    translation from the cameras. Each is a robust mean, so a minority of frames placed wrongly does no harm.
    """
    usable = source.usable() & target.usable()
    if not usable.any():
        return Sim3.identity()
    keep = np.flatnonzero(usable)
    source, target = source.subset(keep), target.subset(keep)
    return robust_alignment(source.cam_from_world, target.cam_from_world, _depth_ratio(source, target))


def robust_alignment(source: Float, target: Float, scale: float | None = None) -> Sim3:
    """The Sim3 that takes poses `source` (N, 3, 4) onto `target`, by reweighted least absolute deviations.

    Without a `scale` it is taken from the distances between centres, 1 where they do not differ. Unlike
    `geometry.align_cameras`, a minority of arbitrary poses does not move the result far.
    """
    turns = np.swapaxes(target[:, :, :3], 1, 2) @ source[:, :, :3]
    rotation = _median_rotation(turns)
    turned, wanted = centres(source) @ rotation.T, centres(target)
    if scale is None:
        scale = distance_ratio(turned, wanted) or 1.0
    translation = _median_point(wanted - scale * turned)
    return Sim3(scale, rotation, translation)


def _depth_ratio(source: RawViews, target: RawViews) -> float | None:
    """Median over views of the median depth ratio among pixels that are confident in both."""
    ratios = []
    for index in range(len(source)):
        stride = max(1, source.depth[index].size // _MAX_PIXELS_PER_VIEW)
        a, b, conf_a, conf_b = (
            array[index].ravel()[::stride].astype(np.float64)
            for array in (source.depth, target.depth, source.conf, target.conf)
        )
        with np.errstate(invalid="ignore"):
            valid = np.isfinite(a) & np.isfinite(b) & (a > 0) & (b > 0) & np.isfinite(conf_a) & np.isfinite(conf_b)
        if not valid.any():
            continue
        sure = valid & (conf_a >= np.median(conf_a[valid])) & (conf_b >= np.median(conf_b[valid]))
        chosen = sure if sure.any() else valid
        ratios.append(float(np.median(np.log(b[chosen]) - np.log(a[chosen]))))
    return float(np.exp(np.median(ratios))) if ratios else None


def distance_ratio(source: Float, target: Float) -> float | None:
    """Median over pairs of (N, 3) points of their distance in `target` over that in `source`; None without extent."""
    first, second = np.triu_indices(len(source), 1)
    before = np.linalg.norm(source[first] - source[second], axis=1)
    after = np.linalg.norm(target[first] - target[second], axis=1)
    apart = before > 1e-9 * max(float(np.abs(source).max(initial=0.0)), 1e-12)
    if not apart.any():
        return None
    ratio = float(np.median(after[apart] / before[apart]))
    return ratio if ratio > 1e-12 else None


def _median_rotation(turns: Float) -> Float:
    """The rotation with about the least sum of angles to (N, 3, 3) rotations, from the best of them onwards."""
    chords = np.linalg.norm(turns[:, None] - turns[None], axis=(2, 3))
    rotation = turns[int(chords.sum(1).argmin())]
    for _ in range(_ITERATIONS):
        distances = np.linalg.norm(turns - rotation, axis=(1, 2))
        weights = 1 / np.maximum(distances, 1e-6)
        rotation = nearest_rotation((weights[:, None, None] * turns).sum(0))
    return rotation


def _median_point(points: Float) -> Float:
    """The geometric median of (N, 3) points (Weiszfeld 1937), from the coordinate-wise median onwards."""
    point = np.median(points, axis=0)
    floor = 1e-9 * max(float(np.abs(points).max()), 1e-12)
    for _ in range(_ITERATIONS):
        weights = 1 / np.maximum(np.linalg.norm(points - point, axis=1), floor)
        point = weights @ points / weights.sum()
    return np.asarray(point)
