"""Weights and inputs that depend on nothing but names, shapes and seeds: those on which the golden files were made.

Any implementation whose parameters have the published names and shapes gets the same weights from it.
"""

from __future__ import annotations

import math
import zlib

import torch
from torch import Tensor, nn

__all__ = ["cameras", "fill", "images", "weight"]


@torch.no_grad()
def fill(net: nn.Module) -> None:
    """Replace every weight. In the order of the names: of names that share a tensor the last counts."""
    state = net.state_dict()
    for key in sorted(state):
        state[key].copy_(weight(key, tuple(state[key].shape)))


def weight(key: str, shape: tuple[int, ...]) -> Tensor:
    """The values of one parameter."""
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(key.encode())))
    last = key.rpartition(".")[2]
    to_camera = ("cam_dec.fc_t.weight", "cam_dec.fc_qvec.weight", "cam_dec.fc_fov.0.weight")
    if last == "gamma":
        return 0.5 + 0.05 * noise
    if last in ("cls_token", "camera_token"):
        return 0.5 * noise
    if last == "pos_embed":
        return 0.2 * noise
    if key.endswith("cam_dec.fc_fov.0.bias"):
        return 1.0 + 0.02 * noise
    if key.endswith("cam_dec.fc_qvec.bias"):
        return torch.tensor([0.0, 0.0, 0.0, 1.0]) + 0.02 * noise
    if last == "bias":
        return 0.02 * noise
    if len(shape) == 1:
        return 1.0 + 0.1 * noise
    gain = 0.3 if key.endswith(to_camera) else 0.5 if ".resConfUnit" in key else 1.0
    return gain * noise / math.sqrt(math.prod(shape[1:]))


def images(count: int, height: int, width: int, seed: int) -> Tensor:
    """Smooth images (1, n, 3, h, w), different in each view, of about unit variance."""
    rng = torch.Generator().manual_seed(seed)
    base = torch.randn((1, 3, 12, 16), generator=rng)
    per_view = torch.randn((count, 3, 24, 32), generator=rng)
    fine = torch.randn((count, 3, height, width), generator=rng)

    def enlarged(x: Tensor) -> Tensor:
        return torch.nn.functional.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)

    return (enlarged(base) + 0.6 * enlarged(per_view) + 0.1 * fine)[None]


def cameras(count: int, height: int, width: int, seed: int, unit: float = 1.0) -> tuple[Tensor, Tensor]:
    """Poses (1, n, 4, 4), the first the identity, the others about `unit` away, and intrinsics (1, n, 3, 3)."""
    rng = torch.Generator().manual_seed(seed)
    poses = torch.eye(4, dtype=torch.float64).repeat(count, 1, 1)
    for index in range(count):
        axis_angle = 0.25 * torch.randn(3, generator=rng, dtype=torch.float64)
        translation = torch.randn(3, generator=rng, dtype=torch.float64)
        if index:
            skew = torch.linalg.cross(torch.eye(3, dtype=torch.float64), axis_angle[None])
            poses[index, :3, :3] = torch.linalg.matrix_exp(skew)
            poses[index, :3, 3] = unit * translation
    focal = 0.9 * width
    intrinsics = torch.tensor([[focal, 0, width / 2 + 3.0], [0, focal * 1.02, height / 2 - 2.0], [0, 0, 1.0]])
    return poses.float()[None], intrinsics.repeat(1, count, 1, 1)
