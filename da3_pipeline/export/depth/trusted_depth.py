"""The prior's depth, judged against the tracks, in scene units and with its unreliable parts taken out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ...arrays import Bool, Float, Float32, Int
from ...geometry import Camera, PixelMap, invert, transform_points
from ...types import Scene
from ..config import DepthConfig, ExportConfig
from ..ignored import IgnoredPixels
from .depth_fit import fit_depth, fit_tracks_alone
from .sky import near_sky

__all__ = ["DepthView", "depth_novelty", "trusted_depth"]


@dataclass(frozen=True)
class DepthView:
    """One frame's depth map: (h, w) in scene units, NaN where it is not to be trusted.

    disagreement: median relative difference to the tracks seen in the frame; NaN where too few are. novelty: how
    much less it differs from tracks it has not seen than a surface through the other tracks does, as a share; likewise.
    hidden: (h, w) the depth of what the frame's mask ignores, NaN elsewhere; None without a mask.
    """

    frame: int
    depth: Float32
    disagreement: float
    novelty: float
    pixel_map: PixelMap
    camera: Camera
    cam_from_world: Float
    hidden: Float32 | None = None

    @property
    def centre(self) -> Float:
        return invert(self.cam_from_world)[:, 3]

    def pixels(self, rows: Int, columns: Int) -> Float:
        """(n, 2) original pixels of the centres of depth-map pixels."""
        return self.pixel_map.to_original(np.stack([columns + 0.5, rows + 0.5], axis=1))

    def world_points(self, rows: Int, columns: Int) -> Float:
        """(n, 3) world points of depth-map pixels."""
        rays = self.camera.unproject(self.pixels(rows, columns))
        return self.lift(rays, self.depth[rows, columns].astype(np.float64))

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
        return points_cam[:, 2], self._sampled(self.depth, pixels), pixels

    def hidden_at(self, pixels: Float) -> Float:
        """(n,) depth of what the mask ignores at (n, 2) original pixels; NaN beside the mask and outside the image."""
        return np.full(len(pixels), np.nan) if self.hidden is None else self._sampled(self.hidden, pixels)

    def _sampled(self, depth: Float32, pixels: Float) -> Float:
        inside = ((pixels >= 0) & (pixels <= (self.camera.width, self.camera.height))).all(axis=1)
        values = np.full(len(pixels), np.nan)
        values[inside] = bilinear(depth, self.pixel_map.to_network(pixels[inside]))
        return values


def trusted_depth(
    scene: Scene, frames: Sequence[int], ignored: IgnoredPixels, config: ExportConfig
) -> tuple[list[DepthView], list[int]]:
    """The depth of those frames in which it agrees with the tracks, and the frames in which it does not.

    Where tracks are, a smooth correction may be fitted to them first; it is used only where it proves better on
    tracks it has not seen. Sky has no depth, nor have ignored pixels. Frames without a scale are in neither list.
    """
    prediction = scene.prediction
    floor = _confidence_floor(scene, frames, ignored, config.min_confidence_percentile)
    by_frame = scene.tracks.by_frame(len(scene.frames))
    views: list[DepthView] = []
    refused: list[int] = []
    for frame in frames:
        scale = float(scene.depth_scale[frame])
        if not (np.isfinite(scale) and scale > 0):
            continue
        raw = prediction.depth[frame]
        solid = (
            raw > 0 if prediction.sky is None else (raw > 0) & ~near_sky(prediction.sky[frame], config.depth.sky_margin)
        )
        depth = np.where(solid, raw * scale, np.nan).astype(np.float32)
        unused = ignored.in_depth_map(frame)
        keep = _smooth(np.where(unused, np.nan, depth), config.depth) & (prediction.conf[frame] >= floor)
        camera = scene.cameras[scene.frames[frame].camera_id]
        view = DepthView(
            frame, depth, np.nan, np.nan, prediction.pixel_maps[frame], camera, scene.cam_from_world[frame]
        )
        fitted = _fitted(scene, view, ~unused, by_frame[frame], config.depth)
        if fitted.disagreement > config.max_depth_disagreement:
            refused.append(frame)
        elif keep.any():
            views.append(_masked(fitted, keep, ignored.masked.get(frame)))
    return views, refused


def depth_novelty(views: Sequence[DepthView]) -> float:
    """The median of the views' novelty; NaN where no view has tracks enough to tell."""
    novelty = np.array([view.novelty for view in views])
    return float(np.median(novelty[np.isfinite(novelty)])) if np.isfinite(novelty).any() else float("nan")


