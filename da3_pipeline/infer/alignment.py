"""The similarity between two predictions of the same frames, unmoved by a minority of bad ones.

The geometry folder's alignments fit camera centres or mean orientations; here every mean is a median, and the
scale can come from depth, which does not need the cameras to be apart.
"""

from __future__ import annotations

import numpy as np

from ..geometry import Sim3
from ..geometry.robust_alignment import robust_alignment
from .views import RawViews

__all__ = ["align_views"]


_MAX_PIXELS_PER_VIEW = 4096


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
