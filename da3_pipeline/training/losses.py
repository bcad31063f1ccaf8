"""The paper's losses on depth, rays, points, depth gradients and cameras (SPEC section 5), and their targets.

Everything is expressed in the reference view's frame and divided by one scale per sample: the mean distance of the
valid points of the point map from that view's centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..model.camera import encode_pose, invert_pose

__all__ = ["Targets", "camera_loss", "confident_l1", "gradient_loss", "make_targets", "point_loss", "ray_loss"]


@dataclass(frozen=True)
class Targets:
    """Truth in the reference view's frame, scaled.

    depth (B, S, H, W), 0 where unknown; ray (B, S, h, w, 6): un-normalised world direction, then camera centre;
    points (B, S, h, w, 3) with points_valid (B, S, h, w); cam_from_world (B, S, 3, 4); encoding (B, S, 9);
    scale (B,), in the units of the given poses.
    """

    depth: Tensor
    ray: Tensor
    points: Tensor
    points_valid: Tensor
    cam_from_world: Tensor
    encoding: Tensor
    scale: Tensor


def make_targets(
    depth: Tensor, cam_from_world: Tensor, K: Tensor, reference: Tensor, ray_size: tuple[int, int]
) -> Targets:
    """From true depth (B, S, H, W), poses, intrinsics in pixels and the reference views (B,); ray maps of (h, w)."""
    height, width = depth.shape[-2:]
    first = cam_from_world[torch.arange(len(reference), device=depth.device), reference]
    world_from_reference = invert_pose(first)[:, None]
    rotation = cam_from_world[..., :3] @ world_from_reference[..., :3]
    translation = cam_from_world[..., :3] @ world_from_reference[..., 3:] + cam_from_world[..., 3:]
    world_from_cam = invert_pose(torch.cat([rotation, translation], -1))
    # the pixels of the coarser ray map cover the same image
    pixels = _pixel_centres(ray_size, (height, width), K)
    direction = (pixels @ torch.linalg.inv(K).mT) @ world_from_cam[..., :3].mT
    coarse = F.interpolate(depth, size=ray_size, mode="nearest-exact").flatten(2)
    centre = world_from_cam[..., 3]
    points = coarse[..., None] * direction + centre[:, :, None]
    valid = coarse > 0
    distance = torch.where(valid, points.norm(dim=-1), 0.0)
    scale = (distance.sum((1, 2)) / valid.sum((1, 2)).clamp_min(1)).clamp_min(1e-6)
    by_sample = scale[:, None, None, None]
    centre = centre / by_sample[..., 0]
    ray = torch.cat([direction, centre[:, :, None].expand_as(direction)], -1)
    poses = torch.cat([rotation, translation / by_sample], -1)
    encoding = encode_pose(poses, K, (height, width))
    ray, points, valid = (torch.unflatten(x, 2, ray_size) for x in (ray, points / by_sample, valid))
    return Targets(depth / by_sample, ray, points, valid, poses, encoding, scale)


def confident_l1(predicted: Tensor, truth: Tensor, confidence: Tensor, valid: Tensor, log_weight: float) -> Tensor:
    """Mean over valid pixels of confidence * |predicted - truth| - log_weight * log confidence."""
    loss = confidence * (predicted - truth).abs() - log_weight * confidence.log()
    return _mean(loss, valid)


def gradient_loss(predicted: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """L1 between the finite differences in x and in y of two depth maps (..., H, W), where both pixels are valid."""
    error = predicted - truth
    total = error.new_zeros(())
    for axis in (-1, -2):
        size = error.shape[axis] - 1
        both = valid.narrow(axis, 0, size) & valid.narrow(axis, 1, size)
        total = total + _mean(error.diff(dim=axis).abs(), both)
    return total


def ray_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """L1 between ray maps (B, S, h, w, 6); a ray is known in every pixel, the sky's too."""
    return (predicted - truth).abs().mean()


def point_loss(depth: Tensor, ray: Tensor, targets: Targets) -> Tensor:
    """L1 between the points that predicted depth (B, S, H, W) and rays (B, S, h, w, 6) make, and the true ones."""
    coarse = F.interpolate(depth, size=ray.shape[2:4], mode="bilinear", align_corners=False)
    points = coarse[..., None] * ray[..., :3] + ray[..., 3:]
    return _mean((points - targets.points).abs().mean(-1), targets.points_valid)


def camera_loss(predicted: Tensor, truth: Tensor, reference: Tensor, reference_weight: float, huber: float) -> Tensor:
    """Mean over views of the error of the pose encoding (B, S, 9): L1, or Huber's with its corner at `huber`.

    The reference view's own translation and rotation, constant by construction, weigh `reference_weight`.
    """
    error = F.smooth_l1_loss(predicted, truth, reduction="none", beta=huber)
    is_reference = torch.arange(error.shape[1], device=error.device) == reference[:, None]
    weight = torch.where(is_reference, reference_weight, 1.0)[..., None]
    pose, field_of_view = error[..., :7] * weight, error[..., 7:]
    return pose.sum() / (7 * weight.sum()) * (7 / 9) + field_of_view.mean() * (2 / 9)


def _mean(loss: Tensor, valid: Tensor) -> Tensor:
    return torch.where(valid, loss, 0.0).sum() / valid.sum().clamp_min(1)


def _pixel_centres(grid: tuple[int, int], image: tuple[int, int], like: Tensor) -> Tensor:
    """(h * w, 3) homogeneous pixels, in an image of (H, W), of the centres of an (h, w) grid over it."""
    y, x = (
        (torch.arange(cells, device=like.device, dtype=like.dtype) + 0.5) * (size / cells)
        for cells, size in zip(grid, image, strict=True)
    )
    y, x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([x, y, torch.ones_like(x)], -1).reshape(-1, 3)