def bilinear(image: Float32, pixels: Float) -> Float:
    """Values of (h, w) `image` at (n, 2) pixels (corner origin); NaN beyond the border or beside a NaN.

    Within half a pixel of the border the nearest value holds.
    """
    height, width = image.shape
    x, y = np.clip(pixels[:, 0] - 0.5, 0, width - 1), np.clip(pixels[:, 1] - 0.5, 0, height - 1)
    left, top = np.minimum(x.astype(np.intp), max(width - 2, 0)), np.minimum(y.astype(np.intp), max(height - 2, 0))
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    u, v = x - left, y - top
    upper = image[top, left] * (1 - u) + image[top, right] * u
    lower = image[bottom, left] * (1 - u) + image[bottom, right] * u
    value = upper * (1 - v) + lower * v
    outside = (pixels[:, 0] < 0) | (pixels[:, 0] > width) | (pixels[:, 1] < 0) | (pixels[:, 1] > height)
    return np.where(outside, np.nan, value)


def _confidence_floor(scene: Scene, frames: Sequence[int], ignored: IgnoredPixels, percentile: float) -> float:
    """The confidence below which `percentile` per cent of the pixels lie that can be used, from a sample of them."""
    chosen = np.asarray(frames, dtype=np.intp)
    sample = scene.prediction.conf[chosen, ::4, ::4]
    used = np.array([~ignored.in_depth_map(frame)[::4, ::4] for frame in frames], bool).reshape(sample.shape)
    if scene.prediction.sky is not None:  # some networks give sky the least confidence, whatever that is worth
        used &= ~scene.prediction.sky[chosen, ::4, ::4]
    sample = sample[used]
    return float(np.nanpercentile(sample, percentile)) if np.isfinite(sample).any() else -np.inf


def _smooth(depth: Float32, config: DepthConfig) -> Bool:
    """Where the surface neither jumps nor is seen edge-on, away from the border.

    Inverse depth is affine in the pixels of any plane, so its second difference singles out depth edges whatever
    the slope.
    """
    inverse = 1 / depth.astype(np.float64)
    bad = ~np.isfinite(inverse)
    filled = np.where(bad, 0, inverse)
    with np.errstate(divide="ignore", invalid="ignore"):
        for axis in (0, 1):
            curvature = ndimage.correlate1d(filled, [1, 0, -2, 0, 1], axis=axis, mode="nearest")
            gradient = ndimage.correlate1d(filled, [-0.5, 0, 0.5], axis=axis, mode="nearest")
            bad |= ~(np.abs(curvature) <= config.max_curvature * filled)
            bad |= np.abs(gradient) > config.max_gradient * filled
    bad = ndimage.binary_dilation(bad, iterations=1)
    margin = max(1, round(config.border_share * min(depth.shape)))
    keep = np.zeros(depth.shape, bool)
    keep[margin:-margin, margin:-margin] = ~bad[margin:-margin, margin:-margin]
    return keep


def _fitted(scene: Scene, view: DepthView, used: Bool, observations: Int, config: DepthConfig) -> DepthView:
    """The view with its depth corrected by the tracks observed in it, and how well it then agrees with them.

    Only depth that is `used` (h, w) is compared with them; all of it is corrected.
    """
    tracks = scene.tracks
    pixels = tracks.observation_xy[observations]
    points = tracks.points[tracks.observation_point[observations]]
    track_depth = transform_points(view.cam_from_world, points)[:, 2]
    map_depth = bilinear(np.where(used, view.depth, np.nan), view.pixel_map.to_network(pixels))
    valid = (track_depth > 0) & (map_depth > 0)
    if valid.sum() < config.least_observations:
        return view
    size = np.array([view.camera.width, view.camera.height])
    position = pixels[valid] / size * 2 - 1
    fit = fit_depth(track_depth[valid], map_depth[valid], position, config.fit)
    alone = fit_tracks_alone(track_depth[valid], position, config.fit)
    novelty = 1 - fit.mean_difference / max(alone.mean_difference, 1e-12)
    rows, columns = np.indices(view.depth.shape)
    everywhere = view.pixels(rows.ravel(), columns.ravel()) / size * 2 - 1
    depth = fit.apply(view.depth.ravel().astype(np.float64), everywhere).reshape(view.depth.shape)
    # Depth far outside what the tracks span is extrapolation (sky, mostly).
    near, far = np.percentile(track_depth[valid], (config.span_percent, 100 - config.span_percent))
    depth[(depth < near / config.extrapolation) | (depth > far * config.extrapolation)] = np.nan
    return replace(view, depth=depth.astype(np.float32), disagreement=fit.disagreement, novelty=novelty)


def _masked(view: DepthView, keep: Bool, hidden: Bool | None) -> DepthView:
    """The view with the depth that may be used, and apart from it what its mask hides."""
    depth = np.where(keep, view.depth, np.float32(np.nan))
    return replace(view, depth=depth, hidden=None if hidden is None else np.where(hidden, view.depth, np.nan))
