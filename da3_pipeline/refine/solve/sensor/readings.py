"""What a depth sensor read at pixels of the problem."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....arrays import Float, Int
from ....errors import MissingExtraError
from ....files.depthio import UnreadableDepthError, depth_at, read_depth
from ....grouping import Groups
from ....progress import Progress
from ....types import Frame
from ...config import MeasuredDepthConfig
from ..problem import Problem

__all__ = ["readings"]

_AROUND = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))


def readings(
    problem: Problem, frames: Sequence[Frame], frame: Int, xy: Float, how: MeasuredDepthConfig, progress: Progress
) -> Float:
    """(K,) the depth in the sensor's unit at working pixels xy (K, 2) of frames (K,); NaN where it says nothing, or at
    an edge.

    Metres, or where no frame's depth is in metres the units of the known poses.
    """
    by_frame = Groups.of(frame, len(frames))
    metric = any(_metric(one) for one in frames)
    found = np.full(len(frame), np.nan)
    for index in by_frame.filled:
        one, mine = frames[index], by_frame[index]
        if one.depth is None or _metric(one) != metric:
            continue
        progress.step(index, len(frames), "measured depth")
        try:
            stored = read_depth(one.depth)
        except (UnreadableDepthError, MissingExtraError):  # said when it was to take the place of the network's
            continue
        pixels = xy[mine] / problem.scale[index]
        step = how.beside_px * max(one.width, one.height) / max(stored.shape)
        around = np.stack([depth_at(stored, one, pixels + step * np.array(by)) for by in _AROUND])
        with np.errstate(invalid="ignore"):
            flat = np.ptp(around, axis=0) <= how.most_step * around[0]
        found[mine] = np.where(flat, around[0], np.nan)
    return found


def _metric(frame: Frame) -> bool:
    return frame.depth is not None and (frame.depth.metric or frame.known_pose_metric)
