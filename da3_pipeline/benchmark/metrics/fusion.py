"""Depth maps to one surface: a truncated signed distance field (Curless and Levoy 1996) by Open3D's VoxelBlockGrid."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ...arrays import Float, Float32, Int
from ...errors import MissingExtraError
from .settings import SurfaceSettings

__all__ = ["fuse_depths", "open3d_package", "sample_mesh"]

_BLOCK_VOXELS, _BLOCKS = 8, 4000  # a side of a block; how many there is room for at first (18 MB)
_LEAST_WEIGHT = 0.5  # a voxel that one frame has seen counts, as in the published code's volume


def fuse_depths(
    depths: Iterable[tuple[Float32, Float, Float]], settings: SurfaceSettings, as_published: bool = False
) -> tuple[Float, Int]:
    """Vertices (V, 3) and triangles (F, 3) of the surface that (depth (H, W), K (3, 3), cam_from_world (3, 4)) show.

    depth: z-depth in units of the poses; what is not finite and positive is empty. K has its origin at the corner of
    the first pixel, as VoxelBlockGrid has it. as_published: half a pixel off, since the published code hands such a K
    to a volume that takes pixels to be centred at whole numbers. No triangles where nothing can be fused. Raises
    MissingExtraError without Open3D.
    """
    o3d = open3d_package()
    core = o3d.core
    grid = o3d.t.geometry.VoxelBlockGrid(
        attr_names=("tsdf", "weight"),
        attr_dtypes=(core.float32, core.float32),
        attr_channels=((1), (1)),
        voxel_size=settings.voxel,
        block_resolution=_BLOCK_VOXELS,
        block_count=_BLOCKS,
    )
    reach = float(settings.truncation / settings.voxel)
    fused = False
    for depth, K, cam_from_world in depths:
        image = np.where(np.isfinite(depth) & (depth > 0) & (depth < settings.farthest), depth, 0).astype(np.float32)
        if not image.any():
            continue
        matrix = np.array(K, float)
        if as_published:
            matrix[:2, 2] += 0.5
        view = (
            o3d.t.geometry.Image(core.Tensor(np.ascontiguousarray(image))),
            core.Tensor(matrix),
            core.Tensor(np.vstack([cam_from_world, [0.0, 0, 0, 1]])),
        )
        blocks = grid.compute_unique_block_coordinates(*view, 1.0, float(settings.farthest), reach)
        grid.integrate(blocks, *view, 1.0, float(settings.farthest), reach)
        fused = True
    if not fused:
        return np.zeros((0, 3)), np.zeros((0, 3), np.int64)
    mesh = grid.extract_triangle_mesh(_LEAST_WEIGHT)
    if "positions" not in mesh.vertex or "indices" not in mesh.triangle:
        return np.zeros((0, 3)), np.zeros((0, 3), np.int64)
    return mesh.vertex.positions.numpy().astype(float), mesh.triangle.indices.numpy().astype(np.int64)


def sample_mesh(vertices: Float, triangles: Int, count: int, seed: int = 42) -> Float:
    """(count, 3) points spread evenly over the area of a mesh; none where it has no area."""
    corners = vertices[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.cumsum(np.linalg.norm(normals, axis=1))
    if not len(area) or not area[-1] > 0:
        return np.zeros((0, 3))
    rng = np.random.default_rng(seed)
    which = np.searchsorted(area, rng.uniform(0, area[-1], count), side="right").clip(max=len(area) - 1)
    u, v = rng.uniform(size=(2, count))
    outside = u + v > 1
    u, v = np.where(outside, 1 - u, u)[:, None], np.where(outside, 1 - v, v)[:, None]
    a, b, c = corners[which].transpose(1, 0, 2)
    return np.asarray(a + u * (b - a) + v * (c - a))


def open3d_package() -> Any:
    """Open3D. Raises MissingExtraError where it is not installed."""
    try:
        import open3d
    except ModuleNotFoundError:
        raise MissingExtraError("fusing depth maps and reading true surfaces", "surfaces") from None
    return open3d
