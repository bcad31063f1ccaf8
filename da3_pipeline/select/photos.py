"""Photographs: how sharp and bright each is, and which are too blurred to train on."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import cv2
import numpy as np

from ..arrays import Float
from ..imageio import UnreadableImageError, read_rgb
from ..progress import Progress
from ..types import Exposure, Frame
from .config import SelectConfig
from .measures.exposure import measured_exposure
from .measures.flow import reduced
from .measures.sharpness import sharpness

__all__ = ["looked_at", "without_smeared"]

_WORKERS = 4
_READ_WHOLE = 2  # times the side looked at: up to this, reading all of it and reducing the grey picture is faster


def looked_at(photos: Sequence[Frame], config: SelectConfig, progress: Progress) -> list[Frame]:
    """The photographs with their sharpness and brightness; as they were where a file cannot be read any more."""
    with ThreadPoolExecutor(_WORKERS) as workers:
        frames = []
        for frame in workers.map(partial(_looked_at, config=config), photos):
            frames.append(frame)
            progress.step(len(frames), len(photos), "photographs looked at")
    return frames


def without_smeared(photos: Sequence[Frame], config: SelectConfig) -> list[Frame]:
    """The photographs, those that are grossly blurred beside the others for the poses only.

    "The others" are those of the same camera where these are enough, else all. Half of them are trained on in any case,
    which comparing with the median sees to.
    """
    by_camera: dict[str, list[float]] = {}
    for photo in photos:
        if photo.sharpness:
            by_camera.setdefault(photo.camera_id, []).append(photo.sharpness)
    ranked = {camera_id: np.sort(values) for camera_id, values in by_camera.items()}
    everything = np.sort(np.concatenate(list(ranked.values()))) if ranked else np.zeros(0)
    return [_judged(photo, ranked.get(photo.camera_id, np.zeros(0)), everything, config) for photo in photos]


def _judged(photo: Frame, same: Float, everything: Float, config: SelectConfig) -> Frame:
    """`same`, `everything`: the rising sharpness, where there are edges, of its camera's photographs and of all."""
    least = config.photos.least_others
    compared = same if len(same) > least else everything
    if not photo.sharpness or len(compared) <= least:
        return photo
    share = photo.sharpness / _median_of_others(compared, photo.sharpness)
    if share >= config.photos.smeared_share or photo.sharpness >= config.sharpness.soft:
        return photo
    return replace(photo, training=False, remark=f"blurred: its edges have {share:.2f} of the others' sharpness")


def _median_of_others(ranked: Float, own: float) -> float:
    """The median of rising values without one that equals `own`."""
    left_out = int(np.searchsorted(ranked, own))
    middle = np.array([(len(ranked) - 2) // 2, (len(ranked) - 1) // 2])
    return float(ranked[middle + (middle >= left_out)].mean())


def _looked_at(photo: Frame, config: SelectConfig) -> Frame:
    side_px = config.sharpness.side_px
    try:
        large = max(photo.width, photo.height) > _READ_WHOLE * side_px
        rgb = read_rgb(photo.path, max_side_px=side_px if large else None)
    except UnreadableImageError:  # the stage that needs its pixels says so
        return photo
    grey = reduced(np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8), side_px)
    seen, told = measured_exposure(grey, config.exposure), photo.exposure or Exposure()
    exposure = replace(told, brightness=seen.brightness, dark_share=seen.dark_share, bright_share=seen.bright_share)
    return replace(photo, sharpness=sharpness(grey, config.sharpness), exposure=exposure)
