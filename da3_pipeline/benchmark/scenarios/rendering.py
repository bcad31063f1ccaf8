"""Pictures of a synthetic scene through any lens, standing, shaking or with things that move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from ...arrays import Bytes, Float, Float32, Int
from ...geometry import Camera, centres, compose
from ...geometry.equirectangular import Equirectangular
from ...training.synthetic.atlas import Atlas
from ...training.synthetic.building import Scene
from ...training.synthetic.render import find_borders, render_pixels, render_rays

__all__ = ["Shot", "moved", "take", "take_panorama", "turned"]


_TILE_PX = 80
_SUBSAMPLES = ((-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25))
_EXPOSURES = 7
_NOISE = 1.2


@dataclass(frozen=True)
class Shot:
    """rgb (H, W, 3) uint8 with sensor noise; depth (H, W) true z-depth in metres, 0 at the sky; solid (H, W) index
    into the scene's solids, -1 at the sky."""

    rgb: Bytes
    depth: Float32
    solid: Int


def take(
    scene: Scene, atlas: Atlas, cam_from_world: Float, camera: Camera, seed: int, shake_deg: Float | None = None
) -> Shot:
    """One picture. `shake_deg` (3,): how the camera turns while the shutter is open, a rotation vector in its frame."""
    planes = _planes(camera)
    centre = _between(planes, (0.0, 0.0))
    colour, depth, solid = _trace(scene, atlas, cam_from_world, camera, centre)
    if shake_deg is None:
        edge = find_borders(torch.from_numpy(solid)).numpy()
        if edge.any():
            fine = [_samples(scene, atlas, cam_from_world, camera, _between(planes, s)[edge])[0] for s in _SUBSAMPLES]
            colour[edge] = np.mean(fine, 0)
    else:
        poses = [_shaken(cam_from_world, share * shake_deg) for share in np.linspace(-0.5, 0.5, _EXPOSURES)]
        colour = np.mean([_trace(scene, atlas, pose, camera, centre)[0] for pose in poses], 0)
    noise = np.random.default_rng(seed).normal(0, _NOISE, (camera.height, camera.width, 1))
    return Shot(np.asarray((255 * colour + noise).clip(0, 255), np.uint8), depth, solid)


def take_panorama(scene: Scene, atlas: Atlas, cam_from_world: Float, panorama: Equirectangular, seed: int) -> Shot:
    """One equirectangular picture; its depth is the distance in metres."""
    rows, columns = np.mgrid[0 : panorama.height, 0 : panorama.width]
    places = np.stack([columns, rows], -1) + 0.5
    colour = np.zeros((*rows.shape, 3), np.float32)
    depth, solid = np.zeros(rows.shape, np.float32), np.zeros(rows.shape, np.int64)
    for tile in _tiles(*rows.shape):
        shape = rows[tile].shape
        samples = _directed(scene, atlas, cam_from_world, panorama, places[tile].reshape(-1, 2))
        colour[tile] = samples[0].reshape(*shape, 3)
        depth[tile], solid[tile] = samples[1].reshape(shape), samples[2].reshape(shape)
    edge = find_borders(torch.from_numpy(solid)).numpy()
    for tile in _tiles(*rows.shape):
        pixels = places[tile][edge[tile]]
        if len(pixels):
            fine = [_directed(scene, atlas, cam_from_world, panorama, pixels + shift)[0] for shift in _SUBSAMPLES]
            colour[tile][edge[tile]] = np.mean(fine, 0)
    noise = np.random.default_rng(seed).normal(0, _NOISE, (*rows.shape, 1))
    return Shot(np.asarray((255 * colour + noise).clip(0, 255), np.uint8), depth, solid)


def moved(scene: Scene, solids: Sequence[int], offset_m: Float) -> Scene:
    """The scene with some of its solids shifted by `offset_m` (3,)."""
    centre = scene.solids.centre.clone()
    centre[list(solids)] += torch.tensor(offset_m, dtype=centre.dtype)
    return replace(scene, solids=replace(scene.solids, centre=centre))


