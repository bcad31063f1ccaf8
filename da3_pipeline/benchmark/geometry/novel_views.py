"""Views that a method was not given, rendered from its poses and points: what they are worth to a splat.

Splats are trained on the given views, by the method's cameras moved onto the true ones, and compared with the targets'
photographs from the true cameras: errors of poses and of geometry count, and shifts between the two worlds, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...arrays import Bytes, Float
from ...geometry import Camera, invert, transform_points
from ...geometry.metrics.depth import known
from ..datasets.contract import GeometryScene, SceneView
from ..methods.contract import DenseViews, Estimate
from ..metrics.alignment import align_trajectories_robustly

if TYPE_CHECKING:
    from torch import Tensor

    from ..rendering.splat_trainer import TargetView

__all__ = ["NovelViewOptions", "NovelViews", "measure_novel_views"]

NovelViews = dict[str, float | None]
"""psnr_db, ssim and lpips (None where it cannot be measured), means over the targets."""

_LEAST = 2  # views, and points, to train on
_NOTHING = np.zeros((0, 3)), np.zeros((0, 3), np.uint8)


@dataclass(frozen=True)
class NovelViewOptions:
    """width_px: of all pictures; 480 is the paper's. seeds: at most, drawn from the method's points or depth.
    iterations, gaussians, device: of the trainer of docs/RENDERING.md, the same for all methods."""

    width_px: int = 480
    seeds: int = 20_000
    iterations: int = 300
    gaussians: int = 20_000
    device: str = "cpu"


def measure_novel_views(
    scene: GeometryScene, estimate: Estimate, options: NovelViewOptions | None = None
) -> NovelViews | None:
    """PSNR, SSIM and LPIPS on the scene's targets; None where it has none. A method without poses, or without points
    and depth, has nothing to show: its pictures are black."""
    if not scene.targets:
        return None
    from ..rendering.image_quality import lpips_metric, psnr_db, ssim

    options = options or NovelViewOptions()
    targets = [_of_scene(view, view.cam_from_world, view.intrinsics, options) for view in scene.targets]
    pictures, lpips = _rendered(scene, estimate, targets, options), lpips_metric()
    pairs = list(zip(pictures, [target.photograph for target in targets], strict=True))
    return {
        "psnr_db": float(np.mean([psnr_db(*pair) for pair in pairs])),
        "ssim": float(np.mean([float(ssim(*pair)) for pair in pairs])),
        "lpips": float(np.mean([lpips(*pair) for pair in pairs])) if lpips else None,
    }


def _rendered(
    scene: GeometryScene, estimate: Estimate, targets: Sequence[TargetView], options: NovelViewOptions
) -> list[Tensor]:
    """(H, W, 3) of each target."""
    import torch

    from ...gaussians import rasterise
    from ..rendering.splat_trainer import TrainerOptions, train_splats

    posed = estimate.posed
    points, colours = _seeds(scene, estimate, options.seeds)
    if len(posed) < _LEAST or len(points) < _LEAST:
        return [torch.zeros_like(target.photograph) for target in targets]
    onto_truth = align_trajectories_robustly(estimate.cam_from_world[posed], scene.cam_from_world[posed])
    moved = onto_truth.apply_to_cameras(estimate.cam_from_world[posed])
    training = [
        _of_scene(scene.views[view], pose, _matrix(scene, estimate, view), options)
        for view, pose in zip(posed, moved, strict=True)
    ]
    trainer = TrainerOptions(options.iterations, options.gaussians, device=options.device)
    splats = train_splats(training, onto_truth.apply(points), colours, trainer, seed=0).splats
    with torch.no_grad():
        return [rasterise(splats, target.view).image.clamp(0, 1) for target in targets]


def _of_scene(view: SceneView, cam_from_world: Float, matrix: Float, options: NovelViewOptions) -> TargetView:
    from ..rendering.posed_scene import target_view

    picture = view.image()
    camera = Camera.from_matrix(matrix, picture.shape[1], picture.shape[0])
    made = target_view(picture, camera, cam_from_world, options.width_px)
    placed = replace(made.view, cam_from_world=made.view.cam_from_world.to(options.device))
    return replace(made, photograph=made.photograph.to(options.device), view=placed)


def _matrix(scene: GeometryScene, estimate: Estimate, view: int) -> Float:
    """(3, 3) of the method's camera; the true one where it tells none."""
    if estimate.dense is None or view not in estimate.dense.row:
        return scene.views[view].intrinsics
    return estimate.dense.cameras[estimate.dense.row[view]].K


def _seeds(scene: GeometryScene, estimate: Estimate, most: int) -> tuple[Float, Bytes]:
    """(P, 3) points in the method's world and their colours: those that it matched, else those of its depth maps."""
    rng = np.random.default_rng(0)
    points, colours = _NOTHING
    if estimate.points is not None and estimate.colours is not None:
        points, colours = estimate.points, estimate.colours
    elif estimate.dense is not None:
        views = [view for view in estimate.posed if view in estimate.dense.row]
        share = -(-most // max(len(views), 1))
        clouds = [_of_depth(scene.views[v], estimate.dense, v, estimate.cam_from_world[v], share, rng) for v in views]
        points, colours = (np.concatenate(parts) for parts in zip(_NOTHING, *clouds, strict=True))
    chosen = np.sort(rng.permutation(len(points))[:most])
    return points[chosen], colours[chosen]


def _of_depth(
    view: SceneView, dense: DenseViews, index: int, cam_from_world: Float, most: int, rng: np.random.Generator
) -> tuple[Float, Bytes]:
    """At most so many points of one depth map, with the colours of the picture."""
    depth, K = dense.of_pinhole(index)
    row, column = np.nonzero(known(depth))
    drawn = rng.permutation(len(row))[:most]
    row, column = row[drawn], column[drawn]
    rays = np.asarray(np.linalg.solve(K, np.stack([column + 0.5, row + 0.5, np.ones(len(row))])).T, np.float64)
    places = transform_points(invert(cam_from_world), rays * depth[row, column, None].astype(np.float64))
    return places, view.image()[row, column]
