"""Photographs: how sharp and bright each is, and which are too blurred to train on."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np

from ..imageio import UnreadableImageError, read_rgb
from ..progress import Progress
from ..types import Exposure, Frame
from .analysis import SHARPNESS_SIDE_PX
from .exposure import measured_exposure
from .flow import reduced
from .sharpness import SOFT, sharpness

__all__ = ["looked_at", "without_smeared"]

_WORKERS = 4
_READ_WHOLE_PX = 2 * SHARPNESS_SIDE_PX  # up to this, reading all of it and reducing the grey picture is faster
_SMEARED = 0.35  # of the others' sharpness; somebody chose to take the picture: only gross blur says that it went wrong
_LEAST_OTHERS = 4  # photographs with edges, beside which one can be told to be blurred


def looked_at(photos: Sequence[Frame], progress: Progress) -> list[Frame]:
    """The photographs with their sharpness and brightness; as they were where a file cannot be read any more."""
    with ThreadPoolExecutor(_WORKERS) as workers:
        frames = []
        for frame in workers.map(_looked_at, photos):
            frames.append(frame)
            progress.step(len(frames), len(photos), "photographs looked at")
    return frames


def without_smeared(photos: Sequence[Frame]) -> list[Frame]:
    """The photographs, those that are grossly blurred beside the others for the poses only.

    "The others" are those of the same camera where these are enough, else all. Half of them are trained on in any case,
    which comparing with the median sees to.
    """
    return [_judged(frame, [other for other in photos if other is not frame]) for frame in photos]


def _judged(photo: Frame, others: Sequence[Frame]) -> Frame:
    same = [other.sharpness for other in others if other.sharpness and other.camera_id == photo.camera_id]
    compared = same if len(same) >= _LEAST_OTHERS else [other.sharpness for other in others if other.sharpness]
    if not photo.sharpness or len(compared) < _LEAST_OTHERS:
        return photo
    share = photo.sharpness / float(np.median(compared))
    if share >= _SMEARED or photo.sharpness >= SOFT:
        return photo
    return replace(photo, training=False, remark=f"blurred: its edges have {share:.2f} of the others' sharpness")


def _looked_at(photo: Frame) -> Frame:
    try:
        large = max(photo.width, photo.height) > _READ_WHOLE_PX
        rgb = read_rgb(photo.path, max_side_px=SHARPNESS_SIDE_PX if large else None)
    except UnreadableImageError:  # the stage that needs its pixels says so
        return photo
    grey = reduced(np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8), SHARPNESS_SIDE_PX)
    seen, told = measured_exposure(grey), photo.exposure or Exposure()
    exposure = replace(told, brightness=seen.brightness, dark_share=seen.dark_share, bright_share=seen.bright_share)
    return replace(photo, sharpness=sharpness(grey), exposure=exposure)
