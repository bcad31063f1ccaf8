"""From predicted depth to a surface in the frame of the truth, and how far the two are apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from ...arrays import Bool, Float, Float32
from ...geometry import Sim3, invert, transform_points
from ...geometry.metrics.depth import known
from ..datasets.contract import GeometryScene
from ..methods.contract import DenseViews, Estimate
from ..metrics.alignment import align_trajectories_robustly
from ..metrics.clouds import measure_clouds, near_box
from ..metrics.dtu import measure_dtu
from ..metrics.fusion import fuse_depths, sample_mesh

__all__ = ["Cameras", "SurfaceFigures", "measure_surface"]

Cameras = Literal["own", "true"]
"""Whose cameras depth is fused with: the method's, moved onto the true ones, or the true ones."""
SurfaceFigures = dict[str, float]
"""accuracy, completeness and chamfer in units of the truth; but for DTU also precision, recall and f1 (0..1)."""

_SAMPLES = 1_000_000  # of the fused mesh, as the published benchmark draws them
_DTU_POINTS = 4_000_000  # no more are compared, as there


def measure_surface(scene: GeometryScene, estimate: Estimate, cameras: Cameras) -> SurfaceFigures | None:
    """The surface that the predicted depth makes, against the true one; None where either has none.

    Both ways the scale is that of the robust alignment of the predicted cameras with the true ones (SPEC 3.8). DTU is
    not fused: its points are those of all depth maps, without the check of consistency that the published code has
    where the cameras are the true ones. Raises MissingExtraError without Open3D.
    """
    if scene.surface is None or estimate.dense is None or not estimate.has_poses:
        return None
    if cameras == "true" and not np.isfinite(scene.intrinsics).all():
        return None
    views = list(_views(scene, estimate, estimate.dense, cameras)) if scene.dtu is not None else None
    if scene.dtu is not None and views is not None:
        found = measure_dtu(_points(views), scene.surface(), scene.dtu())
        return {"accuracy": found.accuracy, "completeness": found.completeness, "chamfer": found.chamfer}
    if scene.settings is None:
        return None
    settings, truth = scene.settings, scene.surface()
    mesh = fuse_depths(_views(scene, estimate, estimate.dense, cameras), settings)
    points = sample_mesh(*mesh, _SAMPLES)
    if settings.margin is not None:
        points = near_box(points, truth, settings.margin)
    one = measure_clouds(points, truth, settings.threshold, settings.thinning)
    parts = {"accuracy": one.accuracy, "completeness": one.completeness, "chamfer": one.chamfer}
    return parts | {"precision": one.precision, "recall": one.recall, "f1": one.f1}


def _views(
    scene: GeometryScene, estimate: Estimate, dense: DenseViews, cameras: Cameras
) -> Iterator[tuple[Float32, Float, Float]]:
    """(depth (H, W), K (3, 3), cam_from_world (3, 4)) of each view with both, in units of the truth, one at a time."""
    posed = [view for view in estimate.posed if view in dense.row]
    if not posed:
        return
    to_truth = _onto_truth(scene, estimate)
    moved = to_truth.apply_to_cameras(estimate.cam_from_world[posed])
    for place, view in enumerate(posed):
        if cameras == "true":
            truth = scene.views[view]
            depth, K, pose = dense.of_picture(view), truth.intrinsics, truth.cam_from_world
        else:
            depth, K = dense.of_pinhole(view)
            pose = moved[place]
        judged = _judged(scene, view, depth.shape)
        yield np.where(judged, depth * np.float32(to_truth.scale), np.nan).astype(np.float32), K, pose


def _onto_truth(scene: GeometryScene, estimate: Estimate) -> Sim3:
    posed = estimate.posed
    return align_trajectories_robustly(estimate.cam_from_world[posed], scene.cam_from_world[posed])


def _judged(scene: GeometryScene, view: int, shape: tuple[int, ...]) -> Bool:
    """Where the truth says something."""
    told, judged = scene.views[view], np.ones(shape, bool)
    if told.mask is not None:
        judged &= told.mask()
    if told.depth is not None:
        judged &= known(told.depth())
    return judged


def _points(views: list[tuple[Float32, Float, Float]]) -> Float:
    """(P, 3) of all depth maps, a random part of them where they are too many."""
    clouds = [np.zeros((0, 3))]
    for depth, K, cam_from_world in views:
        row, column = np.nonzero(known(depth))
        pixels = np.stack([column + 0.5, row + 0.5, np.ones(len(row))])
        rays = np.asarray(np.linalg.solve(K, pixels).T, np.float64)
        clouds.append(transform_points(invert(cam_from_world), rays * depth[row, column, None].astype(np.float64)))
    points = np.concatenate(clouds)
    if len(points) <= _DTU_POINTS:
        return points
    return points[np.random.default_rng(42).choice(len(points), _DTU_POINTS, replace=False)]
