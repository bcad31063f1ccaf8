"""How sharp a frame is, beside other frames of much the same content."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["sharpness"]

_SECOND_DIFFERENCES = tuple(
    np.array(kernel, np.float32)
    for kernel in (
        [[1, -2, 1]],
        [[1], [-2], [1]],
        [[0.5, 0, 0], [0, -1, 0], [0, 0, 0.5]],
        [[0, 0, 0.5], [0, -1, 0], [0.5, 0, 0]],
    )
)
_COARSE = 8  # blur that matters is gone at this reduction, contrast is not
_FLOOR = 1.0  # squared grey levels, keeps blank frames finite


def sharpness(grey: NDArray[np.uint8]) -> float:
    """Fine detail of an (H, W) image in the direction that has the least of it, over its coarse contrast.

    Motion blur takes detail away along the motion only: hence the least of four directions, as the root mean square
    of the second difference. Dividing by the deviation at an eighth of the size cancels contrast and exposure.
    Comparable between frames of one video that are close in time.
    """
    values = grey.astype(np.float32)
    energies = [cv2.norm(cv2.filter2D(values, -1, kernel), cv2.NORM_L2SQR) for kernel in _SECOND_DIFFERENCES]
    size = (max(1, grey.shape[1] // _COARSE), max(1, grey.shape[0] // _COARSE))
    contrast = float(cv2.resize(values, size, interpolation=cv2.INTER_AREA).var())
    return float(np.sqrt(min(energies) / grey.size / (contrast + _FLOOR)))
