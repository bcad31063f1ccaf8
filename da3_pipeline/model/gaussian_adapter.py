"""From a pixel's raw parameters to a Gaussian in the world (SPEC 1.7).

Colours are real spherical harmonics of degree 0 to 2 in the order and sign of 3D Gaussian splatting: degree 1 is
(-y, z, -x) and degree 2 (xy, -yz, 2zz - xx - yy, -xz, xx - yy), each up to a positive factor that makes the basis
orthogonal and equally long. They are predicted in the camera's axes and turned with it into the world's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from .camera import invert_pose, quaternion_from_rotation, rotation_from_quaternion

__all__ = ["GaussianOptions", "Gaussians", "place_gaussians", "rotate_harmonics", "scale_to_given"]

_CHANNELS = [2, 3, 4, 27, 1]
_LEAST_SCALE, _GREATEST_SCALE, _PIXEL_SHARE = 1e-5, 30.0, 0.1
_BAND_GAINS = (1.0, *[0.025] * 3, *[0.00625] * 5)
_GREATEST_ALIGNMENT = 3.0

# Harmonics of degree 1 as vectors v (v . d), of degree 2 as matrices M (d . M d).
_LINEAR = ((0.0, -1.0, 0.0), (0.0, 0.0, 1.0), (-1.0, 0.0, 0.0))
_HALF, _SIXTH = 0.5**0.5, 6**-0.5
_QUADRATIC = (
    ((0.0, _HALF, 0.0), (_HALF, 0.0, 0.0), (0.0, 0.0, 0.0)),
    ((0.0, 0.0, 0.0), (0.0, 0.0, -_HALF), (0.0, -_HALF, 0.0)),
    ((-_SIXTH, 0.0, 0.0), (0.0, -_SIXTH, 0.0), (0.0, 0.0, 2 * _SIXTH)),
    ((0.0, 0.0, -_HALF), (0.0, 0.0, 0.0), (-_HALF, 0.0, 0.0)),
    ((_HALF, 0.0, 0.0), (0.0, -_HALF, 0.0), (0.0, 0.0, 0.0)),
)


@dataclass(frozen=True)
class GaussianOptions:
    """How Gaussians are placed in the world.

    rotation: 'published' composes the camera's rotation with quaternions whose components are in another order than
        they are stored in, as the published code does and as its weights were trained; 'exact' is the rotation that
        the raw quaternion means.
    follow_given: where cameras were given, scale the Gaussians to these (by at most 3), as published; otherwise
        they stay in the world of the predicted cameras.
    in_metres: scale the Gaussians of a nested network as its depth and cameras are scaled; the published code
        leaves them in the units of its any-view half.
    """

    rotation: Literal["published", "exact"] = "published"
    follow_given: bool = True
    in_metres: bool = False


@dataclass(frozen=True)
class Gaussians:
    """G = S * H * W Gaussians of each of B sets, views one after the other, rows by rows.

    means (B, G, 3) and scales (B, G, 3) in units of the world; rotations (B, G, 4) unit quaternions w, x, y, z,
    world from own axes; harmonics (B, G, 3, 9): spherical harmonics of the colour, red, green, blue, in the order
    and sign of 3D Gaussian splatting; opacities (B, G) in 0..1.
    """

    means: Tensor
    scales: Tensor
    rotations: Tensor
    harmonics: Tensor
    opacities: Tensor

    def scaled(self, by: Tensor) -> Gaussians:
        """The same in a world of other units: lengths times the (B,) factors."""
        factor = by.to(self.means)[:, None, None]
        return replace(self, means=self.means * factor, scales=self.scales * factor)


def place_gaussians(
    raw: Tensor,
    opacity: Tensor,
    depth: Tensor,
    cam_from_world: Tensor,
    intrinsics: Tensor,
    exact_rotation: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """means, scales, rotations, harmonics and opacities (N, H*W, ...) of N views.

    raw (N, H, W, 37): offset in pixels, logits of the scales, quaternion x, y, z, w, harmonics, offset in depth.
    opacity and depth (N, H, W). As trained, depth counts along the ray here, not along the optical axis.
    """
    height, width = depth.shape[1:]
    offset, scale_logits, quaternion, harmonics, depth_offset = torch.split(raw.flatten(1, 2), _CHANNELS, dim=-1)
    world_from_cam = invert_pose(cam_from_world)
    rotation = world_from_cam[:, :, :3]
    distance = depth.flatten(1)[..., None] + depth_offset
    x, y = (torch.arange(side, dtype=raw.dtype, device=raw.device) + 0.5 for side in (width, height))
    pixels = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).flatten(0, 1) + offset
    directions = _directions(pixels, intrinsics) @ rotation.mT
    means = world_from_cam[:, None, :, 3] + directions * distance
    sizes = _LEAST_SCALE + (_GREATEST_SCALE - _LEAST_SCALE) * scale_logits.sigmoid()
    focal = torch.diagonal(intrinsics, dim1=-2, dim2=-1)[:, :2]
    scales = sizes * distance * _PIXEL_SHARE * (1 / focal).sum(-1)[:, None, None]
    bands = torch.unflatten(harmonics, -1, (3, 9)) * torch.tensor(_BAND_GAINS, dtype=raw.dtype, device=raw.device)
    turned = _world_rotations(quaternion, rotation[:, None], exact_rotation)
    return means, scales, turned, rotate_harmonics(bands, rotation), opacity.flatten(1)


def scale_to_given(predicted: Tensor, given: Tensor) -> Tensor:
    """(B,) how much longer the given cameras' world is than that of the predicted ones, between 1/3 and 3.

    cam_from_world (B, S, 3 or 4, 4) each, by least squares on the centres. 1 for a single camera, where the published
    code stumbles and falls back to the same; for centres in a line their extent decides, where it falls back to 1.
    """
    from ..geometry import centres, umeyama  # which imports far more than a network needs

    ours, theirs = (poses.detach().cpu().double().numpy()[:, :, :3] for poses in (predicted, given))
    pairs = zip(ours, theirs, strict=True)
    scales = torch.tensor([umeyama(centres(source), centres(target)).scale for source, target in pairs])
    return scales.clamp(1 / _GREATEST_ALIGNMENT, _GREATEST_ALIGNMENT).to(predicted)


def rotate_harmonics(coefficients: Tensor, rotation: Tensor) -> Tensor:
    """Coefficients (N, ..., 9) of functions on the sphere, each turned by its (N, 3, 3) rotation.

    The result at direction R d equals the given function at d. A rotation acts on degree 1 as on vectors and on
    degree 2 as on symmetric traceless matrices, which gives its matrix (the real Wigner D) without angles.
    """
    first = torch.tensor(_LINEAR, dtype=rotation.dtype, device=rotation.device)
    second = torch.tensor(_QUADRATIC, dtype=rotation.dtype, device=rotation.device)
    vectors = first @ rotation @ first.mT
    turned = rotation[:, None] @ second @ rotation[:, None].mT
    matrices = torch.einsum("mij,nkij->nmk", second, turned)
    bands = coefficients[..., 1:4], coefficients[..., 4:]
    moved = [torch.einsum("nmk,n...k->n...m", by, band) for by, band in zip((vectors, matrices), bands, strict=True)]
    return torch.cat([coefficients[..., :1], *moved], dim=-1)


def _directions(pixels: Tensor, intrinsics: Tensor) -> Tensor:
    """(N, P, 3) unit directions in camera axes of (N, P, 2) pixels."""
    homogeneous = torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=-1)
    return torch.nn.functional.normalize(homogeneous @ torch.linalg.inv(intrinsics).mT, dim=-1)


def _world_rotations(quaternion: Tensor, rotation: Tensor, exact: bool) -> Tensor:
    """(N, P, 4) quaternions w, x, y, z of the rotations (N, 1, 3, 3) after raw quaternions x, y, z, w."""
    order = [3, 0, 1, 2]
    if exact:
        return quaternion_from_rotation(rotation @ rotation_from_quaternion(quaternion))[..., order]
    return quaternion_from_rotation(rotation @ rotation_from_quaternion(quaternion[..., order]))
