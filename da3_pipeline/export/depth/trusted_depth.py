"""The prior's depth, judged against the tracks, in scene units and with its unreliable parts taken out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from ...arrays import Bool, Float32, Int, read_entry
from ...geometry import transform_points
from ...types import Scene
from ..config import DepthConfig, ExportConfig
from ..ignored import IgnoredPixels, PixelSet
from .depth_fit import fit_depth, fit_tracks_alone
from .depth_views import CorrectedDepth, DepthMap, DepthView, RecentMaps, bilinear
from .sky import near_sky

__all__ = ["depth_novelty", "trusted_depth"]


def trusted_depth(
    scene: Scene, frames: Sequence[int], ignored: IgnoredPixels, config: ExportConfig
) -> tuple[list[DepthView], list[int]]:
    """The depth of those frames in which it agrees with the tracks, and the frames in which it does not.

    Where tracks are, a smooth correction may be fitted to them first; it is used only where it proves better on
    tracks it has not seen. Sky has no depth, nor have ignored pixels. Frames without a scale are in neither list.

    Maps are read one at a time; of each view its correction and a few bits a pixel are kept.
    """
    floor = _confidence_floor(scene, frames, ignored, config)
    by_frame = scene.tracks.by_frame(len(scene.frames))
    recent = RecentMaps(config.depth.maps_in_memory)
    views: list[DepthView] = []
    refused: list[int] = []
    for frame in frames:
        scale = float(scene.depth_scale[frame])
        if not (np.isfinite(scale) and scale > 0):
            continue
        raw = _uncorrected(scene, frame, scale)
        depth = _solid(scene, raw, config.depth)
        unused = ignored.in_depth_map(frame)
        fitted = _fitted(scene, raw, np.where(unused, np.nan, depth), by_frame[frame], config.depth)
        corrected, disagreement, novelty = fitted
        if disagreement > config.max_depth_disagreement:
            refused.append(frame)
            continue
        keep = _smooth(np.where(unused, np.nan, depth), config.depth)
        keep &= read_entry(scene.prediction.conf, frame) >= floor
        if keep.any():
            view = _view(scene, corrected, depth, keep, ignored.masked(frame), recent)
            views.append(replace(view, disagreement=disagreement, novelty=novelty))
    return views, refused


def depth_novelty(views: Sequence[DepthView]) -> float:
    """The median of the views' novelty; NaN where no view has tracks enough to tell."""
    novelty = np.array([view.novelty for view in views])
    return float(np.median(novelty[np.isfinite(novelty)])) if np.isfinite(novelty).any() else float("nan")


def _confidence_floor(scene: Scene, frames: Sequence[int], ignored: IgnoredPixels, config: ExportConfig) -> float:
    """The confidence below which a share of the pixels lies that can be used, from a sample of them."""
    height, width = scene.prediction.conf.shape[1:]
    stride = config.depth.sample_stride
    total = len(frames) * -(-height // stride) * -(-width // stride)
    if total > config.depth.most_samples:
        stride = int(np.ceil(stride * np.sqrt(total / config.depth.most_samples)))
    samples = [np.zeros(0, np.float32)]
    for frame in frames:
        used = ~ignored.in_depth_map(frame)
        if scene.prediction.sky is not None:  # some networks give sky the least confidence, whatever that is worth
            used &= ~read_entry(scene.prediction.sky, frame)
        samples.append(read_entry(scene.prediction.conf, frame)[::stride, ::stride][used[::stride, ::stride]])
    sample = np.concatenate(samples)
    finite = np.isfinite(sample).any()
    return float(np.nanpercentile(sample, config.min_confidence_percentile)) if finite else -np.inf


def _uncorrected(scene: Scene, frame: int, scale: float) -> CorrectedDepth:
    pixel_map, camera = scene.prediction.pixel_maps[frame], scene.cameras[scene.frames[frame].camera_id]
    return CorrectedDepth(scene.prediction.depth, frame, scale, pixel_map, camera)


def _solid(scene: Scene, raw: CorrectedDepth, config: DepthConfig) -> Float32:
    """(h, w) scaled depth, NaN where there is none, or sky."""
    depth, sky = raw.scaled(), scene.prediction.sky
    if sky is not None:
        depth[near_sky(read_entry(sky, raw.frame), config.sky_margin)] = np.nan
    return depth


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


def _fitted(
    scene: Scene, raw: CorrectedDepth, used: Float32, observations: Int, config: DepthConfig
) -> tuple[CorrectedDepth, float, float]:
    """The correction by the tracks observed in the frame; how well depth then agrees with them, and its novelty.

    Only depth that is `used` (h, w), NaN elsewhere, is compared with them. NaN twice where too few are there.
    """
    tracks = scene.tracks
    pixels = tracks.observation_xy[observations]
    points = tracks.points[tracks.observation_point[observations]]
    track_depth = transform_points(scene.cam_from_world[raw.frame], points)[:, 2]
    map_depth = bilinear(used, raw.pixel_map.to_network(pixels))
    valid = (track_depth > 0) & (map_depth > 0)
    if valid.sum() < config.least_observations:
        return raw, np.nan, np.nan
    position = pixels[valid] / np.array([raw.camera.width, raw.camera.height]) * 2 - 1
    fit = fit_depth(track_depth[valid], map_depth[valid], position, config.fit)
    alone = fit_tracks_alone(track_depth[valid], position, config.fit)
    novelty = 1 - fit.mean_difference / max(alone.mean_difference, 1e-12)
    # Depth far outside what the tracks span is extrapolation (sky, mostly).
    near, far = np.percentile(track_depth[valid], (config.span_percent, 100 - config.span_percent))
    nearest, farthest = float(near) / config.extrapolation, float(far) * config.extrapolation
    return replace(raw, fit=fit, nearest=nearest, farthest=farthest), fit.disagreement, novelty


def _view(
    scene: Scene, corrected: CorrectedDepth, depth: Float32, keep: Bool, masked: Bool | None, recent: RecentMaps
) -> DepthView:
    """The view whose depth may be used where `keep` (h, w); apart from it what its mask hides."""
    asked = np.isfinite(depth) & (keep if masked is None else keep | masked)
    rows, columns = np.nonzero(asked)
    values = corrected.at(depth[rows, columns], rows, columns)
    known = np.zeros_like(asked)
    known[rows, columns] = np.isfinite(values)
    trusted = DepthMap(corrected, PixelSet(known & keep), recent)
    hidden = None if masked is None else DepthMap(corrected, PixelSet(known & masked), recent)
    whole = np.full(depth.shape, np.nan, np.float32)
    whole[rows, columns] = values
    recent.keep(trusted, np.where(keep, whole, np.float32(np.nan)))
    pose = scene.cam_from_world[corrected.frame]
    return DepthView(corrected.frame, trusted, np.nan, np.nan, corrected.pixel_map, corrected.camera, pose, hidden)
