"""How sharp a picture is, whatever it shows."""

from __future__ import annotations

import cv2
import numpy as np

from ..arrays import Bytes

__all__ = ["BLURRED", "SOFT", "sharpness"]

BLURRED = 0.6
"""Of the sharpness of sharp pictures of the same video: about four pixels of blur in a picture 960 wide."""

SOFT = 0.15
"""Below this, no sharp picture of 960 px is expected: blur of some five pixels."""

_REACH_PX = 16  # edges wider than this are shading
_STRONGEST = 0.02  # of the pixels: where the picture changes most across the reach, there are its edges
_LEAST_CHANGE = 12  # grey levels: noise and compression stay below
_LEAST_PIXELS = 50


def sharpness(grey: Bytes) -> float:
    """How steep the strongest edges of an (H, W) picture are, in 0..1: 1 if a pixel wide, 0 for shading or without any.

    An edge's width depends on blur and not on contrast, and only edges are looked at: so texture, exposure and noise
    matter little, and pictures of different things can be compared. Along each axis, where the grey level changes
    most within 16 px, the largest step from a pixel to the next is divided by that change; of a ramp it is a sixteenth,
    which is taken off. Motion blur widens the edges across the motion only: the lesser of the two axes counts, of which
    a diagonal motion spoils both.
    Related: Marziliano et al. 2002, A no-reference perceptual blur metric.
    """
    return min(_steepness(grey[::2]), _steepness(np.ascontiguousarray(grey[:, ::2].T)))


def _steepness(grey: Bytes) -> float:
    """Along the rows; the lines that are left out are like their neighbours."""
    if grey.shape[1] <= 2 * _REACH_PX:
        return 0.0
    step = cv2.absdiff(grey[:, 1:], grey[:, :-1])
    change = cv2.absdiff(grey[:, _REACH_PX:], grey[:, :-_REACH_PX])
    largest = cv2.dilate(step, np.ones((1, _REACH_PX), np.uint8))[:, _REACH_PX // 2 :][:, : change.shape[1]]
    at_least = np.cumsum(np.bincount(change.ravel(), minlength=256)[::-1])[::-1]
    level = max(_LEAST_CHANGE, int(np.searchsorted(-at_least, -_STRONGEST * change.size)))
    edges = (change >= level).view(np.uint8)
    if cv2.countNonZero(edges) < _LEAST_PIXELS:
        return 0.0
    share = cv2.mean(largest, edges)[0] / cv2.mean(change, edges)[0]
    return float(max(0.0, share - 1 / _REACH_PX) / (1 - 1 / _REACH_PX))
