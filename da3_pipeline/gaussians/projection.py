"""From Gaussians in space to ellipses in an image: EWA splatting (Zwicker et al. 2001) by the rules of gsplat."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .harmonics import basis
from .splats import PinholeView, Splats

__all__ = ["LEAST_ALPHA", "LOW_PASS_PX2", "NEAR", "Projected", "colours", "project"]

LOW_PASS_PX2 = 0.3
"""Added to both variances in the image: no ellipse is narrower than about a pixel."""

LEAST_ALPHA = 1 / 255
"""What contributes less to a pixel is not drawn there."""

NEAR = 0.01
"""Gaussians whose centre is nearer to the camera plane, in world units, are not drawn."""

_LARGEST_PX = 1e7
_FIELD_MARGIN = 0.3  # the Jacobian is taken no further outside the image than this share of half its size


@dataclass(frozen=True)
class Projected:
    """The n Gaussians that can reach the image.

    index (n,) into the splats; means_px (n, 2); covariances_px2 (n, 3): xx, xy, yy; conics (n, 3): a, b, c of their
    inverses [[a, b], [b, c]]; depths (n,) z-depth; opacities (n,); colours (n, 3) as seen from the camera;
    extents_px (n, 2): half width and half height of the box outside which alpha is below `LEAST_ALPHA`, without
    gradient.
    """

    index: Tensor
    means_px: Tensor
    covariances_px2: Tensor
    conics: Tensor
    depths: Tensor
    opacities: Tensor
    colours: Tensor
    extents_px: Tensor


def project(splats: Splats, view: PinholeView) -> Projected:
    """Project by the affine approximation at each centre; differentiable in the splats and the pose."""
    index = _drawable(splats, view)
    means, opacities = splats.means[index], splats.opacities[index]
    rotation, translation = view.cam_from_world[:, :3], view.cam_from_world[:, 3]
    centres = means @ rotation.T + translation
    # cov = U U^T of U = J R_cam R_own S: symmetric and positive by construction.
    own_axes = _rotation_matrices(splats.rotations[index]) * splats.scales[index, None, :]
    half = _jacobian(centres, view) @ (rotation @ own_axes)
    across, along = half[:, 0], half[:, 1]
    cov_xx, cov_yy = (across**2).sum(1), (along**2).sum(1)
    cov_xy = (across * along).sum(1)
    # det(U U^T) is the sum of the squared minors of U, in which nothing cancels.
    minors = (torch.linalg.cross(across, along) ** 2).sum(1)
    determinant = minors + LOW_PASS_PX2 * (cov_xx + cov_yy) + LOW_PASS_PX2**2
    cov_xx, cov_yy = cov_xx + LOW_PASS_PX2, cov_yy + LOW_PASS_PX2
    covariances = torch.stack([cov_xx, cov_xy, cov_yy], dim=1)
    conics = torch.stack([cov_yy / determinant, -cov_xy / determinant, cov_xx / determinant], dim=1)
    depths = centres[:, 2]
    focal, principal = centres.new_tensor(view.focal_px), centres.new_tensor(view.centre_px)
    means_px = centres[:, :2] / depths[:, None] * focal + principal
    with torch.no_grad():
        reach = 2 * torch.log(opacities / LEAST_ALPHA).clamp_min(0)
        extents = torch.sqrt(reach[:, None] * covariances[:, [0, 2]])
        size = means_px.new_tensor([view.width, view.height])
        seen = torch.nonzero(((means_px + extents > 0) & (means_px - extents < size)).all(1))[:, 0]
    shown = colours(means[seen], splats.harmonics[index[seen]], view)
    ellipses = (means_px[seen], covariances[seen], conics[seen], depths[seen], opacities[seen])
    return Projected(index[seen], *ellipses, shown, extents[seen])


@torch.no_grad()
def _drawable(splats: Splats, view: PinholeView) -> Tensor:
    """Indices of the Gaussians in front of the camera that are opaque enough to be seen, finite, and not so large that
    their square overflows. Choosing them first keeps the others out of the gradients."""
    depths = splats.means @ view.cam_from_world[2, :3] + view.cam_from_world[2, 3]
    chosen = (depths > NEAR) & (splats.opacities >= LEAST_ALPHA) & torch.isfinite(splats.harmonics.sum((1, 2)))
    chosen &= torch.isfinite(splats.means.sum(1)) & torch.isfinite(splats.rotations.sum(1) + splats.opacities)
    size_px = splats.scales.abs().amax(1) * max(view.focal_px) / depths  # NaN where a scale is, and so not chosen
    return torch.nonzero(chosen & (size_px < _LARGEST_PX))[:, 0]


def colours(means: Tensor, harmonics: Tensor, view: PinholeView) -> Tensor:
    """(n, 3) colours of Gaussians at (n, 3) with harmonics (n, 3, K), from 0 up, as the view's camera sees them."""
    camera_centre = -view.cam_from_world[:, 3] @ view.cam_from_world[:, :3]
    x, y, z = torch.nn.functional.normalize(means - camera_centre, dim=1).unbind(1)
    values = torch.stack(basis(x, y, z, harmonics.shape[2]), dim=1)
    return ((harmonics @ values[:, :, None])[:, :, 0] + 0.5).clamp_min(0)


def _jacobian(centres: Tensor, view: PinholeView) -> Tensor:
    """(n, 2, 3) derivative of the projection at (n, 3) camera points, held at the margin of the field of view."""
    x, y, z = centres.unbind(1)
    slopes = []
    for value, focal, principal, size in zip(
        (x, y), view.focal_px, view.centre_px, (view.width, view.height), strict=True
    ):
        margin = _FIELD_MARGIN * 0.5 * size / focal
        slopes.append((value / z).clamp(-principal / focal - margin, (size - principal) / focal + margin))
    inverse, zero = 1 / z, torch.zeros_like(z)
    focal_x, focal_y = view.focal_px
    first = torch.stack([focal_x * inverse, zero, -focal_x * slopes[0] * inverse], dim=1)
    second = torch.stack([zero, focal_y * inverse, -focal_y * slopes[1] * inverse], dim=1)
    return torch.stack([first, second], dim=1)


def _rotation_matrices(quaternions: Tensor) -> Tensor:
    """(n, 3, 3) of (n, 4) w, x, y, z of any length."""
    w, x, y, z = torch.nn.functional.normalize(quaternions, dim=1).unbind(1)
    entries = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(entries, dim=1).reshape(-1, 3, 3)
