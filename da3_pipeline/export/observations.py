"""The tracks of the model: those that were matched, and depth's for images that have none.

gsplat's reader refuses an image without observations, so every exported image has at least one. Where bundle
adjustment left an image without tracks, or did not run, points of its trusted depth are projected into the views
whose depth confirms them. These are marked: they carry no evidence that the prior did not already have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..arrays import Bool, Float, Int
from ..geometry import centres, transform_points
from ..types import Scene, Tracks
from .config import ExportConfig
from .depth.consistency import Overlap, round_trip_px, support
from .depth.depth_views import DepthView
from .ignored import IgnoredPixels
from .tracks import tracks_seen_in

__all__ = ["ModelTracks", "model_tracks"]


@dataclass(frozen=True)
class ModelTracks:
    """Tracks over the scene's frames, those that were matched in the images first.

    source (P,): frame whose pixel a point from depth was lifted from, -1 for matched points.
    measured (K,): whether an observation was matched; the others are projections.
    """

    tracks: Tracks
    source: Int
    measured: Bool


def model_tracks(
    scene: Scene, frames: Sequence[int], views: Sequence[DepthView], ignored: IgnoredPixels, config: ExportConfig
) -> ModelTracks:
    """Measured tracks of the given frames, and synthetic ones for those among them that have no observation."""
    tracks = tracks_seen_in(scene, frames)
    parts = [tracks]
    sources = [np.full(len(tracks), -1)]
    bare = set(frames) - set(tracks.observation_frame.tolist())
    overlap = Overlap(views if bare else (), config.consistency)
    for position, view in enumerate(views):
        if view.frame in bare:
            part = _from_depth(view, overlap.of(position, config.synthetic_track_views), config)
            parts.append(part)
            sources.append(np.full(len(part), view.frame))
    joined = _joined(parts)
    blind = sorted(bare - set(joined.observation_frame.tolist()))
    joined = _with_projections(scene, joined, blind, ignored, config.synthetic_tracks_per_image)
    measured = np.arange(len(joined.observation_point)) < len(tracks.observation_point)
    return ModelTracks(joined, np.concatenate(sources).astype(np.int64), measured)


def _from_depth(view: DepthView, neighbours: Sequence[DepthView], config: ExportConfig) -> Tracks:
    """Tracks that start at pixel centres of the view's depth map, with the neighbours that confirm them.

    The error of a point is the mean round trip through the confirming maps. Points that several views confirm come
    first; where none does, single observations are what there is.
    """
    rows, columns = _spread(view.map.known(), config.synthetic_tracks_per_image)
    own = view.pixels(rows, columns)
    points = view.world_points(rows, columns)
    answer = support(view, points, neighbours, config.consistency)
    misses_px = round_trip_px(view, own, neighbours, answer)
    confirmed = answer.agrees.any(axis=1)
    keep = confirmed if confirmed.any() else answer.clear
    points, own = points[keep], own[keep]
    agrees, pixels = answer.agrees[keep], answer.pixels[keep]
    point, column = np.nonzero(agrees)
    frames = np.array([other.frame for other in neighbours], dtype=np.int64)
    total_px = np.where(agrees, misses_px[keep], 0).sum(axis=1)
    return Tracks(
        points,
        np.zeros((len(points), 3), np.uint8),
        total_px / np.maximum(agrees.sum(axis=1), 1),
        np.concatenate([np.arange(len(points)), point]).astype(np.int64),
        np.concatenate([np.full(len(points), view.frame, dtype=np.int64), frames[column]]),
        np.concatenate([own, pixels[point, column]]),
    )


def _with_projections(
    scene: Scene, tracks: Tracks, frames: Sequence[int], ignored: IgnoredPixels, count: int
) -> Tracks:
    """Tracks with observations added in frames without usable depth, where existing points project into them.

    Visibility is not known; points seen from the most similar direction are taken, which are the likeliest to be.
    """
    if not len(tracks) or not len(frames):
        return tracks
    first_observation = np.unique(tracks.observation_point, return_index=True)[1]
    seen_from = centres(scene.cam_from_world)[tracks.observation_frame[first_observation]]
    added = [_projections(scene, tracks.points, seen_from, frame, ignored, count) for frame in frames]
    frame_of = np.repeat(np.asarray(frames, np.int64), [len(points) for points, _ in added])
    return replace(
        tracks,
        observation_point=np.concatenate([tracks.observation_point, *(points for points, _ in added)]),
        observation_frame=np.concatenate([tracks.observation_frame, frame_of]),
        observation_xy=np.concatenate([tracks.observation_xy, *(pixels for _, pixels in added)]),
    )


def _projections(
    scene: Scene, points: Float, seen_from: Float, frame: int, ignored: IgnoredPixels, count: int
) -> tuple[Int, Float]:
    """At most `count` of (P, 3) points, by index, that lie in a frame's image, and where; seen from (P, 3) before."""
    camera = scene.cameras[scene.frames[frame].camera_id]
    pixels = camera.project(transform_points(scene.cam_from_world[frame], points))
    inside = np.flatnonzero(((pixels >= 0) & (pixels <= (camera.width, camera.height))).all(axis=1))
    masked, cropped = ignored.at(frame, pixels[inside])
    inside = inside[~masked & ~cropped]
    own_centre = centres(scene.cam_from_world[frame])
    angle = _angle(points[inside] - seen_from[inside], points[inside] - own_centre)
    taken = inside[np.argsort(angle, kind="stable")[:count]]
    return taken, pixels[taken]


def _spread(valid: Bool, count: int) -> tuple[Int, Int]:
    """Rows and columns of about `count` valid pixels on a regular grid."""
    stride = max(1, int(np.sqrt(valid.sum() / count)))
    grid = np.zeros_like(valid)
    grid[stride // 2 :: stride, stride // 2 :: stride] = True
    rows, columns = np.nonzero(valid & grid)
    return rows, columns


def _joined(parts: Sequence[Tracks]) -> Tracks:
    offsets = np.cumsum([0, *(len(part) for part in parts[:-1])])
    return Tracks(
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.colours for part in parts]),
        np.concatenate([part.point_error_px for part in parts]),
        np.concatenate([part.observation_point + offset for part, offset in zip(parts, offsets, strict=True)]),
        np.concatenate([part.observation_frame for part in parts]),
        np.concatenate([part.observation_xy for part in parts]),
    )


def _angle(a: Float, b: Float) -> Float:
    cosine = (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1) + 1e-300)
    return np.arccos(np.clip(cosine, -1, 1))
