"""Gaussians for splatting, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Float32

__all__ = ["GaussianCloud"]


@dataclass(frozen=True)
class GaussianCloud:
    """G Gaussians for splatting, in one world.

    means (G, 3); scales (G, 3) standard deviations along the own axes, world units; rotations (G, 4) unit
    quaternions (w, x, y, z), world from own axes; harmonics (G, 3, K) real spherical harmonics of the colour, K = 1,
    4, 9 or 16 in the order and sign of 3DGS; opacities (G,) in 0..1; view (G,) index of the frame it came from.
    """

    means: Float32
    scales: Float32
    rotations: Float32
    harmonics: Float32
    opacities: Float32
    view: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.means)
