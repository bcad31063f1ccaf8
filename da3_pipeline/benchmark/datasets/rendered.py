"""Scenes of our own that need no download: a room, a street and things on a ground, with exact poses and depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from ...arrays import Bytes, Float, Float32
from ...errors import CaptureError
from ...geometry import invert, transform_points
from ...imageio import write_rgb
from ..metrics.clouds import voxel_means
from ..metrics.settings import SurfaceSettings
from ..truth.scene_truth import read_truth, write_truth
from .contract import Dataset, GeometryScene, SceneView
from .files import folders_with, metric_depth

__all__ = ["RENDERED", "RENDERED_KINDS", "render_scene"]

_SETTINGS = SurfaceSettings(0.04, 0.16, 30.0, 0.1, 0.04)
"""In metres. Pictures are small: a pixel is 2 to 5 cm wide at the distances of these scenes."""
_UNIT_M = 1e-3
_TEXTURES, _ATTEMPTS = 90, 50
_OBJECTS_STEP_RAD = np.radians(20)  # between views around things on a ground
_TOUR_STRIDE = 6  # frames of the street between views: about 0.75 m

Shooter = Callable[[int, int, tuple[int, int]], tuple[Float, Float, Callable[[int], tuple[Bytes, Float32]]]]
"""(seed, views, (width, height)) to cam_from_world (N, 3, 4), K (3, 3) and a function of a view's picture and depth."""


def render_scene(root: Path, kind: str, seed: int = 0, views: int = 12, size: tuple[int, int] = (320, 240)) -> str:
    """Lay scene KIND-SEED below `root`, unless it is there: images/, depth/ in mm, truth.json. Its name."""
    name = f"{kind}-{seed}"
    folder = root / name
    if (folder / "truth.json").is_file():
        return name
    poses, K, take = RENDERED_KINDS[kind](seed, views, size)
    names = [f"{view:04d}.png" for view in range(len(poses))]
    (folder / "depth").mkdir(parents=True, exist_ok=True)
    (folder / "images").mkdir(exist_ok=True)
    for view, image in enumerate(names):
        rgb, depth = take(view)
        write_rgb(folder / "images" / image, rgb)
        _write_depth(folder / "depth" / image, depth)
    write_truth(folder, names, poses, np.stack([K] * len(names)))
    return name


def _room(seed: int, views: int, size: tuple[int, int]) -> tuple[Float, Float, Callable[[int], tuple[Bytes, Float32]]]:
    from ...training.synthetic.walk import render_walk

    walk = render_walk(seed, views, *size)
    return walk.cam_from_world, walk.camera.K, walk.picture


def _street(
    seed: int, views: int, size: tuple[int, int]
) -> tuple[Float, Float, Callable[[int], tuple[Bytes, Float32]]]:
    from ...training.synthetic.tour import render_tour

    tour = render_tour(seed, views * _TOUR_STRIDE, *size)
    return tour.cam_from_world[::_TOUR_STRIDE], tour.camera.K, lambda view: tour.picture(view * _TOUR_STRIDE)


def _objects(
    seed: int, views: int, size: tuple[int, int]
) -> tuple[Float, Float, Callable[[int], tuple[Bytes, Float32]]]:
    from ...training.synthetic.atlas import build_atlas
    from ...training.synthetic.render import render_antialiased
    from ...training.synthetic.scenes import HELD_OUT_SEED, make_scene
    from ...training.synthetic.viewpoints import is_clear, look_at

    atlas = build_atlas(HELD_OUT_SEED, _TEXTURES)
    turns = np.arange(views) * min(_OBJECTS_STEP_RAD, 2 * np.pi / views)
    ring = np.stack([np.cos(turns), np.sin(turns), np.full(views, 0.5)], axis=1)
    for attempt in range(_ATTEMPTS):
        scene = make_scene(HELD_OUT_SEED + _ATTEMPTS * seed + attempt, atlas, "objects")
        places = ring * float(scene.stands[1, 0])
        if all(is_clear(scene, place, 0.1 * scene.reach_m) for place in places):
            break
    poses = np.stack([look_at(place, scene.focus) for place in places])
    focal_px = max(size) / 2 / np.tan(np.radians(30))
    K = np.array([[focal_px, 0, size[0] / 2], [0, focal_px, size[1] / 2], [0, 0, 1.0]])

    def take(view: int) -> tuple[Bytes, Float32]:
        pose, camera = (torch.tensor(array, dtype=torch.float32) for array in (poses[view], K))
        seen = render_antialiased(scene, atlas, pose, camera, size)
        noise = np.random.default_rng([seed, view]).normal(0, 1.2, (*seen.depth.shape, 1))
        rgb = (255 * seen.colour.numpy() + noise).clip(0, 255).astype(np.uint8)
        return np.asarray(rgb), np.asarray(seen.depth.numpy(), np.float32)

    return poses, K, take


RENDERED_KINDS: dict[str, Shooter] = {"objects": _objects, "room": _room, "street": _street}
"""What can be rendered, by name."""


def _write_depth(path: Path, depth: Float32) -> None:
    """16 bits in mm, 0 at the sky and beyond 65 m."""
    from PIL import Image

    millimetres = np.round(depth / _UNIT_M)
    Image.fromarray(np.where(millimetres < 65535, millimetres, 0).astype(np.uint16)).save(path)


def _scenes(root: Path) -> Sequence[str]:
    return folders_with(root, "images", "depth", "truth.json")


def _read(root: Path, name: str) -> GeometryScene:
    """images/, depth/ in mm, truth.json. The surface is what the views see of it: the points of all true depth maps."""
    truth = read_truth(root / name)
    depths = root / name / "depth"
    views = tuple(
        SceneView(image, truth.images / image, pose, K, metric_depth(depths / image, _UNIT_M))
        for image, pose, K in zip(truth.names, truth.cam_from_world, truth.intrinsics, strict=True)
    )
    if not views:
        raise CaptureError(f"{root / name}: its truth.json names no images; remove the folder, it is rendered anew")
    return GeometryScene("rendered", name, views, _SETTINGS, lambda: _seen_surface(views))


def _seen_surface(views: Sequence[SceneView]) -> Float:
    """(M, 3) points of all depth maps up to where depth is fused, one a quarter of a voxel."""
    clouds = []
    for view in views:
        assert view.depth is not None
        depth = view.depth().astype(np.float64)
        row, column = np.nonzero(depth < _SETTINGS.farthest)  # NaN is not
        rays = np.linalg.solve(view.intrinsics, np.stack([column + 0.5, row + 0.5, np.ones(len(row))])).T
        clouds.append(transform_points(invert(view.cam_from_world), rays * depth[row, column, None]))
    return voxel_means(np.concatenate(clouds), _SETTINGS.voxel / 4)


RENDERED = Dataset(
    "rendered",
    "SCENE/{images,depth}, SCENE/truth.json",
    "rendered here: no download",
    _scenes,
    _read,
    depth=True,
)
