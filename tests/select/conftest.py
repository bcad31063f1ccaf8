"""A handheld camera over a textured wall, encoded as a phone would."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

WIDTH, HEIGHT = 320, 192


def textured_wall(seed: int, width: int = 2400) -> np.ndarray:
    """(HEIGHT, width, 3) noise at several scales: corners everywhere, no repetition."""
    rng = np.random.default_rng(seed)
    wall = np.zeros((HEIGHT, width), np.float32)
    for cell, weight in ((64, 0.4), (16, 0.35), (4, 0.25)):
        coarse = rng.uniform(0, 255, (HEIGHT // cell + 2, width // cell + 2)).astype(np.float32)
        wall += weight * cv2.resize(coarse, (width, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.repeat(np.clip(wall, 0, 255).astype(np.uint8)[..., None], 3, 2)


@pytest.fixture(scope="session")
def views() -> Callable[..., list[np.ndarray]]:
    """`views(seed, positions_px, blurred=())`: what a camera sees at these places along a wall; some frames smeared."""

    def make(seed: int, positions_px: Sequence[float], blurred: Sequence[int] = ()) -> list[np.ndarray]:
        wall = textured_wall(seed)
        frames = []
        for index, position in enumerate(positions_px):
            shift = np.array([[1, 0, -position], [0, 1, 0]], np.float32)
            frame = cv2.warpAffine(wall, shift, (WIDTH, HEIGHT))
            frames.append(cv2.blur(frame, (15, 1)) if index in blurred else frame)
        return frames

    return make


@pytest.fixture(scope="session")
def film() -> Callable[[Path, Sequence[np.ndarray]], Path]:
    """`film(path, frames)` encodes at 30 frames a second."""

    def make(path: Path, frames: Sequence[np.ndarray]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
            stream = container.add_stream("libx264", rate=30, options={"crf": "16", "g": "15", "preset": "veryfast"})
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
            container.mux(stream.encode())
        return path

    return make
