"""Where the prior expects a keypoint of one frame in another, and matching that looks nowhere else.

Of things that repeat, every copy looks the same: which one a keypoint is must be known beforehand. A prior with depth
knows it wherever its errors are small beside the distance from copy to copy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...arrays import Bool, Float
from ...geometry import compose, invert
from ...types import Prediction

__all__ = ["Near", "expected_xy"]


@dataclass(frozen=True)
class Near:
    """Where partners may be. xy (A, 2): original pixels of the second frame, NaN for keypoints that find none."""

    xy: Float
    radius_px: float

    def keeps(self, matches: NDArray[np.int32], second_xy: NDArray[np.floating]) -> Bool:
        """(M,) those of the (M, 2) matches that end within the radius."""
        apart = np.linalg.norm(second_xy[matches[:, 1]] - self.xy[matches[:, 0]], axis=1)
        return np.asarray(apart <= self.radius_px)


def expected_xy(prediction: Prediction, first: int, second: int, xy: NDArray[np.floating]) -> Float:
    """(K, 2) original pixels of frame `second` for (K, 2) of frame `first`, by the prior's depth, poses and cameras.

    NaN where the depth is unknown or the point is behind the second camera; places outside the picture are kept.
    """
    frames = prediction.frames.frames
    depth, pixels = prediction.depth[first], np.asarray(xy, float)
    column, row = np.floor(prediction.pixel_maps[first].to_network(pixels)).astype(int).T
    height, width = depth.shape
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    known = np.full(len(pixels), np.nan)
    known[inside] = depth[row[inside], column[inside]]
    known[~(known > 0)] = np.nan
    rays = np.concatenate([prediction.cameras[frames[first].camera_id].unproject(pixels), np.ones((len(pixels), 1))], 1)
    relative = compose(prediction.cam_from_world[second], invert(prediction.cam_from_world[first]))
    points = (known[:, None] * rays) @ relative[:, :3].T + relative[:, 3]
    points[~(points[:, 2] > 0)] = np.nan
    return np.asarray(prediction.cameras[frames[second].camera_id].project(points), float)
