"""Linear probes on the trunk's taps: a scaffold that asks every patch and every camera token for the geometry.

The dense head and the camera decoder see the last layers only, through many layers of their own, and a small trunk
takes long to find out what they want. A probe asks each tap directly: patches for their ray and their place in the
reference view, camera tokens for their pose. Probes are thrown away after training; the paper's preset has none.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..model import ModelConfig
from ..model.trunk import TrunkOutput
from .correspondence import Correspondences
from .losses import Targets, camera_loss

__all__ = ["Probes"]


class Probes(nn.Module):
    """One linear map for the patches and one for the camera token of each tap."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, taps = 2 * config.embed_dim, len(config.out_layers)
        self.patches = nn.ModuleList(nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 8)) for _ in range(taps))
        self.cameras = nn.ModuleList(nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 9)) for _ in range(taps))
        for probe in (*self.patches, *self.cameras):
            nn.init.zeros_(probe.get_parameter("1.weight"))
            nn.init.zeros_(probe.get_parameter("1.bias"))

    def forward(self, seen: TrunkOutput, targets: Targets, truth: Correspondences, huber: float) -> Tensor:
        """Mean over the taps of L1 on the rays, L1 on the places and the camera loss.

        targets: with ray maps on the grid of the patches. Places count where the reference view sees the patch, in
        units of half the image.
        """
        size = targets.depth.shape[-1], targets.depth.shape[-2]
        rows = torch.arange(len(seen.reference_view), device=seen.reference_view.device)
        place = truth.place[rows, :, seen.reference_view] / truth.place.new_tensor(size) * 2 - 1
        visible = truth.visible[rows, :, seen.reference_view]
        ray = targets.ray.flatten(2, 3)
        losses = []
        for patches, camera, on_patch, on_camera in zip(
            seen.patches, seen.camera, self.patches, self.cameras, strict=True
        ):
            told = on_patch(patches.float())
            losses.append((told[..., :6] - ray).abs().mean())
            error = (told[..., 6:] - place.nan_to_num(0)).abs().sum(-1)
            losses.append(torch.where(visible, error, 0.0).sum() / visible.sum().clamp_min(1))
            encoding = on_camera(camera.float())
            losses.append(5 * camera_loss(encoding, targets.encoding, seen.reference_view, 0.1, huber))
        return torch.stack(losses).sum() / len(self.patches)
