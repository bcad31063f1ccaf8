"""Small photographs and videos, made as devices make them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

EXIF_IFD, GPS_IFD = 0x8769, 0x8825


@pytest.fixture
def photo() -> Callable[..., Path]:
    """`photo(path, size=(w, h), seed=0, tags={}, exif={}, gps={})` writes a textured picture with EXIF."""

    def make(
        path: Path,
        size: tuple[int, int] = (96, 64),
        seed: int = 0,
        tags: dict[int, object] | None = None,
        exif: dict[int, object] | None = None,
        gps: dict[int, object] | None = None,
    ) -> Path:
        coarse = np.random.default_rng(seed).integers(0, 255, (8, 12, 3), np.uint8)
        image = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
        block = Image.Exif()
        block.update(tags or {})
        if exif:
            block.get_ifd(EXIF_IFD).update(exif)
        if gps:
            block.get_ifd(GPS_IFD).update(gps)
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, exif=block)
        return path

    return make


@pytest.fixture
def video() -> Callable[..., Path]:
    """`video(path, frames, ticks=None, rotation_deg=0, codec="libx264", metadata={}, options={})`; ticks of 1/30 s."""

    def make(
        path: Path,
        frames: Sequence[np.ndarray],
        ticks: Sequence[int] | None = None,
        rotation_deg: int = 0,
        codec: str = "libx264",
        metadata: dict[str, str] | None = None,
        options: dict[str, str] | None = None,
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w", options=options or {}) as container:
            container.metadata.update(metadata or {})
            stream = container.add_stream(codec, rate=30, options={"g": "10"})
            stream.height, stream.width = frames[0].shape[:2]
            stream.bit_rate = 4_000_000
            stream.pix_fmt = "yuv420p"
            if rotation_deg:
                stream.set_display_rotation(rotation_deg)
            for tick, pixels in zip(ticks or range(len(frames)), frames, strict=True):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
                frame.pts, frame.time_base = tick, Fraction(1, 30)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return make


@pytest.fixture
def numbered() -> list[np.ndarray]:
    """Thirty frames whose brightness tells their number: 8 grey levels apart, a lighter corner at the top left."""
    frames = []
    for number in range(30):
        frame = np.full((96, 128, 3), 10 + 8 * number, np.uint8)
        frame[:16, :16] = 250
        frames.append(frame)
    return frames