def turned(scene: Scene, solids: Sequence[int], angle_rad: float) -> Scene:
    """The scene with some of its solids turned about the world's z axis, counter-clockwise seen from above."""
    cosine, sine = float(np.cos(angle_rad)), float(np.sin(angle_rad))
    turn = torch.tensor([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    which = list(solids)
    centre, local = scene.solids.centre.clone(), scene.solids.local_from_world.clone()
    centre[which] = centre[which] @ turn.T
    local[which] = local[which] @ turn.T
    return replace(scene, solids=replace(scene.solids, centre=centre, local_from_world=local))


def _planes(camera: Camera) -> Float:
    """(H + 1, W + 1, 2) of all pixel corners on the plane z = 1."""
    y, x = np.mgrid[0 : camera.height + 1, 0 : camera.width + 1].astype(float)
    corners = np.stack([x, y], -1)
    return camera.unproject(corners.reshape(-1, 2)).reshape(corners.shape)


def _trace(scene: Scene, atlas: Atlas, pose: Float, camera: Camera, plane: Float) -> tuple[Float32, Float32, Int]:
    """Colour, depth and solid at positions `plane` (H, W, 2) on z = 1; in tiles, which meet few of the solids each."""
    height, width = plane.shape[:2]
    colour = np.zeros((height, width, 3), np.float32)
    depth = np.zeros((height, width), np.float32)
    solid = np.zeros((height, width), np.int64)
    for tile in _tiles(height, width):
        shape = plane[tile].shape[:2]
        samples = _samples(scene, atlas, pose, camera, plane[tile].reshape(-1, 2))
        colour[tile] = samples[0].reshape(*shape, 3)
        depth[tile], solid[tile] = samples[1].reshape(shape), samples[2].reshape(shape)
    return colour, depth, solid


def _samples(scene: Scene, atlas: Atlas, pose: Float, camera: Camera, plane: Float) -> tuple[Float32, Float32, Int]:
    """Colour (R, 3), depth (R,) and solid (R,) at positions (R, 2) on z = 1."""
    focal_px = float(camera.focal_px)  # the pinhole that the renderer works with has its centre at 0
    K = torch.diag(torch.tensor([focal_px, focal_px, 1.0]))
    pixels = torch.tensor(focal_px * plane, dtype=torch.float32)
    colour, depth, solid = render_pixels(scene, atlas, torch.tensor(pose, dtype=torch.float32), K, pixels)
    return colour.numpy(), depth.numpy(), solid.numpy()


def _directed(
    scene: Scene, atlas: Atlas, pose: Float, panorama: Equirectangular, pixels: Float
) -> tuple[Float32, Float32, Int]:
    """Colour (R, 3), distance (R,) and solid (R,) at positions (R, 2) of a panorama."""
    rays = torch.tensor(panorama.rays(pixels) @ pose[:, :3], dtype=torch.float32)
    origin = torch.tensor(centres(pose), dtype=torch.float32)
    colour, depth, solid = render_rays(scene, atlas, origin, rays, panorama.focal_px)
    return colour.numpy(), depth.numpy(), solid.numpy()


def _tiles(height: int, width: int) -> list[tuple[slice, slice]]:
    return [
        (slice(top, top + _TILE_PX), slice(left, left + _TILE_PX))
        for top in range(0, height, _TILE_PX)
        for left in range(0, width, _TILE_PX)
    ]


def _between(corners: Float, shift: tuple[float, float]) -> Float:
    """(H, W, 2) positions within pixels, by bilinear interpolation of their corners."""
    u, v = 0.5 + shift[0], 0.5 + shift[1]
    upper = (1 - u) * corners[:-1, :-1] + u * corners[:-1, 1:]
    lower = (1 - u) * corners[1:, :-1] + u * corners[1:, 1:]
    return (1 - v) * upper + v * lower


def _shaken(cam_from_world: Float, turn_deg: Float) -> Float:
    rotation, _ = cv2.Rodrigues(np.radians(turn_deg))
    return compose(np.concatenate([rotation, np.zeros((3, 1))], 1), cam_from_world)
