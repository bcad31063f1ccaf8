"""SIFT keypoints and descriptors of one photograph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Features"]


@dataclass(frozen=True)
class Features:
    """Keypoints of one image; K = 0 is legal.

    xy (K, 2) original pixels, corner origin. scale_px (K,) keypoint radius in original pixels.
    descriptors (K, 128) uint8 RootSIFT.
    """

    xy: NDArray[np.float32]
    scale_px: NDArray[np.float32]
    descriptors: NDArray[np.uint8]

    @classmethod
    def empty(cls) -> Features:
        return cls(np.zeros((0, 2), np.float32), np.zeros(0, np.float32), np.zeros((0, 128), np.uint8))

    def __len__(self) -> int:
        return len(self.xy)
