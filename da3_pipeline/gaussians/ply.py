"""The PLY file of 3D Gaussian Splatting, as INRIA's code writes it and every viewer reads it.

Properties, all float32, little endian: x y z, nx ny nz (zero), f_dc_0..2, f_rest_* (all of red's higher harmonics, then
green's, then blue's), opacity (logit), scale_0..2 (natural logarithm), rot_0..3 (w, x, y, z).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..arrays import Float32
from ..errors import CaptureError
from ..guard.foreign import reading
from ..types import GaussianCloud
from .harmonics import BASES
from .selection import finite, subset, with_bands

__all__ = ["LOGIT_LIMIT", "SMALLEST_SCALE", "read_gaussians_ply", "write_gaussians_ply"]

LOGIT_LIMIT = 20.0
"""Opacities 0 and 1 have infinite logits; the file says -20 and 20, which float32 reads back as 2e-9 and 1."""

SMALLEST_SCALE = 1e-12
"""Stands for a scale of zero, which has no logarithm; renderers' low-pass filters make nothing of either."""

_AT_ONCE = 1 << 17
_REQUIRED = ("x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1", "scale_2")
_QUATERNION = ("rot_0", "rot_1", "rot_2", "rot_3")
_PLY_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "<i2", "int16": "<i2", "ushort": "<u2",
    "uint16": "<u2", "int": "<i4", "int32": "<i4", "uint": "<u4", "uint32": "<u4", "float": "<f4", "float32": "<f4",
    "double": "<f8", "float64": "<f8",
}  # fmt: skip


def write_gaussians_ply(path: Path, cloud: GaussianCloud, degree: int = 3, comments: Sequence[str] = ()) -> None:
    """Write the finite Gaussians of a cloud, in its order. `view` has no place in the format.

    comments: lines of the header. degree: of the file's harmonics; higher bands are cut, missing ones are zero. INRIA's
    own reader and viewer take degree 3 alone, other viewers any. Rotations are normalised, opacities clamped to 0..1.
    """
    whole = finite(cloud)
    cloud = with_bands(cloud if whole.all() else subset(cloud, whole), BASES[degree])
    names = _property_names(BASES[degree])
    properties = "".join(f"property float {name}\n" for name in names)
    told = "".join(f"comment {line}\n" for line in comments)
    header = f"ply\nformat binary_little_endian 1.0\n{told}element vertex {len(cloud)}\n{properties}end_header\n"
    with path.open("wb") as file:
        file.write(header.encode("ascii"))
        for start in range(0, len(cloud), _AT_ONCE):
            file.write(_rows(cloud, slice(start, start + _AT_ONCE), len(names)).tobytes())


@reading(CaptureError, "copy or export it again")
def read_gaussians_ply(path: Path) -> GaussianCloud:
    """The cloud of a binary 3DGS PLY file of any degree; `view` is 0. Properties that are not ours are skipped.

    Raises CaptureError for a file that is no such PLY, or shorter than it says.
    """
    dtype, count, offset = _read_header(path)
    missing = [name for name in (*_REQUIRED, *_QUATERNION) if name not in (dtype.names or ())]
    if missing:
        raise CaptureError(f"{path}: not a Gaussian-splatting PLY (it lacks {missing[0]}); give one of 3DGS format")
    if path.stat().st_size < offset + count * dtype.itemsize:
        raise CaptureError(f"{path}: shorter than the {count} Gaussians it announces; copy or export it again")
    rows = np.fromfile(path, dtype, count, offset=offset)
    rest = sorted((name for name in rows.dtype.names or () if name.startswith("f_rest_")), key=lambda n: int(n[7:]))
    if len(rest) // 3 + 1 not in BASES or len(rest) % 3:
        raise CaptureError(f"{path}: {len(rest)} f_rest properties are of no degree from 0 to 3; export it again")
    higher = _columns(rows, rest).reshape(count, 3, len(rest) // 3)
    rotations = _columns(rows, _QUATERNION)
    length = np.linalg.norm(rotations, axis=1, keepdims=True)
    return GaussianCloud(
        _columns(rows, ("x", "y", "z")),
        np.exp(_columns(rows, ("scale_0", "scale_1", "scale_2"))),
        np.where(length > 0, rotations / np.where(length > 0, length, 1), np.array([1, 0, 0, 0], np.float32)),
        np.concatenate([_columns(rows, ("f_dc_0", "f_dc_1", "f_dc_2"))[:, :, None], higher], axis=2),
        _sigmoid(rows["opacity"].astype(np.float32)),
        np.zeros(count, np.int32),
    )


def _property_names(harmonics: int) -> list[str]:
    rest = [f"f_rest_{k}" for k in range(3 * (harmonics - 1))]
    return ["x", "y", "z", "nx", "ny", "nz", *_REQUIRED[3:6], *rest, *_REQUIRED[6:], *_QUATERNION]


def _rows(cloud: GaussianCloud, part: slice, width: int) -> Float32:
    means, rotations = cloud.means[part], cloud.rotations[part].astype(np.float64)
    harmonics = cloud.harmonics[part]
    opacity = np.clip(cloud.opacities[part].astype(np.float64), 0, 1)
    with np.errstate(divide="ignore"):
        logit = np.clip(np.log(opacity) - np.log1p(-opacity), -LOGIT_LIMIT, LOGIT_LIMIT)
    rows = np.zeros((len(means), width), "<f4")
    rows[:, 0:3] = means
    rows[:, 6:9] = harmonics[:, :, 0]
    rows[:, 9:-8] = harmonics[:, :, 1:].reshape(len(means), width - 17)
    rows[:, -8] = logit
    rows[:, -7:-4] = np.log(np.maximum(cloud.scales[part], SMALLEST_SCALE))
    rows[:, -4:] = rotations / np.linalg.norm(rotations, axis=1, keepdims=True)
    return rows


def _columns(rows: NDArray[np.void], names: tuple[str, ...] | list[str]) -> Float32:
    columns = np.empty((len(rows), len(names)), np.float32)
    for index, name in enumerate(names):
        columns[:, index] = rows[name]
    return columns


def _sigmoid(logit: Float32) -> Float32:
    positive = np.exp(-np.abs(logit.astype(np.float64)))
    return np.where(logit >= 0, 1 / (1 + positive), positive / (1 + positive)).astype(np.float32)


def _read_header(path: Path) -> tuple[np.dtype[np.void], int, int]:
    """The vertices' dtype, their number, and where they begin; vertices must be the first element."""
    with path.open("rb") as file:
        head = file.read(1 << 16)
    text, found, _ = head.partition(b"end_header\n")
    lines = text.decode("ascii", "replace").splitlines()
    if not found or not lines or lines[0] != "ply" or "format binary_little_endian 1.0" not in lines:
        raise CaptureError(f"{path}: not a binary little-endian PLY file; convert it, or export it again")
    elements = [index for index, line in enumerate(lines) if line.startswith("element ")]
    vertex = re.fullmatch(r"element vertex (\d+)\s*", lines[elements[0]]) if elements else None
    if vertex is None:
        raise CaptureError(f"{path}: its first element is not 'vertex'; give a Gaussian-splatting PLY")
    body = lines[elements[0] + 1 : elements[1] if len(elements) > 1 else None]
    properties = [line.split() for line in body if line.startswith("property ")]
    if any(len(words) != 3 or words[1] not in _PLY_TYPES for words in properties):
        raise CaptureError(f"{path}: its vertices hold lists; give a Gaussian-splatting PLY")
    dtype = np.dtype([(name, _PLY_TYPES[kind]) for _, kind, name in properties])
    return dtype, int(vertex[1]), len(text) + len(found)
