"""Packets of rays from one camera centre against a scene's solids."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from .solids import Solids, intersect, local_normal

__all__ = ["Hits", "cast", "pixel_directions"]


@dataclass(frozen=True)
class Hits:
    """What R rays meet first.

    depth (R,) z-depth, inf at the sky; solid (R,) index into the scene's solids, -1 at the sky;
    local (R, 3) point and normal (R, 3, towards the camera's side) in the solid's frame; world_normal (R, 3).
    """

    depth: Tensor
    solid: Tensor
    local: Tensor
    normal: Tensor
    world_normal: Tensor

    def select(self, which: Tensor) -> Hits:
        """The rays at an index or mask."""
        return Hits(*(getattr(self, f.name)[which] for f in fields(self)))


def pixel_directions(K: Tensor, rotation: Tensor, pixels: Tensor) -> Tensor:
    """World directions (R, 3), z = 1 in the camera, of pixels (R, 2) under K (3, 3) and cam_from_world rotation."""
    x = (pixels[:, 0] - K[0, 2]) / K[0, 0]
    y = (pixels[:, 1] - K[1, 2]) / K[1, 1]
    return torch.stack([x, y, torch.ones_like(x)], -1) @ rotation


def cast(solids: Solids, origin: Tensor, directions: Tensor) -> Hits:
    """First hits of rays from `origin` (3,) along `directions` (R, 3); solids outside the rays' cone are skipped."""
    candidates = _in_cone(solids, origin, directions)
    rays = len(directions)
    if len(candidates) == 0:
        zero = directions.new_zeros(rays, 3)
        miss = torch.full((rays,), -1, dtype=torch.int64, device=directions.device)
        return Hits(directions.new_full((rays,), torch.inf), miss, zero, zero, zero)
    near = solids.select(candidates)
    depth, winner = intersect(near, origin, directions).min(0)
    seen = torch.isfinite(depth)
    rotation = near.local_from_world[winner]
    point = origin + torch.where(seen, depth, 0.0)[:, None] * directions
    local = torch.einsum("rij,rj->ri", rotation, point - near.centre[winner])
    normal = local_normal(near, winner, local)
    world_normal = torch.einsum("rji,rj->ri", rotation, normal)
    return Hits(depth, torch.where(seen, candidates[winner], -1), local, normal, world_normal)


def _in_cone(solids: Solids, origin: Tensor, directions: Tensor) -> Tensor:
    """Indices of solids whose bounding spheres reach into the cone around all the rays."""
    unit = torch.nn.functional.normalize(directions, dim=-1)
    axis = torch.nn.functional.normalize(unit.mean(0), dim=0)
    half_angle = torch.acos((unit @ axis).min().clamp(-1, 1))
    offset = solids.centre - origin
    distance = offset.norm(dim=-1).clamp_min(1e-9)
    angle = torch.acos((offset @ axis / distance).clamp(-1, 1))
    spread = torch.asin((solids.radius / distance).clamp(max=1))
    inside = distance <= solids.radius * 1.0001
    return torch.nonzero(inside | (angle <= half_angle + spread + 1e-4))[:, 0]
