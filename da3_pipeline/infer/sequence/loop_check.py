"""Whether two stretches of a capture that one chunk holds together really show the same place.

A network asked about two places that only look alike still answers with cameras and depth. So its answer is held
against itself and against the photographs: points of one stretch, carried into a picture of the other, must meet the
surface that is predicted there, and the two pictures must agree there, which no geometry can feign.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ...arrays import Bytes, Float32, Int
from ...geometry import compose, invert
from ..config import LoopConfig
from ..views import RawViews

__all__ = ["Consistency", "mutual_consistency"]


@dataclass(frozen=True)
class Consistency:
    """Of the best pair of views: `seen`, the share of points that fall into the other picture; `agreeing`, the share
    of those that meet its surface; `correlation` of the two pictures' brightness at them, -1..1."""

    seen: float
    agreeing: float
    correlation: float

    @property
    def evidence(self) -> float:
        """For one and the same place: the correlation of the pictures, as far as the surfaces agree."""
        return self.agreeing * max(self.correlation, 0.0)


_NOTHING = Consistency(0.0, 0.0, -1.0)


def mutual_consistency(
    first: RawViews, second: RawViews, first_pixels: Bytes, second_pixels: Bytes, config: LoopConfig
) -> Consistency:
    """Two groups of views of one chunk, with their pixels (V, h, w, 3), against each other.

    For each view of the one group the best counterpart in the other; of these the median, by correlation.
    """
    found = []
    for source, target, pixels, others in (
        (first, second, first_pixels, second_pixels),
        (second, first, second_pixels, first_pixels),
    ):
        grey, greys = _banded_grey(pixels, config), _banded_grey(others, config)
        for i in _spread_indices(len(source), config.probes):
            tried = [
                _carry(source, target, (i, j), (grey[i], greys[j]), config)
                for j in _spread_indices(len(target), config.probes)
            ]
            found.append(max(tried, key=lambda one: one.agreeing * one.seen))
    found.sort(key=lambda one: one.correlation)
    return found[len(found) // 2] if found else _NOTHING


def _spread_indices(count: int, most: int) -> Int:
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def _banded_grey(pixels: Bytes, config: LoopConfig) -> list[Float32]:
    """Brightness without its finest detail, so that geometry that is a little off still compares like with like, and
    without its coarsest, because floors are dark and skies are bright everywhere."""
    fine, coarse = config.finest * pixels.shape[2], config.coarsest * pixels.shape[2]
    greys = [cv2.cvtColor(np.ascontiguousarray(view), cv2.COLOR_RGB2GRAY).astype(np.float32) for view in pixels]
    return [cv2.GaussianBlur(grey, (0, 0), fine) - cv2.GaussianBlur(grey, (0, 0), coarse) for grey in greys]


def _carry(
    source: RawViews, target: RawViews, views: tuple[int, int], greys: tuple[Float32, Float32], config: LoopConfig
) -> Consistency:
    """View i of the source carried into view j of the target, with the brightness of both."""
    (i, j), (grey, other), step_px = views, greys, config.grid_px
    height, width = source.depth.shape[1:]
    rows, columns = np.mgrid[step_px // 2 : height : step_px, step_px // 2 : width : step_px].reshape(2, -1)
    depth = source.depth[i][rows, columns].astype(np.float64)
    with np.errstate(invalid="ignore"):
        valid = np.isfinite(depth) & (depth > 0)
    if source.sky is not None:
        valid &= ~source.sky[i][rows, columns]
    rows, columns, depth = rows[valid], columns[valid], depth[valid]
    if len(depth) < config.fewest_points:
        return _NOTHING
    rays = np.linalg.solve(source.intrinsics[i], np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))]))
    step = compose(target.cam_from_world[j], invert(source.cam_from_world[i]))
    points = step[:, :3] @ (rays * depth) + step[:, 3:]
    in_front = points[2] > 1e-6
    projected = target.intrinsics[j] @ np.where(in_front, points, 1.0)
    x, y = projected[:2] / projected[2]
    inside = in_front & (x >= 0) & (x < width) & (y >= 0) & (y < height)
    if inside.sum() < config.fewest_points:
        return _NOTHING
    column, row = x[inside].astype(int), y[inside].astype(int)
    surface = target.depth[j][row, column]
    with np.errstate(invalid="ignore", divide="ignore"):
        agrees = np.abs(np.log(points[2, inside] / surface)) < config.same_depth
    if agrees.sum() < config.fewest_points:
        return Consistency(float(inside.mean()), float(agrees.mean()), -1.0)
    a, b = grey[rows[inside][agrees], columns[inside][agrees]], other[row[agrees], column[agrees]]
    spread = float(a.std() * b.std())
    correlation = float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread > 1e-6 else -1.0
    return Consistency(float(inside.mean()), float(agrees.mean()), correlation)
