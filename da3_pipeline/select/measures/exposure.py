"""How bright a picture is, and how much of it is clipped."""

from __future__ import annotations

import cv2

from ...arrays import Bytes, Float
from ...types import Exposure
from ..config import ExposureConfig

__all__ = ["linear_light", "measured_exposure"]

_GAMMA = 2.2  # of displays


def measured_exposure(grey: Bytes, config: ExposureConfig) -> Exposure:
    """Of an (H, W) picture as it is displayed: mean brightness in 0..1, shares of pixels as good as black and white."""
    total = grey.size
    return Exposure(
        brightness=cv2.mean(grey)[0] / 255,
        dark_share=1 - cv2.countNonZero(cv2.compare(grey, config.black, cv2.CMP_GT)) / total,
        bright_share=cv2.countNonZero(cv2.compare(grey, config.white, cv2.CMP_GE)) / total,
    )


def linear_light(grey: Float) -> Float:
    """Light for grey levels of 0..255, in 0..1, taking the display's gamma for the camera's curve."""
    return (grey / 255) ** _GAMMA
