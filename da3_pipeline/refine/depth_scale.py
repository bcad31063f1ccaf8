"""How the prior's depth maps must be scaled to agree with the refined points."""

from __future__ import annotations

import numpy as np

from ..arrays import Float
from ..types import Prediction, Tracks

__all__ = ["depth_scales"]


_FEWEST_SAMPLES = 10


def depth_scales(prediction: Prediction, cam_from_world: Float, tracks: Tracks, fallback: Float) -> Float:
    """(N,) factor from prediction.depth to scene units: median over a frame's points of true over predicted depth.

    Frames with too few points take the median of the frames that have one, else `fallback` (N,); NaN without a pose.
    """
    scales = np.array([_frame_scale(prediction, cam_from_world, tracks, k) for k in range(len(cam_from_world))])
    posed = np.isfinite(cam_from_world).all((1, 2))
    measured = np.isfinite(scales)
    common = np.median(scales[measured]) if measured.any() else fallback
    filled = np.where(measured, scales, common)
    return np.where(posed, filled, np.nan)


def _frame_scale(prediction: Prediction, cam_from_world: Float, tracks: Tracks, frame: int) -> float:
    mine = tracks.observation_frame == frame
    if mine.sum() < _FEWEST_SAMPLES or not np.isfinite(cam_from_world[frame]).all():
        return float("nan")
    pose = cam_from_world[frame]
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
