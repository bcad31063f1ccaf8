"""The camera encoder, which tells the trunk of known poses, and the camera decoder (SPEC 1.3, 1.4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .config import CAMERA_ENCODER_HEADS
from .layers import Block, Mlp
from .pose_encoding import encode_pose

__all__ = ["CameraDecoder", "CameraEncoder"]

_BLOCKS = 4


class CameraEncoder(nn.Module):
    """Camera tokens from known cameras: an MLP on each view's encoding, then attention over the views."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pose_branch = Mlp(9, width // 2, width)
        self.token_norm = nn.LayerNorm(width)
        self.trunk = nn.Sequential(
            *(Block(width, CAMERA_ENCODER_HEADS, norm_eps=1e-5, layer_scale=0.01) for _ in range(_BLOCKS))
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
