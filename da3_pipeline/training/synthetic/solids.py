"""The solids a scene is made of, and where rays meet them.

Every solid lives in a local frame: x_local = local_from_world @ (x_world - centre), inside the box +-half.
Kinds: BOX; ROOM (the same box seen from inside); ELLIPSOID; CYLINDER (axis z, capped); TORUS (axis z, tube radius
half.z, centre line radius half.x - half.z); RELIEF (a height field over x, y, heights in [0, 1] of the z extent).

Ray directions are those of the pinhole with z = 1 in the camera, so a ray parameter is z-depth.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import IntEnum

import torch
from torch import Tensor

__all__ = ["Kind", "Solids", "intersect", "local_normal"]

_NEAR = 1e-3
_RELIEF_STEPS = 28
_RELIEF_BISECTIONS = 5
_TORUS_STEPS = 28


class Kind(IntEnum):
    BOX = 0
    ROOM = 1
    ELLIPSOID = 2
    CYLINDER = 3
    TORUS = 4
    RELIEF = 5


@dataclass(frozen=True)
class Solids:
    """A struct of arrays over N solids.

    kind (N,) int64; centre (N, 3); local_from_world (N, 3, 3) rotations; half (N, 3) half extents, metres.
    texture (N, 6) int64 atlas index of each face (2 * axis + (normal > 0)); overlay (N,) a second texture that
    modulates the first, with weight overlay_gain (N,); texels_per_m (N, 2) of the two; offset (N, 2) in texels;
    tint (N, 3). relief (N,) int64 row of `heights` (G, S, S), float32 in [0, 1].
    """

    kind: Tensor
    centre: Tensor
    local_from_world: Tensor
    half: Tensor
    texture: Tensor
    overlay: Tensor
    overlay_gain: Tensor
    texels_per_m: Tensor
    offset: Tensor
    tint: Tensor
    relief: Tensor
    heights: Tensor

    def __len__(self) -> int:
        return len(self.kind)

    def select(self, index: Tensor) -> Solids:
        """The solids at `index`; the height grids are shared."""
        chosen = {f.name: getattr(self, f.name)[index] for f in fields(self) if f.name != "heights"}
        return replace(self, **chosen)

    def to(self, device: torch.device) -> Solids:
        return Solids(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    @property
    def radius(self) -> Tensor:
        """(N,) radii of spheres around the centres that hold the solids."""
        return self.half.norm(dim=-1)


def intersect(solids: Solids, origin: Tensor, directions: Tensor) -> Tensor:
    """Ray parameters (N, R) at the first surface of each solid in front of the origin; inf where there is none.

    origin (3,), directions (R, 3), world frame. A ray that starts inside a solid other than a ROOM misses it.
    """
    count, rays = len(solids), len(directions)
    start = torch.einsum("nij,nj->ni", solids.local_from_world, origin - solids.centre)[..., None]
    slope = (solids.local_from_world.reshape(-1, 3) @ directions.T).reshape(count, 3, rays)
    entry, leave = _slabs(start, slope, solids.half)
    distance = torch.full_like(entry, torch.inf)
    for kind in Kind:
        index = torch.nonzero(solids.kind == kind)[:, 0]
        if len(index):
            part = (start[index], slope[index], solids.half[index], entry[index], leave[index])
            distance[index] = _BY_KIND[kind](*part) if kind != Kind.RELIEF else _relief(solids, index, *part)
    return distance


def local_normal(solids: Solids, which: Tensor, point: Tensor) -> Tensor:
    """Outward unit normals (R, 3) in the local frame at surface points (R, 3) of the solids `which` (R,)."""
    kind, half = solids.kind[which], solids.half[which]
    normal = _box_normal(point / half)
    normal = torch.where((kind == Kind.ROOM)[:, None], -normal, normal)
    for shape, function in _NORMALS.items():
        hit = torch.nonzero(kind == shape)[:, 0]
        if len(hit):
            normal[hit] = function(point[hit], half[hit])
    hit = torch.nonzero(kind == Kind.RELIEF)[:, 0]
    if len(hit):
        normal[hit] = _relief_normal(solids, which[hit], point[hit])
    return torch.nn.functional.normalize(normal, dim=-1)


def _slabs(start: Tensor, slope: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays enter and leave the boxes +-half: start (N, 3, 1), slope (N, 3, R) -> two (N, R)."""
    inverse = 1.0 / torch.where(slope.abs() < 1e-9, torch.full_like(slope, 1e-9), slope)
    middle, reach = -start * inverse, half[..., None] * inverse.abs()
    low, high = middle - reach, middle + reach
    entry = torch.maximum(torch.maximum(low[:, 0], low[:, 1]), low[:, 2])
    leave = torch.minimum(torch.minimum(high[:, 0], high[:, 1]), high[:, 2])
    return entry, leave


