"""The encodings in which data sets store depth, as float32 with 0 where nothing is known."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np

from ...arrays import Float, Float32
from ...errors import CaptureError, MissingExtraError
from .contract import unreadable

__all__ = ["read_depth_png", "read_half_float_png", "read_hdf5", "read_pfm"]

_PFM_HEADER = re.compile(rb"^Pf\s+(\d+)\s+(\d+)\s+(-?[0-9.]+(?:[eE][-+]?\d+)?)\s")


def read_depth_png(path: Path, units: float, unknown: int = 0) -> Float32:
    """(h, w) of 16-bit integers of `units` each; the value `unknown` and 0 mean that nothing is known."""
    stored = _read_png(path)
    return np.where(stored == unknown, 0, stored * np.float32(units)).astype(np.float32)


def read_half_float_png(path: Path, factor: float) -> Float32:
    """(h, w) of half floats whose bits are stored as 16-bit integers, times `factor`."""
    values = _read_png(path).view(np.float16).astype(np.float32) * np.float32(factor)
    return np.where(np.isfinite(values) & (values > 0), values, 0).astype(np.float32)


def read_pfm(path: Path) -> Float32:
    """(h, w) of a grey portable float map, whose rows run from the bottom up."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CaptureError(f"{path} cannot be read ({error}): download the scene again") from error
    header = _PFM_HEADER.match(data)
    if header is None:
        raise CaptureError(f"{path} is no grey PFM: download the scene again")
    width, height, scale = int(header[1]), int(header[2]), float(header[3])
    if len(data) - header.end() < 4 * width * height:
        raise CaptureError(f"{path} is cut short: download the scene again")
    values = np.frombuffer(data, "<f4" if scale < 0 else ">f4", width * height, header.end())
    values = values.reshape(height, width)[::-1].astype(np.float32)
    return np.where(np.isfinite(values) & (values > 0), values, 0).astype(np.float32)


def read_hdf5(path: Path, key: str, data_set: str) -> Float:
    """One array of an HDF5 file, whatever is written in it. Raises MissingExtraError without h5py."""
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError(data_set, "train") from error
    try:
        with h5py.File(path) as file:
            return np.asarray(file[key][()], float)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise unreadable(path, data_set, error) from error


def _read_png(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if stored is None or stored.dtype != np.uint16 or stored.ndim != 2:
        raise CaptureError(f"{path} is no 16-bit grey PNG: download the scene again")
    return np.ascontiguousarray(stored)
