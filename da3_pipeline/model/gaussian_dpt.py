"""The giant's Gaussian head: raw parameters of one Gaussian a pixel (SPEC 1.7)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from .config import ModelConfig
from .dpt_blocks import DptHead, Scratch, add_embedding, convolve_enlarged
from .lean.strips import resize

__all__ = ["QUATERNION_REAL", "RAW_CHANNELS", "GaussianDpt"]

RAW_CHANNELS = 37
QUATERNION_REAL = 8  # the channel of its real part


class GaussianDpt(DptHead):
    """37 raw channels and an opacity for each pixel, from the taps and the colours."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.scratch = Scratch(config, outputs=RAW_CHANNELS + 1)
        width = config.head_features // 2
        self.images_merger = nn.Sequential(
            nn.Conv2d(3, width // 4, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width // 4, width // 2, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width // 2, width, 3, padding=1),
            nn.GELU(),
        )

    def forward(self, taps: Sequence[Tensor], images: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """raw (N, H, W, 37) and opacity (N, H, W) from four taps (N, rows*columns, 2C) and images (N, 3, H, W)."""
        aspect = images.shape[-1] / images.shape[-2]
        reduced = [self.reduced(level, tap, grid, aspect) for level, tap in enumerate(taps)]
        return self.decode(reduced, images)

    def decode(self, reduced: Sequence[Tensor], images: Tensor) -> tuple[Tensor, Tensor]:
        """raw and opacity from all four `reduced`."""
        height, width = images.shape[-2:]
        aspect = width / height
        x = convolve_enlarged(self.scratch.fuse(self.pyramid(reduced)), self.scratch.output_conv1)
        x = resize(x, (height, width))
        x = self.scratch.output_conv2(add_embedding(x + self.images_merger(images), aspect))
        return x[:, :RAW_CHANNELS].movedim(1, -1), x[:, RAW_CHANNELS].sigmoid()
