"""Figures and validation pictures of a run, for TensorBoard."""

from __future__ import annotations

from pathlib import Path

import cv2
import torch
from torch import Tensor

from ...errors import MissingExtraError

__all__ = ["BOARD", "Board", "beside_truth"]

BOARD = "tensorboard"


class Board:
    """Writes into the folder of a run. step: what a run that is resumed had written beyond it is forgotten."""

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtraError("TensorBoard", "train") from error
        self._writer = SummaryWriter(str(folder / BOARD), purge_step=step)

    def figures(self, figures: dict[str, float], kind: str, step: int) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(f"{kind}/{name}", value, step)

    def pictures(self, pictures: dict[str, Tensor], step: int) -> None:
        """(3, H, W) from 0 to 1 by name."""
        for name, picture in pictures.items():
            self._writer.add_image(name, picture, step)

    def close(self) -> None:
        self._writer.close()


def beside_truth(images: Tensor, truth: Tensor, depth: Tensor) -> Tensor:
    """One picture (3, N * H, 3 * W): a row of image, true and predicted depth for each of images (N, 3, H, W) uint8,
    truth and depth (N, H, W). Depth is coloured by its logarithm over the truth's range, black where truth is 0."""
    rows = []
    for image, true, found in zip(images.cpu(), truth.cpu().float(), depth.cpu().float(), strict=True):
        known = true > 0
        logs = [part.clamp_min(1e-6).log() for part in (true, found)]
        low, high = (
            float(end) for end in (logs[0][known].aminmax() if known.any() else (torch.zeros(()), torch.ones(())))
        )
        shown = [((part - low) / max(high - low, 1e-6)).clamp(0, 1) for part in logs]
        rows.append(torch.cat([image.float() / 255, *(_coloured(part) * known for part in shown)], -1))
    return torch.cat(rows, -2)


def _coloured(values: Tensor) -> Tensor:
    """(3, H, W) of values (H, W) from 0 to 1."""
    shown = cv2.applyColorMap((values * 255).byte().numpy(), cv2.COLORMAP_TURBO)
    return torch.from_numpy(shown).permute(2, 0, 1).flip(0).float() / 255
