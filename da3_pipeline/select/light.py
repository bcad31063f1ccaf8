"""How bright a picture is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["light_of"]

_BLACK, _WHITE = 3, 252  # compression keeps clipped pixels from the very ends


def light_of(grey: NDArray[np.uint8]) -> tuple[float, float]:
    """Mean grey level in [0, 1] of an (H, W) image, and the share of its pixels that are black or white."""
    return float(grey.mean()) / 255, float(((grey <= _BLACK) | (grey >= _WHITE)).mean())
