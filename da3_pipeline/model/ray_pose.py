"""Cameras from ray maps: a robust homography per view, split into rotation and intrinsics (SPEC 1.9).

A ray map holds d = R K^-1 p and the camera centre for each pixel. With p on the plane where the image spans
[-1, 1] in both axes, H = R K^-1 takes p to d up to scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .camera import invert_pose

__all__ = ["RayPoseOptions", "cameras_from_rays"]

_LEAST_DEPTH = 1e-4
_VIEWS_AT_ONCE = 2
_MINIMAL = 4


@dataclass(frozen=True)
class RayPoseOptions:
    """How cameras are fitted to rays.

    decomposition: 'published' splits H into an orthogonal and a *lower* triangular factor as the published
        code does, which is right for a centred principal point only; 'exact' takes the upper triangular
        factor that H = R K^-1 has, and recovers the principal point.
    generator: source of the random subsets, on the CPU; None draws from torch's global one as published.
    """

    decomposition: Literal["published", "exact"] = "published"
    subsets: int = 100
    subset_size: int = 8
    candidate_share: float = 0.3
    inlier_distance: float = 0.2
    refit_points: int = 8000
    generator: torch.Generator | None = None


def cameras_from_rays(
    ray: Tensor, conf: Tensor, size: tuple[int, int], options: RayPoseOptions | None = None
) -> tuple[Tensor, Tensor]:
    """cam_from_world (B, S, 3, 4) and intrinsics (B, S, 3, 3) in pixels of an image of `size` (H, W).

    ray (B, S, h, w, 6): direction, origin; conf (B, S, h, w) > 0. Skew is not modelled.
    """
    options = options or RayPoseOptions()
    directions, weights = ray[..., :3].flatten(0, 1).flatten(1, 2), conf.flatten(0, 1).flatten(1)
    homography = _homographies(_plane(ray.shape[2], ray.shape[3], ray), directions, weights, options)
    split = _split_published if options.decomposition == "published" else _split_exact
    rotation, focal, principal = split(homography)
    weight = conf[..., None]
    centre = (ray[..., 3:] * weight).sum((2, 3)) / weight.sum((2, 3))
    world_from_cam = torch.cat([torch.unflatten(rotation, 0, ray.shape[:2]), centre[..., None]], dim=-1)
    half = torch.tensor([size[1], size[0]], dtype=ray.dtype, device=ray.device) / 2
    intrinsics = torch.diag_embed(torch.cat([focal * half, torch.ones_like(focal[:, :1])], dim=-1))
    intrinsics[:, :2, 2] = (principal + 1) * half
    return invert_pose(world_from_cam), torch.unflatten(intrinsics, 0, ray.shape[:2])


def _plane(height: int, width: int, like: Tensor) -> Tensor:
    """(h * w, 2) pixel centres x, y in [-1, 1]."""
    x, y = (
        torch.linspace(1 / side - 1, 1 - 1 / side, side, dtype=like.dtype, device=like.device)
        for side in (width, height)
    )
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).flatten(0, 1)


def _homographies(plane: Tensor, directions: Tensor, weights: Tensor, options: RayPoseOptions) -> Tensor:
    """(N, 3, 3), determinant >= 0, from plane (P, 2) to directions (N, P, 3) with weights (N, P)."""
    ahead = directions[..., 2].abs() > _LEAST_DEPTH
    targets = directions[..., :2] / torch.where(ahead, directions[..., 2], 1.0)[..., None]
    weights = weights * ahead
    count = max(options.subset_size, int(options.candidate_share * len(plane)))
    subsets = torch.stack(
        [torch.randperm(count, generator=options.generator)[: options.subset_size] for _ in range(options.subsets)]
    ).to(plane.device)
    chunks = zip(torch.split(targets, _VIEWS_AT_ONCE), torch.split(weights, _VIEWS_AT_ONCE), strict=True)
    return torch.cat([_robust_fit(plane, *chunk, subsets, options) for chunk in chunks])


def _robust_fit(plane: Tensor, targets: Tensor, weights: Tensor, subsets: Tensor, options: RayPoseOptions) -> Tensor:
    """The homography of the subset with the most confident inliers, fitted again to those inliers."""
    count = max(options.subset_size, int(options.candidate_share * len(plane)))
    chosen = weights.argsort(dim=1, descending=True)[:, :count][:, subsets]
    view = torch.arange(len(weights), device=weights.device)[:, None, None]
    trial = _fit(plane[chosen], targets[view, chosen], weights[view, chosen])
    inliers = _distance(trial, plane, targets[:, None]) < options.inlier_distance
    best = (inliers * weights[:, None]).sum(-1).argmax(-1)
    fitted = []
    for index, choice in enumerate(best.tolist()):
        kept = inliers[index, choice].nonzero().squeeze(-1)
        kept = (
            _thin(kept, weights[index], options)
            if len(kept) >= _MINIMAL
            else torch.arange(len(plane), device=kept.device)
        )
        fitted.append(_fit(plane[kept], targets[index, kept], weights[index, kept]))
    homography = torch.stack(fitted)
    return torch.where(torch.linalg.det(homography)[:, None, None] < 0, -homography, homography)


def _thin(kept: Tensor, weights: Tensor, options: RayPoseOptions) -> Tensor:
    """At most `refit_points` of the points, drawn from the more confident 95 %."""
    if len(kept) <= options.refit_points:
        return kept
    pool = max(options.refit_points, int(0.95 * len(kept)))
    confident = kept[weights[kept].argsort(descending=True)[:pool]]
    return confident[torch.randperm(pool, generator=options.generator)[: options.refit_points].to(kept.device)]


def _fit(source: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Weighted direct linear transform (..., 3, 3) of (..., P, 2) points, lower right entry 1."""
    x, y = source.unbind(-1)
    u, v = target.unbind(-1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    first = torch.stack([-x, -y, -one, zero, zero, zero, x * u, y * u, u], dim=-1)
    second = torch.stack([zero, zero, zero, -x, -y, -one, x * v, y * v, v], dim=-1)
    root = weights.sqrt()[..., None]
    # The right singular vectors need the short side only when there are fewer rows than columns.
    system = torch.cat([first * root, second * root], dim=-2)
    solution = torch.linalg.svd(system, full_matrices=False).Vh[..., -1, :]
    return torch.unflatten(solution / solution[..., 8:], -1, (3, 3))


def _distance(homography: Tensor, plane: Tensor, targets: Tensor) -> Tensor:
    """(N, trials, P) distance of mapped plane points (P, 2) to targets (N, 1, P, 2)."""
    mapped = torch.cat([plane, torch.ones_like(plane[:, :1])], dim=-1) @ homography.mT
    return (mapped[..., :2] / mapped[..., 2:] - targets).norm(dim=-1)


def _split_published(homography: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rotation, focal lengths and principal point, in half image sizes, from H = Q L with L lower triangular."""
    q, r = torch.linalg.qr(homography.flip(-1))
    rotation, lower = _positive_diagonal(q.flip(-1), r.flip(-1, -2))
    lower = lower / lower[:, 2:, 2:]
    return rotation, 1 / lower[:, [0, 1], [0, 1]], lower[:, 2, :2]


def _split_exact(homography: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same from H = R K^-1, whose second factor is upper triangular."""
    rotation, upper = _positive_diagonal(*torch.linalg.qr(homography))
    upper = upper / upper[:, 2:, 2:]
    focal = 1 / upper[:, [0, 1], [0, 1]]
    cy = -upper[:, 1, 2] * focal[:, 1]
    cx = -(upper[:, 0, 2] + upper[:, 0, 1] * cy) * focal[:, 0]
    return rotation, focal, torch.stack([cx, cy], dim=-1)


def _positive_diagonal(orthogonal: Tensor, triangular: Tensor) -> tuple[Tensor, Tensor]:
    signs = torch.diagonal(triangular, dim1=-2, dim2=-1).sign()
    return orthogonal * signs[:, None], triangular * signs[..., None]
