"""Photographs: how sharp and bright each is, and which are too blurred to train on."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np

from ..arrays import Float, Float32
from ..imageio import UnreadableImageError, read_rgb
from ..progress import Progress
from ..types import Exposure, Frame
from .config import SelectConfig
from .measures.content import coarse_texture, content_mark, likeness_of_marks
from .measures.exposure import measured_exposure
from .measures.flow import reduced
from .measures.sharpness import sharpness

__all__ = ["Looked", "looked_at", "without_smeared"]

_WORKERS = 4
_READ_WHOLE = 2  # times the side looked at: up to this, reading all of it and reducing the grey picture is faster


@dataclass(frozen=True)
class Looked:
    """A photograph, how much there is to see in it (`coarse_texture`), and what it is compared by (`content_mark`)."""

    photo: Frame
    texture: float | None = None
    mark: Float32 | None = None


def looked_at(photos: Sequence[Frame], config: SelectConfig, progress: Progress) -> list[Looked]:
    """The photographs with their sharpness and brightness; as they were where a file cannot be read any more."""
    with ThreadPoolExecutor(_WORKERS) as workers:
        looked = []
        for item in workers.map(partial(_looked_at, config=config), photos):
            looked.append(item)
            progress.step(len(looked), len(photos), "photographs looked at")
    return looked


def without_smeared(looked: Sequence[Looked], config: SelectConfig) -> list[Frame]:
    """The photographs, those that are grossly blurred beside the others for the poses only.

    "The others" are those of the same camera where these are enough, else all. Half of them are trained on in any case,
    which comparing with the median sees to. One that shows far less than they do at large, as a smooth thing does that
    fills it, is not compared; nor is one blurred if those that show the same are no sharper.
    """
    by_camera: dict[str, list[float]] = {}
    for item in looked:
        if item.photo.sharpness:
            by_camera.setdefault(item.photo.camera_id, []).append(item.photo.sharpness)
    ranked = {camera_id: np.sort(values) for camera_id, values in by_camera.items()}
    everything = np.sort(np.concatenate(list(ranked.values()))) if ranked else np.zeros(0)
    usual = _usual_texture(looked)
    return [
        _judged(number, looked, ranked.get(item.photo.camera_id, np.zeros(0)), everything, usual, config)
        for number, item in enumerate(looked)
    ]


def _judged(
    number: int, looked: Sequence[Looked], same: Float, everything: Float, usual: float, config: SelectConfig
) -> Frame:
    """`same`, `everything`: the rising sharpness, where there are edges, of its camera's photographs and of all."""
    photo, least = looked[number].photo, config.photos.least_others
    compared = same if len(same) > least else everything
    if not photo.sharpness or len(compared) <= least:
        return photo
    share = photo.sharpness / _median_of_others(compared, photo.sharpness)
    if share >= config.photos.smeared_share or photo.sharpness >= config.sharpness.soft:
        return photo
    texture = looked[number].texture
    if texture is not None and texture < config.content.least_texture * usual:
        return photo
    if _is_what_it_shows(number, looked, config):
        return photo
    return replace(photo, training=False, remark=f"blurred: its edges have {share:.2f} of the others' sharpness")


def _usual_texture(looked: Sequence[Looked]) -> float:
    textures = [item.texture for item in looked if item.texture is not None]
    return float(np.median(textures)) if textures else 0.0


def _is_what_it_shows(number: int, looked: Sequence[Looked], config: SelectConfig) -> bool:
    """Whether the photographs around that show the same as this one, some at least, are all hardly sharper."""
    content, own = config.content, looked[number]
    if own.mark is None:
        return False
    around = [*looked[max(0, number - content.reach) : number], *looked[number + 1 : number + 1 + content.reach]]
    alike = [
        item.photo.sharpness or 0.0
        for item in around
        if item.mark is not None and likeness_of_marks(own.mark, item.mark, content) >= content.least_likeness
    ]
    limit = (own.photo.sharpness or 0.0) / config.photos.smeared_share
    return len(alike) >= content.least_alike and max(alike) <= limit


def _median_of_others(ranked: Float, own: float) -> float:
    """The median of rising values without one that equals `own`."""
    left_out = int(np.searchsorted(ranked, own))
    middle = np.array([(len(ranked) - 2) // 2, (len(ranked) - 1) // 2])
    return float(ranked[middle + (middle >= left_out)].mean())


def _looked_at(photo: Frame, config: SelectConfig) -> Looked:
    side_px = config.sharpness.side_px
    try:
        large = max(photo.width, photo.height) > _READ_WHOLE * side_px
        rgb = read_rgb(photo.path, max_side_px=side_px if large else None)
    except UnreadableImageError:  # the stage that needs its pixels says so
        return Looked(photo)
    grey = reduced(np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8), side_px)
    seen, told = measured_exposure(grey, config.exposure), photo.exposure or Exposure()
    exposure = replace(told, brightness=seen.brightness, dark_share=seen.dark_share, bright_share=seen.bright_share)
    photo = replace(photo, sharpness=sharpness(grey, config.sharpness), exposure=exposure)
    return Looked(photo, coarse_texture(grey, config.content), content_mark(grey, config.content))
