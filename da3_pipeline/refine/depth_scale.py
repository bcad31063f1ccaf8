"""How the prior's depth maps must be scaled to agree with the refined points."""

from __future__ import annotations

import numpy as np

from ..arrays import Float, Int
from ..types import Prediction, Tracks

__all__ = ["depth_scales"]


_FEWEST_SAMPLES = 10


def depth_scales(prediction: Prediction, cam_from_world: Float, tracks: Tracks, fallback: Float) -> Float:
    """(N,) factor from prediction.depth to scene units: median over a frame's points of true over predicted depth.

    Frames with too few points take the median of the frames that have one, else `fallback` (N,); NaN without a pose.
    """
    by_frame = tracks.by_frame(len(cam_from_world))
    scales = np.array([_frame_scale(prediction, pose, tracks, k, by_frame[k]) for k, pose in enumerate(cam_from_world)])
    posed = np.isfinite(cam_from_world).all((1, 2))
    measured = np.isfinite(scales)
    common = np.median(scales[measured]) if measured.any() else fallback
    filled = np.where(measured, scales, common)
    return np.where(posed, filled, np.nan)


def _frame_scale(prediction: Prediction, pose: Float, tracks: Tracks, frame: int, mine: Int) -> float:
    """Of one frame with its `pose` (3, 4) and `mine`, its observations; NaN without a pose or enough of them."""
    if len(mine) < _FEWEST_SAMPLES or not np.isfinite(pose).all():
        return float("nan")
    depth = tracks.points[tracks.observation_point[mine]] @ pose[2, :3] + pose[2, 3]
    height, width = prediction.depth[frame].shape
    column, row = prediction.pixel_maps[frame].to_network(tracks.observation_xy[mine]).T
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    predicted = np.full(len(depth), np.nan)
    predicted[inside] = prediction.depth[frame][row[inside].astype(int), column[inside].astype(int)]
    usable = (depth > 0) & (predicted > 0)
    if usable.sum() < _FEWEST_SAMPLES:
        return float("nan")
    return float(np.median(depth[usable] / predicted[usable]))
