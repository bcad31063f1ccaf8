"""Colour and depth of a scene seen by a camera."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .atlas import Atlas
from .building import Scene
from .raycast import Hits, cast, pixel_directions

__all__ = ["View", "find_borders", "pixel_centres", "render_antialiased", "render_pixels", "render_rays", "render_view"]

_TILE_PX = 160
_SUBSAMPLES = ((-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25))


@dataclass(frozen=True)
class View:
    """colour (H, W, 3) in [0, 1], display-referred; depth (H, W) z-depth in metres, 0 at the sky."""

    colour: Tensor
    depth: Tensor


@torch.no_grad()
def render_view(scene: Scene, atlas: Atlas, cam_from_world: Tensor, K: Tensor, size: tuple[int, int]) -> View:
    """One ray through the centre of each pixel of a (width, height) image; textures are filtered by mip-maps."""
    width, height = size
    colour, depth, _ = render_pixels(scene, atlas, cam_from_world, K, pixel_centres(size, K.device))
    return View(colour.reshape(height, width, 3), depth.reshape(height, width))


@torch.no_grad()
def render_antialiased(scene: Scene, atlas: Atlas, cam_from_world: Tensor, K: Tensor, size: tuple[int, int]) -> View:
    """As `render_view`, with four samples in each pixel at the border of two solids; rendered in tiles, which meet
    few of the solids each. Depth is that of the pixel centres."""
    width, height = size
    colour = torch.zeros(height, width, 3)
    depth = torch.zeros(height, width)
    solid = torch.zeros(height, width, dtype=torch.int64)
    centres = pixel_centres(size, K.device).reshape(height, width, 2)
    tiles = [
        (slice(top, top + _TILE_PX), slice(left, left + _TILE_PX))
        for top in range(0, height, _TILE_PX)
        for left in range(0, width, _TILE_PX)
    ]
    for tile in tiles:
        pixels = centres[tile]
        parts = render_pixels(scene, atlas, cam_from_world, K, pixels.reshape(-1, 2))
        for image, part in zip((colour, depth, solid), parts, strict=True):
            image[tile] = part.reshape(image[tile].shape)
    border = find_borders(solid)
    for tile in tiles:
        edge = centres[tile][border[tile]]
        if len(edge):
            samples = torch.cat([edge + edge.new_tensor(shift) for shift in _SUBSAMPLES])
            fine, _, _ = render_pixels(scene, atlas, cam_from_world, K, samples)
            colour[tile][border[tile]] = fine.reshape(len(_SUBSAMPLES), -1, 3).mean(0)
    return View(colour, depth)


def find_borders(solid: Tensor) -> Tensor:
    """(H, W) true where a pixel's right or lower neighbour, or the pixel as such a neighbour, is of another solid."""
    border = torch.zeros_like(solid, dtype=torch.bool)
    across, down = solid[:, 1:] != solid[:, :-1], solid[1:] != solid[:-1]
    border[:, 1:] |= across
    border[:, :-1] |= across
    border[1:] |= down
    border[:-1] |= down
    return border


def pixel_centres(size: tuple[int, int], device: torch.device) -> Tensor:
    """(H * W, 2) x, y of all pixel centres, row-major."""
    width, height = size
    y, x = torch.meshgrid(
        torch.arange(height, device=device) + 0.5, torch.arange(width, device=device) + 0.5, indexing="ij"
    )
    return torch.stack([x, y], -1).reshape(-1, 2)


def render_pixels(
    scene: Scene, atlas: Atlas, cam_from_world: Tensor, K: Tensor, pixels: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Colour (R, 3), depth (R,) and solid index (R,), -1 at the sky, at pixel positions (R, 2)."""
    rotation = cam_from_world[:, :3]
    origin = -cam_from_world[:, 3] @ rotation
    return render_rays(scene, atlas, origin, pixel_directions(K, rotation, pixels), float(K[0, 0]))


def render_rays(
    scene: Scene, atlas: Atlas, origin: Tensor, rays: Tensor, focal_px: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The same of rays (R, 3) in the world from `origin` (3,): depth in their lengths, `focal_px` pixels a radian."""
    hits = cast(scene.solids, origin, rays)
    sky = hits.solid < 0
    if not sky.any():
        colour = _surface(scene, atlas, hits, rays, focal_px)
    else:
        colour = torch.empty_like(rays)
        colour[sky] = _sky(scene, atlas, rays[sky])
        colour[~sky] = _surface(scene, atlas, hits.select(~sky), rays[~sky], focal_px)
    return colour.clamp(0, 1), torch.where(sky, 0.0, hits.depth), hits.solid


def _surface(scene: Scene, atlas: Atlas, hits: Hits, rays: Tensor, focal_px: float) -> Tensor:
    solids, which = scene.solids, hits.solid
    axis = hits.normal.abs().argmax(-1)
    positive = hits.normal.gather(-1, axis[:, None])[:, 0] > 0
    texture = solids.texture[which, 2 * axis + positive]
    # a face's texture runs along the other two axes, in metres
    along = torch.tensor([[1, 2], [0, 2], [0, 1]], device=axis.device)[axis]
    metres = hits.local.gather(-1, along)
    slant = ((rays * hits.world_normal).sum(-1).abs() / rays.norm(dim=-1)).clamp_min(0.08)
    metres_per_px = hits.depth / focal_px / slant.sqrt()
    density, offset = solids.texels_per_m[which], solids.offset[which]
    albedo = atlas.sample(texture, metres * density[:, :1] + offset + 37 * axis[:, None], metres_per_px * density[:, 0])
    gain = solids.overlay_gain[which][:, None]
    overlay = atlas.sample(solids.overlay[which], metres * density[:, 1:] + offset, metres_per_px * density[:, 1])
    albedo = albedo * (1 + gain * (2 * overlay - 1))
    lambert = (hits.world_normal @ scene.lights.T).clamp_min(0) @ scene.light_colours
    return albedo * solids.tint[which] * (scene.ambient + lambert)


def _sky(scene: Scene, atlas: Atlas, rays: Tensor) -> Tensor:
    """A gradient from horizon to zenith with clouds, infinitely far."""
    unit = torch.nn.functional.normalize(rays, dim=-1)
    height = unit[:, 2].clamp(0, 1)[:, None]
    plane = unit[:, :2] / (unit[:, 2:].abs() + 0.3)
    texture = torch.full((len(rays),), scene.sky_texture, device=rays.device)
    clouds = atlas.sample(texture, plane * 60, torch.full((len(rays),), 1.5, device=rays.device))
    return torch.lerp(scene.sky[0], scene.sky[1], height.sqrt()) * (0.75 + 0.35 * clouds)
