"""Seed points for a splat: matched points first, topped up with confident, confirmed depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ...arrays import Bool, Bytes, Float, Int
from ...types import Tracks
from ..config import ExportConfig, SeedConfig
from .consistency import Overlap, support
from .depth_views import DepthView
from .trusted_depth import depth_novelty

__all__ = ["Seeds", "seed_points"]

ColourAt = Callable[[int, Float], Bytes]


@dataclass(frozen=True)
class Seeds:
    """points (S, 3) world and colours (S, 3); the first `matched` are triangulated, the others from depth."""

    points: Float
    colours: Bytes
    matched: int


def seed_points(
    tracks: Tracks,
    measured: Bool,
    views: Sequence[DepthView],
    colour_at: ColourAt,
    config: ExportConfig,
    depth_refuted: bool = False,
) -> Seeds:
    """At most `config.max_seed_points` points. `colour_at(frame, pixels)` gives colours at original pixels.

    depth_refuted: matches have shown that the depth knows nothing; then it gives none.
    """
    matched = _best_matched(tracks, measured, config.max_seed_points)
    points, colours = tracks.points[matched], tracks.colours[matched]
    if len(points) >= config.seeds.plenty:
        views = _worth_adding(views, config.min_depth_novelty)
    wanted = config.max_seed_points - len(points)
    if not (config.depth_seeds and views and wanted) or depth_refuted:
        return Seeds(points, colours, len(points))
    lifted, tints, spacing = _lifted(views, wanted, colour_at, config)
    everything = np.concatenate([points, lifted])
    kept = _thinned(everything, len(points), spacing, config)
    kept = kept[_dense_enough(everything[kept], config.seeds) | (kept < len(points))]
    all_colours = np.concatenate([colours, tints])
    return Seeds(everything[kept], all_colours[kept], len(points))


def _worth_adding(views: Sequence[DepthView], min_novelty: float) -> Sequence[DepthView]:
    """All views, if their depth says more than the tracks, to which it was fitted, say already.

    A surface spread between tracks passes any test of its mean error, and rounds off what stands out: its seeds cost
    1.7 dB on held-out views (docs/RENDERING.md). Frames with too few tracks to tell (NaN) have nothing else.
    """
    if not depth_novelty(views) < min_novelty:
        return views
    return [view for view in views if np.isnan(view.novelty)]


def _best_matched(tracks: Tracks, measured: Bool, limit: int) -> Int:
    """Indices of the matched points; where they are too many, those seen most often, then most exactly."""
    indices = np.flatnonzero(measured)
    if len(indices) <= limit:
        return indices
    length = np.bincount(tracks.observation_point, minlength=len(tracks))[indices]
    order = np.lexsort((tracks.point_error_px[indices], -length))
    return np.sort(indices[order[:limit]])


def _lifted(
    views: Sequence[DepthView], wanted: int, colour_at: ColourAt, config: ExportConfig
) -> tuple[Float, Bytes, float]:
    """Points of all views that other views confirm (or cannot see), their colours, and their typical spacing."""
    quota = max(1, int(config.seeds.surplus * wanted / len(views)))
    overlap = Overlap(views, config.consistency)
    points: list[Float] = []
    colours: list[Bytes] = []
    spacings: list[float] = []
    for position, view in enumerate(views):
        rows, columns, stride = _sampled(view.map.known(), quota)
        if not len(rows):
            continue
        candidates, pixels = view.world_points(rows, columns), view.pixels(rows, columns)
        answer = support(view, candidates, overlap.of(position, config.seeds.neighbours), config.consistency)
        keep = (answer.agrees.any(axis=1) | ~answer.seen) & answer.clear
        points.append(candidates[keep])
        colours.append(colour_at(view.frame, pixels[keep]))
        footprint = stride * view.pixel_map.scale[0] / view.camera.focal_px
        spacings.append(footprint * float(np.median(view.map[rows, columns])))
    if not points:
        return np.zeros((0, 3)), np.zeros((0, 3), np.uint8), 1.0
    return np.concatenate(points), np.concatenate(colours), float(np.median(spacings))


def _sampled(valid: Bool, quota: int) -> tuple[Int, Int, int]:
    """Rows and columns of at most about `quota` valid pixels on a regular grid, and its stride."""
    stride = max(1, round(float(np.sqrt(valid.sum() / quota))))
    rows, columns = np.nonzero(valid[stride // 2 :: stride, stride // 2 :: stride])
    return rows * stride + stride // 2, columns * stride + stride // 2, stride


def _thinned(points: Float, matched: int, spacing: float, config: ExportConfig) -> Int:
    """One point a voxel, matched ones all kept; the voxel grows until no more points are left than are wanted."""
    voxel, limit = config.seeds.first_voxel * spacing, config.max_seed_points
    if len(points) == 0 or voxel <= 0:
        return np.arange(min(len(points), limit))
    while True:
        first = _first_in_voxel(points, voxel)
        kept = np.union1d(first, np.arange(matched))
        if len(kept) <= limit:
            return kept
        # A surface crosses as many voxels as its area holds squares of their edge.
        voxel *= max(config.seeds.least_voxel_growth, float(np.sqrt(len(kept) / max(limit, 1))))


def _first_in_voxel(points: Float, voxel: float) -> Int:
    """Index of the first point in each occupied cube of edge `voxel`."""
    cells = np.floor((points - points.min(axis=0)) / voxel).astype(np.int64)
    extent = cells.max(axis=0) + 1
    if float(np.prod(extent.astype(float))) < 2**62:
        keys = (cells[:, 0] * extent[1] + cells[:, 1]) * extent[2] + cells[:, 2]
        return np.sort(np.unique(keys, return_index=True)[1])
    return np.sort(np.unique(cells, axis=0, return_index=True)[1])


def _dense_enough(points: Float, config: SeedConfig) -> Bool:
    """Statistical outlier test: the mean distance to the nearest neighbours, on a log scale, by median and MAD."""
    count = min(config.outlier_neighbours, len(points) - 1)
    if count < 2:
        return np.ones(len(points), bool)
    distances = cKDTree(points).query(points, k=count + 1, workers=-1)[0][:, 1:]
    log_mean = np.log(np.maximum(distances.mean(axis=1), 1e-12))
    centre = np.median(log_mean)
    spread = 1.4826 * np.median(np.abs(log_mean - centre))
    return log_mean <= centre + config.outlier_sigmas * max(spread, config.least_outlier_sigma)
