"""Rendered handheld videos of which a known part is blurred, with their true cameras."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...arrays import Bytes, Float
from ...geometry import Camera
from ...progress import Progress
from .motion_blur import motion_blurred

__all__ = ["BlurredWalk", "blurred_frames", "render_blurred_walk"]

_WIDTH, _HEIGHT = 640, 480
_FRAMES = 120
_BURST = (3, 12)  # frames: a step, a jerk, a quick turn
_LENGTH_PX = (5.0, 18.0)


@dataclass(frozen=True)
class BlurredWalk:
    """video: the file. blur_px (F,) length of the blur of each frame; cam_from_world (F, 3, 4); one camera."""

    video: Path
    blur_px: Float
    cam_from_world: Float
    camera: Camera


def blurred_frames(rng: np.random.Generator, frames: int, share: float) -> Float:
    """(frames,) length of blur in px: bursts of it until `share` of the frames is blurred, 0 in between."""
    lengths = np.zeros(frames)
    while (missing := round(share * frames) - int((lengths > 0).sum())) > 0:
        burst = min(int(rng.integers(*_BURST)), missing)
        start = int(rng.integers(0, frames - burst + 1))
        lengths[start : start + burst] = rng.uniform(*_LENGTH_PX, burst)
    return lengths


def render_blurred_walk(folder: Path, seed: int, share: float, progress: Progress) -> BlurredWalk:
    """The walk of this seed below `folder`, of which `share` is blurred; a video that is there from before is kept."""
    from ...demo import write_video
    from ...training.synthetic import render_walk

    walk = render_walk(seed=seed, frames=_FRAMES, width=_WIDTH, height=_HEIGHT)
    blur_px = blurred_frames(np.random.default_rng([seed, 0xB1A6]), _FRAMES, share)

    def pictures() -> Iterator[Bytes]:
        rng = np.random.default_rng([seed, 0xB1A7])
        for index, rgb in enumerate(walk.frames()):
            if blur_px[index] > 0:
                yield motion_blurred(rgb, walk.camera, float(blur_px[index]), rng).clip(0, 255).astype(np.uint8)
            else:
                yield rgb
            progress.step(index + 1, _FRAMES, "frames rendered")

    video = folder / f"walk-{seed}-{round(100 * share)}.mp4"
    if not video.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_video(video, pictures())
    return BlurredWalk(video, blur_px, walk.cam_from_world, walk.camera)
