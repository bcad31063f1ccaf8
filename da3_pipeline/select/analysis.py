"""One pass over a video: how sharp and bright each frame is, how far the picture has moved, what it showed before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from ..arrays import Bool, Float, Int
from ..types import Exposure, VideoClip
from ..videoio import decode_frames
from .config import SelectConfig
from .measures.cuts import CutFinder
from .measures.exposure import measured_exposure
from .measures.motion import MotionTracker, Step
from .measures.moved import moved_of
from .measures.places import Places
from .measures.sharpness import sharpness
from .panorama_views import views_of

__all__ = ["VideoAnalysis", "analyse"]


@dataclass(frozen=True)
class VideoAnalysis:
    """Per frame of a clip, in display order, (F,) each.

    decoded: False for frames that are damaged or cut off; the rest is void there.
    sharpness: see `sharpness`. travelled: image motion since the start of the clip, in shares of the diagonal.
    shot: number of the shot, counted from 0; a cut begins a new one. visits: how often before the frame's place was
    shown, 2 for more than once. exposures: by frame. other_shapes, resized: (width, height) in the file of the frames
    whose shape is not the clip's, and of those of its shape that were brought to its size. outside: frames that were
    not asked for. images: how many a frame becomes: of a panorama its views.
    """

    decoded: Bool
    sharpness: Float
    travelled: Float
    shot: Int
    visits: Int
    exposures: dict[int, Exposure]
    other_shapes: dict[int, tuple[int, int]] = field(default_factory=dict)
    resized: dict[int, tuple[int, int]] = field(default_factory=dict)
    outside: frozenset[int] = frozenset()
    images: int = 1


def analyse(clip: VideoClip, config: SelectConfig, heard: Callable[[int], None]) -> VideoAnalysis:
    """Decode a clip once at low resolution, a frame in memory at a time; `heard` is told each index passed.

    What lies outside the stretch that `config` asks for is not looked at.
    Raises UnreadableVideoError when the file can no longer be opened.
    """
    count = len(clip.times_s)
    decoded = np.zeros(count, bool)
    sharp = np.zeros(count)
    steps: dict[int, Step] = {}
    exposures: dict[int, Exposure] = {}
    other_shapes: dict[int, tuple[int, int]] = {}
    resized_from: dict[int, tuple[int, int]] = {}
    visited: list[tuple[int, int]] = []
    moved, next_place = moved_of(clip.panorama, config.motion), 0.0
    tracker, cutter, places = MotionTracker(config, moved), CutFinder(config), Places(config, moved)
    side_px = config.sharpness.side_px * (1 if clip.panorama is None else config.panoramas.finer)
    asked = config.asked_for(clip.times_s)
    for frame in decode_frames(clip.path, clip.times_s):
        if not asked[frame.index]:
            if asked[: frame.index].any():
                break
            continue
        fitted = frame.fitted(clip.width, clip.height)
        if (frame.width, frame.height) != (clip.width, clip.height):
            differs = other_shapes if fitted is frame else resized_from
            differs[frame.index] = (frame.width, frame.height)
        grey = fitted.grey(side_px)
        small = moved.seen(grey)
        decoded[frame.index] = True
        sharp[frame.index] = sharpness(grey, config.sharpness)
        step = steps[frame.index] = tracker.step(small)
        cutter.take(small, step)
        exposures[frame.index] = replace(measured_exposure(grey, config.exposure), stops=step.stops)
        if step.travelled >= next_place:
            visited.append((frame.index, places.visit(small, sharp[frame.index])))
            next_place = step.travelled + config.anchor_step
        heard(frame.index)
    found = np.flatnonzero(decoded)
    in_order = [steps[index] for index in found.tolist()]
    shot = np.zeros(count, np.int64)
    shot[found] = np.cumsum(cutter.cuts())
    travelled = np.zeros(count)
    travelled[found] = [step.travelled for step in in_order]
    return VideoAnalysis(
        decoded,
        sharp,
        travelled,
        shot,
        _visits(visited, count),
        exposures,
        other_shapes,
        resized_from,
        frozenset(np.flatnonzero(~asked).tolist()),
        1 if clip.panorama is None else len(views_of(clip.panorama, config.panoramas)),
    )


def _visits(visited: list[tuple[int, int]], count: int) -> Int:
    """(count,) of each frame, from those of places at some frames: the least of the places before and after it."""
    if not visited:
        return np.zeros(count, np.int64)
    frames, times = np.array(visited, np.int64).T
    after = np.searchsorted(frames, np.arange(count))
    before = np.maximum(np.searchsorted(frames, np.arange(count), side="right") - 1, 0)
    return np.minimum(times[before], times[np.minimum(after, len(frames) - 1)])
