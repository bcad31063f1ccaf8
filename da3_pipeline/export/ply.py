"""Coloured points as a binary PLY file, as nerfstudio, OpenSplat, Brush and LichtFeld Studio read it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..arrays import Bytes, Float

__all__ = ["MODEL_PLY_NAME", "PLY_NAME", "offset_comments", "read_ply", "write_ply"]

PLY_NAME = "sparse_pc.ply"
"""Seed points in the world of transforms.json."""

MODEL_PLY_NAME = "init.ply"
"""Seed points in the world of sparse/0, where that is another: Brush takes poses from there and any other PLY as seeds,
but prefers one of this name."""

_VERTEX = np.dtype([("position", "<f4", 3), ("colour", "u1", 3)])


def write_ply(path: Path, points: Float, colours: Bytes, comments: Sequence[str] = ()) -> None:
    """Write (n, 3) points and (n, 3) RGB as little-endian float32 and uchar; `comments` are lines of the header."""
    vertices = np.empty(len(points), _VERTEX)
    vertices["position"], vertices["colour"] = points, colours
    names = [("float", axis) for axis in "xyz"] + [("uchar", channel) for channel in ("red", "green", "blue")]
    properties = "".join(f"property {kind} {name}\n" for kind, name in names)
    told = "".join(f"comment {line}\n" for line in comments)
    header = f"ply\nformat binary_little_endian 1.0\n{told}element vertex {len(points)}\n{properties}end_header\n"
    path.write_bytes(header.encode("ascii") + vertices.tobytes())


def offset_comments(offset: Float, point: str) -> list[str]:
    """What a header says of an offset (3,): none where there is none. `point`: the term for a point without it."""
    if not offset.any():
        return []
    return [f"offset {' '.join(map(repr, offset.tolist()))}", f"in the world of sparse/0: {point} + offset"]


def read_ply(path: Path) -> tuple[Float, Bytes]:
    """(n, 3) points and (n, 3) RGB of a file that `write_ply` wrote."""
    header, _, body = path.read_bytes().partition(b"end_header\n")
    count = int(header.split(b"element vertex ")[1].split(b"\n")[0])
    if not 0 <= count <= len(body) // _VERTEX.itemsize:
        raise ValueError(f"it announces {count} points and is shorter")
    vertices = np.frombuffer(body, _VERTEX, count)
    return vertices["position"].astype(np.float64), vertices["colour"].copy()
