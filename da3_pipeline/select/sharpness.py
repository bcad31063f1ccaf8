"""How sharp a frame is, beside other frames of much the same content."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["sharpness"]

_COARSE = 8  # blur that matters is gone at this reduction, contrast is not
_FLOOR = 1.0  # squared grey levels, keeps blank frames finite


def sharpness(grey: NDArray[np.uint8]) -> float:
    """Fine detail of an (H, W) image, both at least 3, in the direction that has the least of it, over coarse contrast.

    Motion blur takes detail away along the motion only: hence the least of four directions, as the root mean square
    of the second difference (a diagonal step is longer by the root of two: halved there). Dividing by the deviation
    at an eighth of the size cancels contrast and exposure. Comparable between frames of one video close in time.
    """
    values = grey.astype(np.int16)
    double = 2 * values[1:-1, 1:-1]
    energies = (
        _energy(values[1:-1, 2:] + values[1:-1, :-2] - double),
        _energy(values[2:, 1:-1] + values[:-2, 1:-1] - double),
        _energy(values[2:, 2:] + values[:-2, :-2] - double) / 4,
        _energy(values[2:, :-2] + values[:-2, 2:] - double) / 4,
    )
    size = (max(1, grey.shape[1] // _COARSE), max(1, grey.shape[0] // _COARSE))
    contrast = float(cv2.resize(grey, size, interpolation=cv2.INTER_AREA).var())
    return float(np.sqrt(min(energies) / (contrast + _FLOOR)))


def _energy(differences: NDArray[np.int16]) -> float:
    """Mean square."""
    return float(cv2.norm(differences, cv2.NORM_L2SQR)) / differences.size
