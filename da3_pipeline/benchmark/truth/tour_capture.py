"""The rendered tour on disk: pictures for the program under test, truth for the judge; rendered once, resumable."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...arrays import Float, Float32
from ...geometry import Camera
from ...imageio import write_rgb
from ...progress import Progress

__all__ = ["TourCapture", "render_capture"]


_WIDTH, _HEIGHT = 224, 168


@dataclass(frozen=True)
class TourCapture:
    """images: (N) paths in order; cam_from_world (N, 3, 4) in metres; one camera; the true depth of every frame."""

    folder: Path
    images: tuple[Path, ...]
    cam_from_world: Float
    camera: Camera

    def __len__(self) -> int:
        return len(self.images)

    def depth(self, index: int) -> Float32:
        """(H, W) true z-depth of a frame in metres, 0 at the sky; half precision, relative error under 0.05 %."""
        return np.asarray(np.load(_depth_file(self.folder, index)), np.float32)


def render_capture(folder: Path, seed: int, frames: int, progress: Progress) -> TourCapture:
    """The first `frames` of the tour of this seed below `folder`; those that are there from before are kept."""
    from ...training.synthetic.tour import render_tour

    folder = folder / f"tour-{seed}"
    for name in ("images", "depth"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    tour = render_tour(seed, frames, _WIDTH, _HEIGHT)
    images = tuple(folder / "images" / f"{index:05d}.png" for index in range(frames))
    for index, image in enumerate(images):
        if not image.exists():
            rgb, depth = tour.picture(index)
            np.save(_depth_file(folder, index), depth.astype(np.float16))
            write_rgb(image, rgb)  # last, and atomically: where it is there, so is the depth
        progress.step(index + 1, frames, "frames rendered")
    return TourCapture(folder, images, tour.cam_from_world, tour.camera)


def _depth_file(folder: Path, index: int) -> Path:
    return folder / "depth" / f"{index:05d}.npy"
