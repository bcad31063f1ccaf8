"""Panoramas for tests: pictures that go round, and MP4 files whose boxes say so."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from da3_pipeline.arrays import Float
from da3_pipeline.geometry.equirectangular import Equirectangular, FisheyePair

Picture = NDArray[np.uint8]


def painted(area: Equirectangular, seed: int = 0) -> Picture:
    """(H, W, 3) of an infinitely far world: waves of many lengths on the sphere, without seam or poles."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : area.height, 0 : area.width]
    rays = area.rays(np.stack([columns, rows], -1) + 0.5)
    value = np.zeros(rays.shape)
    for length in (3, 7, 15, 31):
        for _ in range(4):
            wave = rays @ rng.normal(0, length, 3) + rng.uniform(0, 6)
            value += np.sin(wave)[..., None] * rng.uniform(0.2, 1, 3)
    return np.asarray(np.clip(128 + 30 * value, 0, 255), np.uint8)


def painted_pair(pair: FisheyePair, seed: int = 0) -> Picture:
    """(H, W, 3) of the same world through two lenses side by side that bend nothing; black beyond their fields."""
    picture = np.zeros((pair.height, pair.width, 3), np.uint8)
    half = pair.width // 2
    for number, lens in enumerate(pair.lenses):

        class Half(Equirectangular):
            def rays(self, pixels: Float) -> Float:
                plane = (pixels + np.array([half * number, 0]) - lens.params[2:4]) / lens.params[:2]  # noqa: B023
                angle = np.linalg.norm(plane, axis=-1)
                ahead = np.sinc(angle / np.pi)[..., None] * plane
                return np.concatenate([ahead, np.cos(angle)[..., None]], -1) @ lens.lens_from_rig  # noqa: B023

        area = Half(half, pair.height, float(half), float(pair.height))
        rows, columns = np.mgrid[0 : pair.height, 0:half] + 0.5
        seen = lens.sees(area.rays(np.stack([columns, rows], -1)))
        picture[:, half * number : half * (number + 1)] = painted(area, seed) * seen[..., None]
    return picture


def with_boxes(
    path: Path, stereo: int = 0, projection: bytes | None = None, bounds: tuple[int, ...] = (0,) * 4
) -> Path:
    """Puts st3d and sv3d into the one video track of an MP4 whose index is at its end."""
    projection = projection or _box(b"equi", bytes(4) + struct.pack(">4I", *bounds))
    header = _box(b"svhd", bytes(4) + b"test\0") + _box(
        b"proj", _box(b"prhd", bytes(4) + struct.pack(">3i", 0, 0, 0)) + projection
    )
    new = _box(b"st3d", bytes(4) + bytes([stereo])) + _box(b"sv3d", header)
    path.write_bytes(_inserted(path.read_bytes(), (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"), new))
    return path


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


_BEFORE_CHILDREN = {b"stsd": 8, b"avc1": 78}


def _inserted(data: bytes, names: tuple[bytes, ...], new: bytes) -> bytes:
    """The boxes with `new` at the end of the one that the names lead to."""
    if not names:
        return data + new
    position = 0
    while position < len(data):
        (size,) = struct.unpack_from(">I", data, position)
        if data[position + 4 : position + 8] == names[0]:
            skip = 8 + _BEFORE_CHILDREN.get(names[0], 0)
            fixed, children = data[position + 8 : position + skip], data[position + skip : position + size]
            changed = _box(names[0], fixed + _inserted(children, names[1:], new))
            return data[:position] + changed + data[position + size :]
        position += size
    raise ValueError(f"no {names[0]!r}")


Painter = Callable[[Equirectangular], Picture]
