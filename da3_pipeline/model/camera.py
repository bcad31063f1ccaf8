"""Cameras into and out of the network: encoder, decoder, and the nine numbers that they speak (SPEC 1.3, 1.4, 3.3).

A camera is encoded as its translation, quaternion (x, y, z, w) and field of view (height, width) in radians. The pose
that is encoded is camera-to-world; the principal point is the image centre. Known poses reach the encoder in the form
in which it was trained to see them, which `normalise_poses` makes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .config import CAMERA_ENCODER_HEADS
from .layers import Block, Mlp

__all__ = [
    "CameraDecoder",
    "CameraEncoder",
    "decode_pose",
    "encode_pose",
    "invert_pose",
    "normalise_poses",
    "quaternion_from_rotation",
    "rotation_from_quaternion",
]

_LEAST_UNIT = 0.1
_LEAST_TANGENT = 1e-6


class CameraEncoder(nn.Module):
    """Camera tokens from known cameras: an MLP on each view's encoding, then attention over the views."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.pose_branch = Mlp(9, width // 2, width)
        self.token_norm = nn.LayerNorm(width)
        self.trunk = nn.Sequential(
            *(Block(width, CAMERA_ENCODER_HEADS, norm_eps=1e-5, layer_scale=0.01) for _ in range(blocks))
        )
        self.trunk_norm = nn.LayerNorm(width)

    def forward(self, cam_from_world: Tensor, intrinsics: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, S, C) tokens of (B, S, 3, 4) poses and (B, S, 3, 3) intrinsics for images of `size` (H, W)."""
        tokens = self.token_norm(self.pose_branch(encode_pose(cam_from_world, intrinsics, size)))
        return self.trunk_norm(self.trunk(tokens))


class CameraDecoder(nn.Module):
    """The pose encoding (..., 9) of each view from its camera token (..., width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.fc_t = nn.Linear(width, 3)
        self.fc_qvec = nn.Linear(width, 4)
        self.fc_fov = nn.Sequential(nn.Linear(width, 2), nn.ReLU())

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.backbone(tokens)
        return torch.cat([self.fc_t(hidden), self.fc_qvec(hidden), self.fc_fov(hidden)], dim=-1)


def normalise_poses(cam_from_world: Tensor) -> Tensor:
    """(B, S, 3, 4) poses with the first camera as world and the typical distance to it as unit.

    cam_from_world (B, S, 3 or 4, 4), any rigid frame and scale. The unit is the lower median of the camera
    centres' distances to the first (its own zero included), at least 0.1 of the given units.
    """
    rotation, translation = cam_from_world[..., :3, :3], cam_from_world[..., :3, 3:]
    from_first = invert_pose(cam_from_world[:, :1])
    rotation, translation = rotation @ from_first[..., :3], rotation @ from_first[..., 3:] + translation
    # Distances from the first centre are the lengths of the relative translations, which rotations preserve.
    unit = translation.flatten(2).norm(dim=-1).median(dim=1).values.clamp_min(_LEAST_UNIT)
    return torch.cat([rotation, translation / unit[:, None, None, None]], dim=-1)


def encode_pose(cam_from_world: Tensor, intrinsics: Tensor, size: tuple[int, int]) -> Tensor:
    """(..., 9) encoding of (..., 3, 4) poses and (..., 3, 3) intrinsics in pixels of an image of `size` (H, W)."""
    world_from_cam = invert_pose(cam_from_world)
    half = torch.tensor(size, dtype=intrinsics.dtype, device=intrinsics.device) / 2
    focal = torch.stack([intrinsics[..., 1, 1], intrinsics[..., 0, 0]], dim=-1)
    quaternion = quaternion_from_rotation(world_from_cam[..., :3])
    return torch.cat([world_from_cam[..., 3], quaternion, 2 * torch.atan(half / focal)], dim=-1)


def decode_pose(encoding: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """cam_from_world (..., 3, 4) and intrinsics (..., 3, 3) in pixels of an image of `size` (H, W)."""
    world_from_cam = torch.cat([rotation_from_quaternion(encoding[..., 3:7]), encoding[..., :3, None]], dim=-1)
    half = torch.tensor(size, dtype=encoding.dtype, device=encoding.device) / 2
    fy, fx = (half / torch.tan(encoding[..., 7:] / 2).clamp_min(_LEAST_TANGENT)).unbind(-1)
    zero, one = torch.zeros_like(fx), torch.ones_like(fx)
    rows = (fx, zero, half[1].expand_as(fx), zero, fy, half[0].expand_as(fx), zero, zero, one)
    return invert_pose(world_from_cam), torch.unflatten(torch.stack(rows, dim=-1), -1, (3, 3))


def invert_pose(pose: Tensor) -> Tensor:
    """The inverse (..., 3, 4) of rigid (..., 3, 4) or (..., 4, 4) poses."""
    rotation = pose[..., :3, :3].mT
    return torch.cat([rotation, -rotation @ pose[..., :3, 3:]], dim=-1)


def rotation_from_quaternion(quaternion: Tensor) -> Tensor:
    """(..., 3, 3) rotation of a (..., 4) quaternion x, y, z, w of any length but zero."""
    x, y, z, w = quaternion.unbind(-1)
    s = 2 / quaternion.square().sum(-1)
    rows = (
        (1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)),
        (s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)),
        (s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def quaternion_from_rotation(rotation: Tensor) -> Tensor:
    """(..., 4) unit quaternion x, y, z, w with w >= 0 of (..., 3, 3) rotations.

    Each of the four components can serve as the divisor; the largest is taken, so that none is divided by
    a number near zero.
    """
    (m00, m01, m02), (m10, m11, m12), (m20, m21, m22) = (row.unbind(-1) for row in rotation.unbind(-2))
    diagonals = torch.stack([1 + m00 - m11 - m22, 1 - m00 + m11 - m22, 1 - m00 - m11 + m22, 1 + m00 + m11 + m22], -1)
    # The root has no finite gradient at zero, where its value is not used anyway.
    double = torch.where(diagonals > 0, diagonals, 1.0).sqrt() * (diagonals > 0)
    x2, y2, z2, w2 = double.square().unbind(-1)
    candidates = torch.stack(
        [
            torch.stack([x2, m10 + m01, m02 + m20, m21 - m12], -1),
            torch.stack([m10 + m01, y2, m12 + m21, m02 - m20], -1),
            torch.stack([m20 + m02, m21 + m12, z2, m10 - m01], -1),
            torch.stack([m21 - m12, m02 - m20, m10 - m01, w2], -1),
        ],
        dim=-2,
    ) / (2 * double.clamp_min(0.1)[..., None])
    best = double.argmax(-1)[..., None, None].expand(*double.shape[:-1], 1, 4)
    quaternion = candidates.gather(-2, best).squeeze(-2)
    return torch.where(quaternion[..., 3:] < 0, -quaternion, quaternion)
