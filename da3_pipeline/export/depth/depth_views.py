"""A frame's trusted depth: made from the prior's map when it is asked for, so that no scene's maps are held at once."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from ...arrays import Bool, Float, Float32, Int, read_entry
from ...geometry import Camera, PixelMap, invert, transform_points
from ..ignored import PixelSet
from .depth_fit import DepthFit

__all__ = ["CorrectedDepth", "DepthMap", "DepthView", "RecentMaps", "bilinear"]

_WORTH_MAKING = 8  # asked for more than this share (one in so many) of a map, all of it is made and kept for a while


@dataclass(frozen=True)
class CorrectedDepth:
    """How depth in scene units follows from a prior's map: a scale, a fit to the tracks, and where that is a guess.

    prior (N, h, w): the maps of all frames. fit: None where too few tracks were seen. nearest, farthest: what lies
    beyond is unknown.
    """

    prior: Float32
    frame: int
    scale: float
    pixel_map: PixelMap
    camera: Camera
    fit: DepthFit | None = None
    nearest: float = 0.0
    farthest: float = np.inf

    def scaled(self) -> Float32:
        """(h, w) before the fit, NaN where the prior has no depth."""
        raw = read_entry(self.prior, self.frame)
        return np.where(raw > 0, raw * np.float32(self.scale), np.float32(np.nan))

    def at(self, scaled: Float32, rows: Int, columns: Int) -> Float32:
        """(n,) after it, for (n,) values of `scaled` at pixels."""
        if self.fit is None:
            return scaled
        size = np.array([self.camera.width, self.camera.height])
        pixels = self.pixel_map.to_original(np.stack([columns + 0.5, rows + 0.5], axis=1))
        depth = self.fit.apply(scaled.astype(np.float64), pixels / size * 2 - 1)
        depth[(depth < self.nearest) | (depth > self.farthest)] = np.nan
        return depth.astype(np.float32)


class RecentMaps:
    """The maps that were made last; of a capture those of neighbouring views, which are asked for together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._maps: OrderedDict[DepthMap, Float32] = OrderedDict()

    def find(self, key: DepthMap) -> Float32 | None:
        """The map, if it is still there."""
        if key in self._maps:
            self._maps.move_to_end(key)
        return self._maps.get(key)

    def keep(self, key: DepthMap, depth: Float32) -> None:
        """Add one; the one that was asked for the longest ago goes."""
        self._maps[key] = depth
        if len(self._maps) > self._limit:
            self._maps.popitem(last=False)


class DepthMap:
    """An (h, w) map of depth in scene units, NaN outside of some pixels. `map[rows, columns]` are (n,) values of it."""

    def __init__(self, corrected: CorrectedDepth, pixels: PixelSet, recent: RecentMaps) -> None:
        self._corrected = corrected
        self._pixels = pixels
        self._recent = recent

    @property
    def shape(self) -> tuple[int, int]:
        return self._pixels.shape

    def known(self) -> Bool:
        """(h, w) where there is depth."""
        return self._pixels.mask()

    def whole(self) -> Float32:
        """(h, w)."""
        depth = self._recent.find(self)
        if depth is None:
            depth = self._made(*np.indices(self.shape).reshape(2, -1)).reshape(self.shape)
            self._recent.keep(self, depth)
        return depth

    def __getitem__(self, pixels: tuple[Int, Int]) -> Float32:
        rows, columns = pixels
        depth = self._recent.find(self)
        if depth is None and rows.size * _WORTH_MAKING > np.prod(self.shape):
            depth = self.whole()
        if depth is not None:
            return depth[rows, columns]
        return self._made(rows.ravel(), columns.ravel()).reshape(rows.shape)

    def _made(self, rows: Int, columns: Int) -> Float32:
        known = self.known()[rows, columns]
        rows, columns = rows[known], columns[known]
        depth = np.full(len(known), np.nan, np.float32)
        depth[known] = self._corrected.at(self._corrected.scaled()[rows, columns], rows, columns)
        return depth


@dataclass(frozen=True)
class DepthView:
    """One frame's depth: in scene units, where it is to be trusted.

    disagreement: median relative difference to the tracks seen in the frame; NaN where too few are. novelty: how
    much less it differs from tracks it has not seen than a surface through the other tracks does, as a share; likewise.
    hidden: the depth of what the frame's mask ignores; None without a mask.
    """

    frame: int
    map: DepthMap = field(repr=False)
    disagreement: float
    novelty: float
    pixel_map: PixelMap
    camera: Camera
    cam_from_world: Float
    hidden: DepthMap | None = field(default=None, repr=False)

    @property
    def centre(self) -> Float:
        return invert(self.cam_from_world)[:, 3]

    def pixels(self, rows: Int, columns: Int) -> Float:
        """(n, 2) original pixels of the centres of depth-map pixels."""
        return self.pixel_map.to_original(np.stack([columns + 0.5, rows + 0.5], axis=1))

    def world_points(self, rows: Int, columns: Int) -> Float:
        """(n, 3) world points of depth-map pixels."""
        rays = self.camera.unproject(self.pixels(rows, columns))
        return self.lift(rays, self.map[rows, columns].astype(np.float64))

    def lift(self, rays: Float, depth: Float) -> Float:
        """(n, 3) world points on (n, 2) undistorted directions at z-depth `depth`."""
        points_cam = np.concatenate([rays, np.ones((len(rays), 1))], axis=1) * depth[:, None]
        return transform_points(invert(self.cam_from_world), points_cam)

    def look_up(self, points: Float) -> tuple[Float, Float, Float]:
        """For (n, 3) world points: their z-depth here, this map's depth where they appear, and those pixels (n, 2).

        NaN where a point is behind the camera, outside the map, or the map is not trusted.
        """
        points_cam = transform_points(self.cam_from_world, points)
        pixels = self.camera.project(points_cam)
        return points_cam[:, 2], self._sampled(self.map, pixels), pixels

    def hidden_at(self, pixels: Float) -> Float:
        """(n,) depth of what the mask ignores at (n, 2) original pixels; NaN beside the mask and outside the image."""
        return np.full(len(pixels), np.nan) if self.hidden is None else self._sampled(self.hidden, pixels)

    def _sampled(self, depth: DepthMap, pixels: Float) -> Float:
        inside = ((pixels >= 0) & (pixels <= (self.camera.width, self.camera.height))).all(axis=1)
        values = np.full(len(pixels), np.nan)
        values[inside] = bilinear(depth, self.pixel_map.to_network(pixels[inside]))
        return values


def bilinear(image: Float32 | DepthMap, pixels: Float) -> Float:
    """Values of (h, w) `image` at (n, 2) pixels (corner origin); NaN beyond the border or beside a NaN.

    Within half a pixel of the border the nearest value holds.
    """
    height, width = image.shape
    x, y = np.clip(pixels[:, 0] - 0.5, 0, width - 1), np.clip(pixels[:, 1] - 0.5, 0, height - 1)
    left, top = np.minimum(x.astype(np.intp), max(width - 2, 0)), np.minimum(y.astype(np.intp), max(height - 2, 0))
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    u, v = x - left, y - top
    corners = image[np.stack([top, top, bottom, bottom]), np.stack([left, right, left, right])]
    upper = corners[0] * (1 - u) + corners[1] * u
    lower = corners[2] * (1 - u) + corners[3] * u
    value = upper * (1 - v) + lower * v
    outside = (pixels[:, 0] < 0) | (pixels[:, 0] > width) | (pixels[:, 1] < 0) | (pixels[:, 1] > height)
    return np.where(outside, np.nan, value)