def _box(start: Tensor, slope: Tensor, half: Tensor, entry: Tensor, leave: Tensor) -> Tensor:
    return torch.where((entry <= leave) & (entry > _NEAR), entry, torch.inf)


def _room(start: Tensor, slope: Tensor, half: Tensor, entry: Tensor, leave: Tensor) -> Tensor:
    return torch.where((entry <= leave) & (leave > _NEAR), leave, torch.inf)


def _first_root(a: Tensor, half_b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Both roots of a t^2 + 2 half_b t + c, inf and -inf where they are complex."""
    a = a.clamp_min(1e-12)  # a ray along a cylinder's axis
    discriminant = half_b * half_b - a * c
    root = discriminant.clamp_min(0).sqrt()
    complex_ = discriminant < 0
    return (
        torch.where(complex_, torch.inf, (-half_b - root) / a),
        torch.where(complex_, -torch.inf, (-half_b + root) / a),
    )


def _ellipsoid(start: Tensor, slope: Tensor, half: Tensor, entry: Tensor, leave: Tensor) -> Tensor:
    origin, direction = start / half[..., None], slope / half[..., None]
    near, _ = _first_root((direction * direction).sum(1), (origin * direction).sum(1), (origin * origin).sum(1) - 1)
    return torch.where(near > _NEAR, near, torch.inf)


def _cylinder(start: Tensor, slope: Tensor, half: Tensor, entry: Tensor, leave: Tensor) -> Tensor:
    origin, direction = start[:, :2] / half[:, :2, None], slope[:, :2] / half[:, :2, None]
    near, far = _first_root((direction * direction).sum(1), (origin * direction).sum(1), (origin * origin).sum(1) - 1)
    # the slab's entry is the cap (or a wall outside the disc, which then precedes the cylinder's own entry)
    first = torch.maximum(near, _cap_entry(start, slope, half))
    last = torch.minimum(far, leave)
    return torch.where((first <= last) & (first > _NEAR), first, torch.inf)


def _cap_entry(start: Tensor, slope: Tensor, half: Tensor) -> Tensor:
    along = torch.where(slope[:, 2].abs() < 1e-9, torch.full_like(slope[:, 2], 1e-9), slope[:, 2])
    return -start[:, 2] / along - half[:, 2, None] / along.abs()


def _torus(start: Tensor, slope: Tensor, half: Tensor, entry: Tensor, leave: Tensor) -> Tensor:
    """Sphere tracing inside the bounding box, on the rays that enter it."""
    distance = torch.full_like(entry, torch.inf)
    solid, ray = torch.nonzero((entry <= leave) & (entry > _NEAR), as_tuple=True)
    direction, tube = slope[solid, :, ray], half[solid, 2]
    ring, t = half[solid, 0] - tube, entry[solid, ray]
    speed = direction.norm(dim=-1)
    gap = torch.zeros_like(t)
    for _ in range(_TORUS_STEPS):
        point = start[solid, :, 0] + t[:, None] * direction
        gap = torch.hypot(torch.hypot(point[:, 0], point[:, 1]) - ring, point[:, 2]) - tube
        t = t + gap / speed
    touched = (gap.abs() < 2e-3 * tube) & (t <= leave[solid, ray] + 1e-3)
    distance[solid, ray] = torch.where(touched, t, torch.inf)
    return distance


def _relief(
    solids: Solids, index: Tensor, start: Tensor, slope: Tensor, half: Tensor, entry: Tensor, leave: Tensor
) -> Tensor:
    """Marching between the bounding box's faces, then bisection."""
    distance = torch.full_like(entry, torch.inf)
    solid, ray = torch.nonzero((entry <= leave) & (leave > _NEAR), as_tuple=True)
    origin, direction, size = start[solid, :, 0], slope[solid, :, ray], half[solid]
    row = solids.relief[index][solid]
    first, last = entry[solid, ray].clamp_min(_NEAR), leave[solid, ray]
    step = (last - first) / _RELIEF_STEPS
    low, high = first.clone(), torch.full_like(first, torch.inf)
    for k in range(1, _RELIEF_STEPS + 1):
        t = first + k * step
        above = _clearance(solids.heights, row, origin + t[:, None] * direction, size) > 0
        searching = torch.isinf(high)
        high = torch.where(searching & ~above, t, high)
        low = torch.where(searching & above, t, low)
    for _ in range(_RELIEF_BISECTIONS):
        t = (low + high) / 2
        above = _clearance(solids.heights, row, origin + t[:, None] * direction, size) > 0
        low, high = torch.where(above, t, low), torch.where(above, high, t)
    outside = _clearance(solids.heights, row, origin + first[:, None] * direction, size) > 0
    side = (~outside) & (
        entry[solid, ray] > _NEAR
    )  # the box's side is filled up to the height: entering through it hits
    distance[solid, ray] = torch.where(side, first, torch.where(outside, high, torch.inf))
    return distance


def _clearance(heights: Tensor, row: Tensor, point: Tensor, half: Tensor) -> Tensor:
    """Height of local points (K, 3) above the relief's surface, in units of its extent."""
    return point[:, 2] / half[:, 2] * 0.5 + 0.5 - _height(heights, row, point, half)


def _height(heights: Tensor, row: Tensor, point: Tensor, half: Tensor) -> Tensor:
    size = heights.shape[-1]
    grid = ((point[:, :2] / half[:, :2] * 0.5 + 0.5) * (size - 1)).clamp(0, size - 1.001)
    cell = grid.long()
    fraction = grid - cell
    base = (row * size + cell[:, 1]) * size + cell[:, 0]
    flat = heights.reshape(-1)
    upper = torch.lerp(flat[base], flat[base + 1], fraction[:, 0])
    lower = torch.lerp(flat[base + size], flat[base + size + 1], fraction[:, 0])
    return torch.lerp(upper, lower, fraction[:, 1])


def _relief_normal(solids: Solids, which: Tensor, point: Tensor) -> Tensor:
    half, row = solids.half[which], solids.relief[which]
    step = half[:, :2] * (2.0 / solids.heights.shape[-1])
    gradient = []
    for axis in range(2):
        shift = torch.zeros_like(point)
        shift[:, axis] = step[:, axis]
        rise = _height(solids.heights, row, point + shift, half) - _height(solids.heights, row, point - shift, half)
        gradient.append(rise * half[:, 2] / step[:, axis])
    normal = torch.stack([-gradient[0], -gradient[1], torch.ones_like(gradient[0])], -1)
    unit = point / half
    on_side = (unit[:, :2].abs().amax(-1) > 1 - 1e-4)[:, None]
    return torch.where(on_side, _box_normal(unit * unit.new_tensor([1.0, 1.0, 0.0])), normal)


def _box_normal(unit: Tensor) -> Tensor:
    axis = unit.abs().argmax(-1, keepdim=True)
    return torch.zeros_like(unit).scatter(-1, axis, torch.sign(unit.gather(-1, axis)))


def _ellipsoid_normal(point: Tensor, half: Tensor) -> Tensor:
    return point / (half * half)


def _cylinder_normal(point: Tensor, half: Tensor) -> Tensor:
    unit = point / half
    cap = unit[:, 2].abs() > 1 - 1e-4
    side = torch.cat([point[:, :2] / half[:, :2].square(), torch.zeros_like(point[:, 2:])], -1)
    top = torch.zeros_like(point)
    top[:, 2] = torch.sign(point[:, 2])
    return torch.where(cap[:, None], top, side)


def _torus_normal(point: Tensor, half: Tensor) -> Tensor:
    radius = torch.hypot(point[:, 0], point[:, 1]).clamp_min(1e-9)
    ring = (half[:, 0] - half[:, 2]) / radius
    return torch.stack([point[:, 0] * (1 - ring), point[:, 1] * (1 - ring), point[:, 2]], -1)


_BY_KIND = {
    Kind.BOX: _box,
    Kind.ROOM: _room,
    Kind.ELLIPSOID: _ellipsoid,
    Kind.CYLINDER: _cylinder,
    Kind.TORUS: _torus,
}
_NORMALS = {
    Kind.ELLIPSOID: _ellipsoid_normal,
    Kind.CYLINDER: _cylinder_normal,
    Kind.TORUS: _torus_normal,
}
