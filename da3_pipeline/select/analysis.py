"""One pass over a video: how sharp each frame is, how far the picture has moved, where the cuts are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import VideoClip
from ..videoio import decode_frames
from .light import light_of
from .motion import MotionTracker, Step, find_cuts
from .sharpness import sharpness

__all__ = ["SHARPNESS_SIDE_PX", "VideoAnalysis", "analyse"]

SHARPNESS_SIDE_PX = 960  # motion blur of a pixel or two of HD no longer shows much below this
_MOTION_SIDE_PX = 320


@dataclass(frozen=True)
class VideoAnalysis:
    """Per frame of a clip, in display order, (F,) each.

    decoded: False for frames that are damaged, cut off, or of another size than the clip; the rest is void there.
    sharpness: see `sharpness`. travelled: image motion since the start of the clip, in shares of the diagonal.
    shot: number of the shot, counted from 0; a cut begins a new one. brightness, clipped: see `light_of`.
    """

    decoded: NDArray[np.bool_]
    sharpness: NDArray[np.float64]
    travelled: NDArray[np.float64]
    shot: NDArray[np.int64]
    brightness: NDArray[np.float64]
    clipped: NDArray[np.float64]


def analyse(clip: VideoClip, anchor_step: float, heard: Callable[[int], None]) -> VideoAnalysis:
    """Decode a clip once at low resolution, a frame in memory at a time; `heard` is told each index passed.

    Raises UnreadableVideoError when the file can no longer be opened.
    """
    count = len(clip.times_s)
    decoded = np.zeros(count, bool)
    sharp, brightness, clipped = np.zeros(count), np.zeros(count), np.zeros(count)
    steps: dict[int, Step] = {}
    tracker = MotionTracker(anchor_step)
    for frame in decode_frames(clip.path, clip.times_s):
        if (frame.width, frame.height) == (clip.width, clip.height):
            grey = frame.grey(SHARPNESS_SIDE_PX)
            decoded[frame.index] = True
            sharp[frame.index] = sharpness(grey)
            brightness[frame.index], clipped[frame.index] = light_of(grey)
            steps[frame.index] = tracker.step(_reduced(grey, _MOTION_SIDE_PX))
        heard(frame.index)
    found = np.flatnonzero(decoded)
    in_order = [steps[index] for index in found.tolist()]
    cuts = find_cuts(np.array([step.tracked for step in in_order]), np.array([step.likeness for step in in_order]))
    shot = np.zeros(count, np.int64)
    shot[found] = np.cumsum(cuts)
    travelled = np.zeros(count)
    travelled[found] = [step.travelled for step in in_order]
    return VideoAnalysis(decoded, sharp, travelled, shot, brightness, clipped)


def _reduced(grey: NDArray[np.uint8], max_side_px: int) -> NDArray[np.uint8]:
    scale = min(1.0, max_side_px / max(grey.shape))
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))
