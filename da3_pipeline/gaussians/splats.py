"""What the renderers work on: Gaussians and a view as tensors, on any device, with or without gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..arrays import Float
from ..errors import UsageError
from ..geometry import Camera
from ..types import GaussianCloud

__all__ = ["PinholeView", "Splats", "pinhole_view", "splats_of"]


@dataclass(frozen=True)
class Splats:
    """G Gaussians: means (G, 3), scales (G, 3), rotations (G, 4) w x y z of any length, harmonics (G, 3, K),
    opacities (G,) in 0..1; as in `GaussianCloud`."""

    means: Tensor
    scales: Tensor
    rotations: Tensor
    harmonics: Tensor
    opacities: Tensor


@dataclass(frozen=True)
class PinholeView:
    """cam_from_world (3, 4); focal lengths and principal point in pixels (corner origin, centres at +0.5)."""

    cam_from_world: Tensor
    focal_px: tuple[float, float]
    centre_px: tuple[float, float]
    width: int
    height: int


def splats_of(cloud: GaussianCloud, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Splats:
    """The tensors of a cloud; on the CPU and in float32 they may share its memory."""
    arrays = (cloud.means, cloud.scales, cloud.rotations, cloud.harmonics, cloud.opacities)
    return Splats(*(torch.as_tensor(array, dtype=dtype, device=device) for array in arrays))


def pinhole_view(
    camera: Camera,
    cam_from_world: Float,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> PinholeView:
    """The view of a camera without its distortion: what is rendered are undistorted pictures of the same size.

    Raises UsageError for a camera without a focal length (EQUIRECTANGULAR).
    """
    try:
        K = camera.K
    except ValueError as error:
        raise UsageError(f"a {camera.model} camera cannot be rendered: give one with a focal length") from error
    return PinholeView(
        torch.as_tensor(np.asarray(cam_from_world), dtype=dtype, device=device),
        (float(K[0, 0]), float(K[1, 1])),
        (float(K[0, 2]), float(K[1, 2])),
        camera.width,
        camera.height,
    )
