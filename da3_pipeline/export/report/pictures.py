"""The pictures of report.html: thumbnails, depth, and the scene as points and cameras, all as text."""

from __future__ import annotations

import base64
import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from ...arrays import Bytes, Float, Float32, Int
from ...geometry import invert
from ...imageio import read_mask, read_rgb
from ...types import ExportResult, Scene
from ..nerfstudio import read_trainer_world, trainer_world
from ..ply import PLY_NAME, read_ply

__all__ = ["DepthPair", "Pictures", "collect_pictures"]


_PAIRS = 6
_THUMBNAIL_PX = 320
_PLACE_PX, _PLACES = 240, 4
_VIEWER_POINTS = 20_000
_MAP_POINTS = 2_500
_MAP_SIZE = (420.0, 260.0)
_INT16_RANGE = 32_000


@dataclass(frozen=True)
class DepthPair:
    """An image and its depth map as data URIs."""

    name: str
    image: str
    depth: str


@dataclass(frozen=True)
class Pictures:
    """viewer: data of the 3-D view, empty without poses. maps: (title, svg path of points, svg path of cameras).

    places: by failed gate, the name and data URI of the frames that it names first.
    """

    pairs: tuple[DepthPair, ...]
    viewer: dict[str, Any]
    maps: tuple[tuple[str, str, str, str], ...]
    places: dict[str, tuple[tuple[str, str], ...]]


def collect_pictures(folder: Path, scene: Scene, result: ExportResult | None) -> Pictures:
    """What can be shown of a scene; of one that was not exported, whatever it has."""
    posed = np.flatnonzero(np.isfinite(scene.cam_from_world).all(axis=(1, 2)))
    if not len(posed):
        return Pictures(_pairs(folder, scene, result), {}, (), _places(scene))
    if result is not None and (folder / PLY_NAME).exists():
        world, (points, colours) = read_trainer_world(folder / "transforms.json"), read_ply(folder / PLY_NAME)
    else:
        world = trainer_world(scene.cam_from_world[posed], scene.tracks.points, scene.up_source)
        points, colours = world.from_model.apply(scene.tracks.points), scene.tracks.colours
    world_from_cam = invert(world.from_model.apply_to_cameras(scene.cam_from_world[posed]))
    centres, axes = world_from_cam[:, :, 3], world_from_cam[:, :, :3]
    refined = [scene.pose_source[index] == "refined" for index in posed]
    names = [scene.frames[index].name for index in posed]
    fields = [scene.cameras[scene.frames[index].camera_id].fov_deg for index in posed]
    viewer = _viewer(points, colours, centres, axes)
    viewer |= {"refined": refined, "names": names, "fov": np.round(fields, 1).tolist()}
    return Pictures(_pairs(folder, scene, result), viewer, _maps(points, centres, axes[:, :, 2]), _places(scene))


def _places(scene: Scene) -> dict[str, tuple[tuple[str, str], ...]]:
    """Of frames whose file is gone nothing: the names are in the text."""
    path_of = {frame.name: frame.path for frame in scene.frames}
    shown = {gate.name: gate.place.frames[:_PLACES] for gate in scene.verdict.gates if gate.place is not None}
    uris = {}
    for name in dict.fromkeys(name for names in shown.values() for name in names if name in path_of):
        with contextlib.suppress(OSError):
            uris[name] = _data_uri(read_rgb(path_of[name], max_side_px=_PLACE_PX))
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
        pairs.append(DepthPair(name, _data_uri(image), _data_uri(depth)))
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


def _data_uri(image: Bytes) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _viewer(points: Float, colours: Bytes, centres: Float, axes: Float) -> dict[str, Any]:
    """Points as base64 int16 in units of `unit` around the origin; cameras as plain numbers in the same units."""
    middle, radius = _extent(points, centres)
    chosen = _evenly(len(points), _VIEWER_POINTS)
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


def _maps(points: Float, centres: Float, forward: Float) -> tuple[tuple[str, str, str, str], ...]:
    """Seen from above and from the side: title and the path data of points, trajectory and view directions."""
    middle, _ = _extent(points, centres)
    shown = points[_evenly(len(points), _MAP_POINTS)] - middle
    places, looks = centres - middle, forward
    maps = []
    for title, across, up in (("from above", 0, 1), ("from the side", 0, 2)):
        bulk = np.concatenate([np.percentile(shown, (3, 97), axis=0), places]) if len(shown) else places
        reach = np.maximum(np.abs(bulk[:, [across, up]]).max(axis=0), 1e-9)
        scale = float(min(_MAP_SIZE[0] / 2 / reach[0], _MAP_SIZE[1] / 2 / reach[1])) * 0.94

        def place(at: Float, across: int = across, up: int = up, scale: float = scale) -> Float:
            return np.array(_MAP_SIZE) / 2 + at[:, [across, up]] * [scale, -scale]

        dots, track = place(shown), place(places)
        dots = dots[((dots > 0) & (dots < _MAP_SIZE)).all(axis=1)]
        tips = track + looks[:, [across, up]] * [13, -13]
        maps.append(
            (
                title,
                "".join(f"M{x:.1f} {y:.1f}h0" for x, y in dots),
                "".join(f"M{x:.1f} {y:.1f}h0" for x, y in track),
                "".join(f"M{x:.1f} {y:.1f}L{u:.1f} {v:.1f}" for (x, y), (u, v) in zip(track, tips, strict=True)),
            )
        )
    return tuple(maps)


def _evenly(count: int, limit: int) -> Int:
    return np.linspace(0, count - 1, min(count, limit)).astype(np.intp) if count else np.zeros(0, np.intp)
