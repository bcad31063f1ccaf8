"""Depth for a student from the teacher: its own where nothing is known, aligned where something is (SPEC section 5)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ...errors import UsageError
from ...model import MonocularNetwork, load
from ..export import averaged
from ..samples import Batch, normalise_images
from .alignment import align_depth
from .predict import predict

__all__ = ["Teacher"]

_SKY = 0.5
_AT_ONCE = 16


class Teacher:
    """A trained monocular network that labels pictures; no gradient flows."""

    def __init__(self, net: MonocularNetwork, device: torch.device | str = "cpu") -> None:
        self._net = net.to(device).eval()

    @classmethod
    def from_source(cls, source: str, device: torch.device | str = "cpu") -> Teacher:
        """source: the folder of a run (its moving average), a safetensors file or a published name.

        Raises WeightsError or UsageError where there is none, or where it is no monocular network.
        """
        folder = Path(source)
        net = averaged(folder) if folder.is_dir() else load(source)
        if not isinstance(net, MonocularNetwork):
            raise UsageError(f"{source} is no monocular network and cannot teach: give a run of `train teacher`")
        return cls(net, device)

    @torch.no_grad()
    def depth(self, images: Tensor) -> Tensor:
        """Relative depth (N, H, W) of images (N, 3, H, W) uint8, 0 at what it calls sky."""
        parts = [predict(self._net, normalise_images(part)) for part in torch.split(images, _AT_ONCE)]
        depth, sky = (torch.cat(same) for same in zip(*parts, strict=True))
        return torch.where(sky > _SKY, 0.0, depth)

    def relabelled(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The batch with the teacher's depth in the units of its own, each view aligned by itself.

        Where too little is known, or nothing agrees, a view keeps what it had. Depth that alignment brings to zero or
        below, and sky, is unknown. generator: source of the alignment's draws, on the CPU.
        """
        truth = batch.depth.flatten(0, 1)
        told = self.depth(batch.images.flatten(0, 1))
        known = (truth > 0) & (told > 0)
        found = align_depth(told, truth, known, generator)
        aligned = torch.where(told > 0, found.apply(told), 0.0).clamp_min(0)
        chosen = torch.where(found.found[:, None, None], aligned, truth)
        return replace(batch, depth=chosen.reshape(batch.depth.shape))
