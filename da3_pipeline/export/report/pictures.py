"""The pictures of report.html: images, depth, and the scene as points and cameras, all as text."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...arrays import Bytes, Float, Float32, Int
from ...geometry import invert
from ...imageio import read_mask, read_rgb
from ...types import ExportResult, Frame, Scene
from ..config import ReportConfig
from ..nerfstudio import read_trainer_world, trainer_world
from ..ply import PLY_NAME, read_ply
from .contact_sheet import ContactSheet, contact_sheet
from .data_uri import data_uri
from .drawing import Map, evenly, maps_of
from .links import LinkGraph, LinkMap, drawn_links

__all__ = ["DepthPair", "Pictures", "collect_pictures"]

_PAIRS = 6
_THUMBNAIL_PX = 320
_PLACE_PX, _PLACES = 240, 4
_VIEWER_POINTS = 20_000
_INT16_RANGE = 32_000


@dataclass(frozen=True)
class DepthPair:
    """An image and its depth map as data URIs."""

    name: str
    image: str
    depth: str


@dataclass(frozen=True)
class Pictures:
    """viewer: data of the 3-D view, empty without poses, as are `maps`. links: None where nothing is linked.

    places: by failed gate, the name and data URI of the frames that it names first.
    """

    pairs: tuple[DepthPair, ...]
    viewer: dict[str, Any]
    maps: tuple[Map, ...]
    links: LinkMap | None
    places: dict[str, tuple[tuple[str, str], ...]]
    sheet: ContactSheet


def collect_pictures(
    folder: Path,
    scene: Scene,
    result: ExportResult | None,
    graph: LinkGraph | None,
    photos: Sequence[Frame],
    letter_of: Mapping[str, str],
    config: ReportConfig,
) -> Pictures:
    """What can be shown of a scene; of one that was not exported, whatever it has.

    photos: of the capture. letter_of: that of the reason, by name, of what is left out.
    """
    pairs, places = _pairs(folder, scene, result), _places(scene)
    sheet = contact_sheet(scene, result, photos, letter_of, config.most_thumbnails)
    posed = np.asarray(np.isfinite(scene.cam_from_world).all(axis=(1, 2)))
    if not posed.any():
        return Pictures(pairs, {}, (), None, places, sheet)
    indices = np.flatnonzero(posed)
    points, colours, world_from_cam = _world(folder, scene, result, indices)
    centres, axes = world_from_cam[:, :, 3], world_from_cam[:, :, :3]
    frames = [scene.frames[index] for index in indices]
    refined = np.array([scene.pose_source[index] == "refined" for index in indices])
    fields = [scene.cameras[frame.camera_id].fov_deg for frame in frames]
    viewer = _viewer(points, colours, centres, axes)
    viewer |= {"refined": refined.tolist(), "names": [frame.name for frame in frames]}
    viewer |= {"fov": np.round(fields, 1).tolist()}
    metres = scene.metric.metres_per_unit if scene.metric else None
    maps = maps_of(points, centres, axes[:, :, 2], refined, frames, metres)
    everywhere = np.full((len(scene.frames), 3), np.nan)
    everywhere[indices] = centres
    links = drawn_links(graph, everywhere, posed) if graph else None
    return Pictures(pairs, viewer, maps, links, places, sheet)


def _world(folder: Path, scene: Scene, result: ExportResult | None, posed: Int) -> tuple[Float, Bytes, Float]:
    """Points, their colours and the poses (N, 3, 4) of cameras in the world that trainers see."""
    if result is not None and (folder / PLY_NAME).exists():
        world, (points, colours) = read_trainer_world(folder / "transforms.json"), read_ply(folder / PLY_NAME)
    else:
        world = trainer_world(scene.cam_from_world[posed], scene.tracks.points, scene.up_source)
        points, colours = world.from_model.apply(scene.tracks.points), scene.tracks.colours
    return points, colours, invert(world.from_model.apply_to_cameras(scene.cam_from_world[posed]))


def _places(scene: Scene) -> dict[str, tuple[tuple[str, str], ...]]:
    """Of frames whose file is gone nothing: the names are in the text."""
    path_of = {frame.name: frame.path for frame in scene.frames}
    shown = {gate.name: gate.place.frames[:_PLACES] for gate in scene.verdict.gates if gate.place is not None}
    uris = {}
    for name in dict.fromkeys(name for names in shown.values() for name in names if name in path_of):
        with contextlib.suppress(OSError):
            uris[name] = data_uri(read_rgb(path_of[name], max_side_px=_PLACE_PX))
    return {gate: tuple((name, uris[name]) for name in names if name in uris) for gate, names in shown.items()}


def _pairs(folder: Path, scene: Scene, result: ExportResult | None) -> tuple[DepthPair, ...]:
    names = result.image_names if result else {}
    shown = [index for index, frame in enumerate(scene.frames) if frame.name in names]
    picked = np.unique(np.linspace(0, len(shown) - 1, _PAIRS).round().astype(int)) if shown else np.zeros(0, int)
    pairs = []
    for index in (shown[k] for k in picked.tolist()):
        name = scene.frames[index].name
        image = _masked(read_rgb(folder / "images" / names[name], max_side_px=_THUMBNAIL_PX), folder, names[name])
        sky = scene.prediction.sky
        known = scene.prediction.depth[index] if sky is None else np.where(sky[index], 0, scene.prediction.depth[index])
        depth = _depth_picture(known, (image.shape[1], image.shape[0]))
        pairs.append(DepthPair(name, data_uri(image), data_uri(depth)))
    return tuple(pairs)


def _masked(image: Bytes, folder: Path, name: str) -> Bytes:
    """The picture, dark where the data set's mask ignores it."""
    path = folder / "masks" / f"{name}.png"
    if not path.exists():
        return image
    used = read_mask(path, image.shape[1], image.shape[0])
    return np.where(used[:, :, None], image, image // 4).astype(np.uint8)


def _depth_picture(depth: Float32, size: tuple[int, int]) -> Bytes:
    """Inverse depth between its 2nd and 98th percentile in colour, near is bright; unknown is black."""
    inverse = np.divide(1, depth, out=np.zeros_like(depth), where=np.isfinite(depth) & (depth > 0))
    known = inverse > 0
    low, high = np.percentile(inverse[known], (2, 98)) if known.any() else (0.0, 1.0)
    level = np.clip((inverse - low) / max(high - low, 1e-12), 0, 1) * 255
    coloured = cv2.applyColorMap(level.astype(np.uint8), cv2.COLORMAP_INFERNO)[:, :, ::-1] * known[:, :, None]
    return cv2.resize(np.ascontiguousarray(coloured), size, interpolation=cv2.INTER_AREA)


def _viewer(points: Float, colours: Bytes, centres: Float, axes: Float) -> dict[str, Any]:
    """Points as base64 int16 in units of `unit` around the origin; cameras as plain numbers in the same units."""
    middle, radius = _extent(points, centres)
    chosen = evenly(len(points), _VIEWER_POINTS)
    unit = 4 * radius / _INT16_RANGE
    offsets = (points[chosen] - middle) / unit
    inside = (np.abs(offsets) < _INT16_RANGE).all(axis=1)
    return {
        "points": base64.b64encode(offsets[inside].round().astype("<i2").tobytes()).decode(),
        "colours": base64.b64encode(colours[chosen][inside].tobytes()).decode(),
        "unit": 4 / _INT16_RANGE,
        "centres": ((centres - middle) / radius).round(4).tolist(),
        "axes": axes.round(4).tolist(),
        "yaw": _first_yaw(axes[:, :, 2]),
    }


def _first_yaw(forward: Float) -> float:
    """Angle around z, radians, of an eye that looks over the cameras' shoulders, a little from the side."""
    across = forward[:, :2].mean(axis=0)
    return round(float(np.arctan2(-across[0], across[1])) + 0.45, 3)


def _extent(points: Float, centres: Float) -> tuple[Float, float]:
    """Middle and radius of what matters: the cameras and the bulk of the points."""
    bulk = np.percentile(points, (5, 95), axis=0) if len(points) else centres
    corners = np.concatenate([bulk, centres])
    middle = (corners.min(axis=0) + corners.max(axis=0)) / 2
    return middle, max(float(np.abs(corners - middle).max()), 1e-9)
