"""COLMAP's models, read by pycolmap once their files are known to hold what they announce.

pycolmap believes every count that it reads, and goes on reading at the end of a file: one wrong byte can keep it busy
for ever, or take all memory. Binary files are walked by their counts first; text has none.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pycolmap

from ..guard.bounded import read_document

__all__ = ["read_colmap_model"]

_COUNT, _CAMERA = struct.Struct("<Q"), struct.Struct("<IiQQ")
_RIG, _SENSOR_BYTES, _POSE_BYTES = struct.Struct("<II"), 8, 56
_FRAME, _DATA_BYTES = struct.Struct("<II56xI"), 16
_IMAGE_BYTES, _KEYPOINT_BYTES = 4 + _POSE_BYTES + 4, 24
_POINT, _OBSERVATION_BYTES = struct.Struct("<Q24x3s8xQ"), 8


def read_colmap_model(folder: Path) -> pycolmap.Reconstruction:
    """The model in `folder`. Raises ValueError, or what pycolmap raises, for one that is damaged."""
    for name, walk in _WALKS.items():
        path = folder / name
        if not path.is_file():
            continue
        data = path.read_bytes()
        try:
            end = walk(data)
        except (struct.error, ValueError, OverflowError):
            end = -1
        if end != len(data):
            raise ValueError(f"{name} is not as long as it says")
    model = pycolmap.Reconstruction(str(folder))
    if not (folder / "images.bin").is_file():
        for image_id, name in _written_names(folder / "images.txt").items():
            if image_id in model.images:
                model.images[image_id].name = name
    return model


def _written_names(path: Path) -> dict[int, str]:
    """Names by image, whole: pycolmap reads a text model's up to their first space."""
    names = {}
    lines = iter(read_document(path, errors="surrogateescape").splitlines())
    for line in lines:
        words = line.strip().split(maxsplit=9)
        if not words or words[0].startswith("#"):
            continue
        next(lines, None)  # its observations, which may be none
        if len(words) == 10:
            names[int(words[0])] = words[9]
    return names


def _count(data: bytes, least_bytes: int) -> int:
    """The number of entries that a file begins with, of no fewer bytes each."""
    (count,) = _COUNT.unpack_from(data)
    if count * least_bytes > len(data):
        raise ValueError
    return int(count)


def _cameras(data: bytes) -> int:
    at = _COUNT.size
    for _ in range(_count(data, _CAMERA.size)):
        model = pycolmap.CameraModelId(_CAMERA.unpack_from(data, at)[1])
        at += _CAMERA.size + 8 * len(pycolmap.Camera.create_from_model_id(0, model, 1.0, 1, 1).params)
    return at


def _rigs(data: bytes) -> int:
    at = _COUNT.size
    for _ in range(_count(data, _RIG.size)):
        _, sensors = _RIG.unpack_from(data, at)
        if sensors * _SENSOR_BYTES > len(data):
            raise ValueError
        at += _RIG.size + (_SENSOR_BYTES if sensors else 0)
        for _ in range(sensors - 1):
            at += _SENSOR_BYTES + 1 + (_POSE_BYTES if data[at + _SENSOR_BYTES : at + _SENSOR_BYTES + 1] > b"\0" else 0)
    return at


def _frames(data: bytes) -> int:
    at = _COUNT.size
    for _ in range(_count(data, _FRAME.size)):
        at += _FRAME.size + _DATA_BYTES * _FRAME.unpack_from(data, at)[2]
    return at


def _images(data: bytes) -> int:
    at = _COUNT.size
    for _ in range(_count(data, _IMAGE_BYTES + 1 + _COUNT.size)):
        at = data.index(b"\0", at + _IMAGE_BYTES) + 1
        at += _COUNT.size + _KEYPOINT_BYTES * _COUNT.unpack_from(data, at)[0]
    return at


def _points(data: bytes) -> int:
    at = _COUNT.size
    for _ in range(_count(data, _POINT.size)):
        at += _POINT.size + _OBSERVATION_BYTES * _POINT.unpack_from(data, at)[2]
    return at


_WALKS: dict[str, Callable[[bytes], int]] = {
    "cameras.bin": _cameras,
    "rigs.bin": _rigs,
    "frames.bin": _frames,
    "images.bin": _images,
    "points3D.bin": _points,
}
