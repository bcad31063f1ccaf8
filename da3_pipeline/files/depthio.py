"""Depth maps that a sensor measured, from the files that programs keep them in: z-depth, NaN where it is not known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..arrays import Float, Float32
from ..errors import MissingExtraError
from ..guard.bounded import read_npy, read_npz
from ..guard.foreign import OverLimitError, reason
from ..guard.limits import LIMITS
from ..types import Frame, SensorDepth

__all__ = ["UnreadableDepthError", "depth_at", "read_depth"]

_NOTHING_MEASURED = 65535  # what 7-Scenes and others store in 16 bits for it


class UnreadableDepthError(OSError):
    """A depth map that cannot be decoded. `reason` is one clause without the path."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


def read_depth(depth: SensorDepth) -> Float32:
    """(h, w) z-depth, in metres or units of the known poses, NaN where it is unknown or its confidence too low.

    PNG, TIFF, PGM, NPY, NPZ; EXR and Record3D's LZFSE with the extra `sensors`. As the file is: not turned.
    Raises UnreadableDepthError, and MissingExtraError where the extra is missing.
    """
    stored = _stored(depth.path, depth.shape, np.dtype(np.float32))
    known = np.isfinite(stored) & (stored > 0)
    if stored.dtype == np.uint16:
        known &= stored != _NOTHING_MEASURED
    if depth.confidence is not None:
        confidence = _stored(depth.confidence, depth.shape, np.dtype(np.uint8))
        if confidence.shape != stored.shape:
            raise UnreadableDepthError(
                depth.confidence, f"is of {confidence.shape[::-1]} px, the depth map of {stored.shape[::-1]}"
            )
        known &= confidence >= depth.least_confidence
    return np.where(known, stored * np.float64(depth.unit), np.nan).astype(np.float32)


def depth_at(depth: Float32, frame: Frame, pixels: Float) -> Float32:
    """(n,) values of a frame's stored map (H, W) nearest to (n, 2) pixels of its upright picture; NaN beyond it."""
    stored, size = _stored_pixels(pixels, frame)
    own = frame.depth.pixel_map if frame.depth else None
    height, width = depth.shape
    places = stored * (np.array([width, height]) / size) if own is None else own.to_network(stored)
    column, row = np.floor(places).astype(np.int64).T
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    found = np.full(len(places), np.nan, np.float32)
    found[inside] = depth[row[inside], column[inside]]
    return found


def _stored_pixels(upright: Float, frame: Frame) -> tuple[Float, Float]:
    """Pixels of the picture as it is stored, before its quarter turns, and its size."""
    width, height = float(frame.width), float(frame.height)
    pixels = upright
    for _ in range((frame.depth.quarter_turns if frame.depth else 0) % 4):
        # Undoing a clockwise quarter: what is at (x, y) came from (y, width - x) of a picture on its side.
        pixels = np.stack([pixels[:, 1], width - pixels[:, 0]], axis=1)
        width, height = height, width
    return pixels, np.array([width, height])


def _stored(path: Path, shape: tuple[int, int] | None, raw: np.dtype[Any]) -> NDArray[Any]:
    """(h, w) numbers as they stand in the file; `shape` and `raw` are those of files that do not tell."""
    try:
        array = _decoded(path, shape, raw)
    except MissingExtraError:
        raise
    except Exception as error:  # decoders raise anything on damaged files
        raise UnreadableDepthError(path, f"cannot be read ({reason(error)})") from error
    if array.ndim == 3 and array.shape[2] in (1, 3, 4):
        array = array[:, :, 0]
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "fiu":
        raise UnreadableDepthError(path, f"holds {array.dtype} of shape {array.shape}, no map of numbers")
    return array


def _decoded(path: Path, shape: tuple[int, int] | None, raw: np.dtype[Any]) -> NDArray[Any]:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return read_npy(path)
    if suffix == ".npz":
        arrays = read_npz(path)
        return arrays["depth" if "depth" in arrays else next(iter(arrays))]
    if suffix == ".exr":
        return _exr(path)
    if suffix in (".depth", ".conf"):
        return _lzfse(path, shape, raw)
    with Image.open(path) as image:
        _check_pixels(*image.size)
        array = np.asarray(image)
    return array.astype(np.uint16) if image.mode.startswith("I;16") else array


def _check_pixels(width: int, height: int) -> None:
    if width * height > LIMITS.depth_megapixels * 1_000_000:
        raise OverLimitError(f"{width} x {height} px, more than {LIMITS.depth_megapixels} megapixels")


def _exr(path: Path) -> NDArray[Any]:
    try:
        import OpenEXR
    except ModuleNotFoundError:
        raise MissingExtraError(f"{path}: EXR", "sensors") from None
    channels = OpenEXR.File(str(path)).channels()
    name = next((name for name in ("Z", "Y", "depth", "R") if name in channels), next(iter(channels)))
    return np.asarray(channels[name].pixels)


def _lzfse(path: Path, shape: tuple[int, int] | None, raw: np.dtype[Any]) -> NDArray[Any]:
    try:
        import liblzfse
    except ModuleNotFoundError:
        raise MissingExtraError(f"{path}: Record3D's depth", "sensors") from None
    try:
        data = liblzfse.decompress(path.read_bytes())
    except liblzfse.error as error:
        raise ValueError(str(error)) from error
    if shape is None:
        raise ValueError("its size is not told")
    return np.frombuffer(data, raw).reshape(shape)
