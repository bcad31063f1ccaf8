"""How sharp a picture is, whatever it shows."""

from __future__ import annotations

import cv2
import numpy as np

from ...arrays import Bytes
from ..config import SharpnessConfig

__all__ = ["sharpness"]


def sharpness(grey: Bytes, config: SharpnessConfig) -> float:
    """How steep the strongest edges of an (H, W) picture are, in 0..1: 1 if a pixel wide, 0 for shading or without any.

    An edge's width depends on blur and not on contrast, and only edges are looked at: so texture, exposure and noise
    matter little, and pictures of different things can be compared. Along each axis, where the grey level changes
    most within `config.reach_px`, the largest step from a pixel to the next is divided by that change; of a ramp it is
    one over the reach, which is taken off. Motion blur widens the edges across the motion only: the lesser of the two
    axes counts, of which a diagonal motion spoils both.
    Related: Marziliano et al. 2002, A no-reference perceptual blur metric.
    """
    return min(_steepness(grey[::2], config), _steepness(np.ascontiguousarray(grey[:, ::2].T), config))


def _steepness(grey: Bytes, config: SharpnessConfig) -> float:
    """Along the rows; the lines that are left out are like their neighbours."""
    reach = config.reach_px
    if grey.shape[1] <= 2 * reach:
        return 0.0
    step = cv2.absdiff(grey[:, 1:], grey[:, :-1])
    change = cv2.absdiff(grey[:, reach:], grey[:, :-reach])
    largest = cv2.dilate(step, np.ones((1, reach), np.uint8))[:, reach // 2 :][:, : change.shape[1]]
    at_least = np.cumsum(np.bincount(change.ravel(), minlength=256)[::-1])[::-1]
    level = max(config.least_change, int(np.searchsorted(-at_least, -config.strongest_share * change.size)))
    edges = (change >= level).view(np.uint8)
    if cv2.countNonZero(edges) < config.least_pixels:
        return 0.0
    share = cv2.mean(largest, edges)[0] / cv2.mean(change, edges)[0]
    return float(max(0.0, share - 1 / reach) / (1 - 1 / reach))
