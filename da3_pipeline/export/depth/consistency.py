"""Whether points lifted from one depth map are confirmed by the depth maps of other views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ...arrays import Bool, Float, Int
from ...geometry import transform_points
from ..config import ConsistencyConfig
from .depth_views import DepthView

__all__ = ["Overlap", "Support", "round_trip_px", "support"]


@dataclass(frozen=True)
class Support:
    """What m neighbours say about n points.

    pixels (n, m, 2): where each point appears; depth (n, m): the neighbour's surface there; NaN where unknown.
    agrees (n, m): that surface is the point. seen (n,): some neighbour's trusted depth covers it. clear (n,): as
    many agree as see through the point to a surface well behind it, or see it under their mask.
    """

    pixels: Float
    depth: Float
    agrees: Bool
    seen: Bool
    clear: Bool


class Overlap:
    """Which other views show the surface that a view shows, asked view by view.

    Of many views only the nearest are looked at, by the middles of their surfaces, so that a capture's length squared
    is never worked through.
    """

    def __init__(self, views: Sequence[DepthView], config: ConsistencyConfig) -> None:
        self._views = views
        self._config = config
        self._probes = [_probe(view, config.probes) for view in views]
        self._centres = np.array([view.centre for view in views]).reshape(-1, 3)
        self._projections = np.array([view.camera.K @ view.cam_from_world for view in views]).reshape(-1, 3, 4)
        self._sizes = np.array([(view.camera.width, view.camera.height) for view in views]).reshape(-1, 2)
        self._seeing = np.array([k for k, points in enumerate(self._probes) if len(points)], np.int64)
        self._tree = cKDTree(np.array([np.median(self._probes[k], axis=0) for k in self._seeing]).reshape(-1, 3))

    def of(self, position: int, count: int) -> list[DepthView]:
        """Up to `count` other views that see the surface of the view at `position`, with parallax preferred.

        Lens distortion is left out: this only counts.
        """
        points = self._probes[position]
        if not len(points):
            return []
        near = self._near(position)
        scores = _overlap(points, self._projections[near], self._sizes[near], self._config.least_overlap)
        scores *= _parallax(points, self._centres[position], self._centres[near], self._config)
        ranked = np.argsort(-scores, kind="stable")[:count]
        return [self._views[near[k]] for k in ranked if scores[k] > 0]

    def _near(self, position: int) -> Int:
        """The other views that are looked at, rising: all, or the nearest of many."""
        near = np.arange(len(self._views))
        if len(near) > self._config.candidates + 1:
            middle = np.median(self._probes[position], axis=0)
            count = min(self._config.candidates + 1, len(self._seeing))
            near = np.sort(self._seeing[np.atleast_1d(self._tree.query(middle, k=count)[1])])
        return near[near != position]


def support(view: DepthView, points: Float, neighbours: Sequence[DepthView], config: ConsistencyConfig) -> Support:
    """Ask each neighbour about (n, 3) `points` that were lifted from `view`."""
    shape = (len(points), len(neighbours))
    agrees, against = np.zeros(shape, bool), np.zeros(shape, bool)
    pixels, depth = np.full((*shape, 2), np.nan), np.full(shape, np.nan)
    for column, other in enumerate(neighbours):
        expected, depth[:, column], pixels[:, column] = other.look_up(points)
        known = np.isfinite(depth[:, column])
        ratio = np.divide(depth[:, column], expected, out=np.ones(len(points)), where=known)
        tolerance = _tolerance(view, other, config)
        agrees[:, column] = known & (np.abs(ratio - 1) < tolerance)
        against[:, column] = known & (ratio > 1 + config.contradiction * tolerance)
        if other.hidden is not None:
            against[:, column] |= np.abs(other.hidden_at(pixels[:, column]) / expected - 1) < tolerance
    seen = np.asarray(np.isfinite(depth).any(axis=1))
    return Support(pixels, depth, agrees, seen, agrees.sum(axis=1) >= against.sum(axis=1))


def round_trip_px(view: DepthView, own_pixels: Float, neighbours: Sequence[DepthView], answer: Support) -> Float:
    """(n, m) how far each agreeing neighbour's surface, projected back, misses the point's own pixel; NaN elsewhere."""
    misses_px = np.full(answer.agrees.shape, np.nan)
    for column, other in enumerate(neighbours):
        sure = answer.agrees[:, column]
        surface = other.lift(other.camera.unproject(answer.pixels[sure, column]), answer.depth[sure, column])
        back = view.camera.project(transform_points(view.cam_from_world, surface))
        misses_px[sure, column] = np.linalg.norm(back - own_pixels[sure], axis=1)
    return misses_px


def _tolerance(view: DepthView, other: DepthView, config: ConsistencyConfig) -> float:
    measured = np.array([view.disagreement, other.disagreement])
    if np.isnan(measured).any():
        return config.tolerance
    return float(np.clip(2 * measured.max(), config.least_tolerance, config.most_tolerance))


def _probe(view: DepthView, probes: int) -> Float:
    """World points of a coarse grid of the view's trusted pixels."""
    height, width = view.map.shape
    rows, columns = (((np.arange(probes) + 0.5) / probes * size).astype(np.intp) for size in (height, width))
    grid_rows, grid_columns = (axis.ravel() for axis in np.meshgrid(rows, columns, indexing="ij"))
    known = view.map.known()[grid_rows, grid_columns]
    return view.world_points(grid_rows[known], grid_columns[known])


def _overlap(points: Float, projections: Float, sizes: Float, least: float) -> Float:
    """(N,) share of (n, 3) points inside each of N pictures; 0 where it is too small to matter."""
    projected = points @ np.swapaxes(projections[:, :, :3], 1, 2) + projections[:, None, :, 3]
    front = projected[..., 2] > 1e-12
    pixels = projected[..., :2] / np.where(front, projected[..., 2], np.nan)[..., None]
    share = ((pixels > 0) & (pixels < sizes[:, None])).all(axis=-1).mean(axis=1)
    return np.where(share >= least, share, 0.0)


def _parallax(points: Float, centre: Float, others: Float, config: ConsistencyConfig) -> Float:
    """(N,) weights: 1 where the median angle between rays is wide enough to tell depths apart, less below."""
    own, across = points - centre, points - others[:, None]
    lengths = np.linalg.norm(own, axis=-1) * np.linalg.norm(across, axis=-1)
    cosine = (own * across).sum(axis=-1) / np.maximum(lengths, 1e-300)
    angle_deg = np.degrees(np.arccos(np.clip(np.median(cosine, axis=1), -1, 1)))
    return np.clip(angle_deg / config.full_parallax_deg, config.least_parallax_weight, 1.0)
