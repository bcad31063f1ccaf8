"""Photographs are all taken; those that are smeared beside their neighbours only help the poses."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ..imageio import read_rgb
from ..progress import Progress
from ..types import Frame, Light
from .analysis import SHARPNESS_SIDE_PX
from .light import light_of
from .sharpness import sharpness

__all__ = ["look_at_photographs", "smeared"]

_THREADS = min(8, os.cpu_count() or 1)
_REACH = 4  # photographs to either side that show much the same
_FEWEST = 5  # of one camera: fewer have nothing to be compared with
_SMEARED = 0.45  # of the neighbours' median sharpness; a smear of nine pixels leaves a third


def look_at_photographs(photos: Sequence[Frame], progress: Progress) -> list[Frame]:
    """The photographs with sharpness, light, and `training` off for those that are `smeared`.

    One that cannot be read any more is passed on as it is; the stage that needs it says so.
    """
    looked_at: list[Frame] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for photo in pool.map(_look, photos):
            looked_at.append(photo)
            progress.step(len(looked_at), len(photos), "photographs looked at")
    for camera_id in {photo.camera_id for photo in looked_at}:
        mine = [index for index, photo in enumerate(looked_at) if photo.camera_id == camera_id]
        values = np.array([looked_at[index].sharpness or np.nan for index in mine])
        for index in np.array(mine)[smeared(values)]:
            looked_at[index] = replace(looked_at[index], training=False)
    return looked_at


def smeared(sharpness: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(N,) photographs, in capture order, that are far less sharp than their neighbours' median; NaN is unknown.

    Content differs tenfold in sharpness between captures, and little between neighbours: only these are compared.
    """
    count = len(sharpness)
    if np.isfinite(sharpness).sum() < _FEWEST:
        return np.zeros(count, bool)
    around = [sharpness[max(0, k - _REACH) : k + _REACH + 1] for k in range(count)]
    typical = np.array([np.nanmedian(near) if np.isfinite(near).any() else np.nan for near in around])
    return np.asarray(sharpness < _SMEARED * typical)


def _look(photo: Frame) -> Frame:
    try:
        rgb = read_rgb(photo.path, SHARPNESS_SIDE_PX)
    except OSError:
        return photo
    grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    if min(grey.shape) < 3:
        return photo
    brightness, clipped = light_of(grey)
    light = replace(photo.light or Light(), brightness=brightness, clipped=clipped)
    return replace(photo, sharpness=sharpness(grey), light=light)
