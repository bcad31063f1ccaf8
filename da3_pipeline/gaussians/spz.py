"""`.spz`, Niantic's compressed Gaussians: a sixth to a tenth of the PLY file, read by most viewers.

Version 3 is written, versions 2 and 3 are read; the source of the layout is the format's own implementation
(nianticlabs/spz, MIT). A gzip stream holds a header of 16 bytes and then, for all G Gaussians each: positions (three
24-bit fixed-point numbers), opacities, colours, scales, rotations, higher harmonics (coefficient by coefficient, red
green blue). Axes are right, up, back, where PLY files are taken as right, down, front: y and z change sign.

What is lost: of positions 2^-(bits + 1), with as many fractional bits (20 at most) as the extent leaves, that is
1.2e-7 of the largest coordinate or 4.8e-7; of opacities 0.002; of colours 0.0037 (0.013 in the coefficient); of sizes
3.2 % (0.031 in the logarithm, within 4.5e-5..380); of components of rotations 0.0021, 0.2 degrees; of higher harmonics
0.004. Values outside a range (scales, as given; colours -0.44..1.44; higher harmonics -0.99..0.99) are clamped to it.

No library: of those for Python, gsply (0.4.6) needs a just-in-time compiler, and both it and gaussforge (0.6.0) store
the axes of the PLY file unchanged.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..arrays import Bytes, Float, Float32
from ..errors import CaptureError
from ..types import GaussianCloud
from .harmonics import BASES, rotation_matrices
from .selection import finite, subset

__all__ = ["read_spz", "write_spz"]


_HEADER = struct.Struct("<IIIBBBB")  # magic, version, count, degree, fractional bits, flags, reserved
_MAGIC = 0x5053474E
_VERSION = 3
_FIRST_WITH_SMALLEST_THREE = 3
_MOST_FRACTIONAL_BITS = 20
_COLOUR_GAIN = 0.15
_FLIP = np.array([1.0, -1.0, -1.0])
_QUATERNION_FLIP = np.array([1.0, 1.0, -1.0, -1.0], np.float32)  # w x y z
_SMALLEST_THREE_STEPS = 511
_AT_ONCE = 1 << 18


def write_spz(path: Path, cloud: GaussianCloud) -> None:
    """Write the finite Gaussians of a cloud, in its order and degree. The same cloud gives the same bytes."""
    whole = finite(cloud)
    cloud = cloud if whole.all() else subset(cloud, whole)
    bits = _fractional_bits(cloud.means)
    degree = BASES.index(cloud.harmonics.shape[2])
    flips = _harmonic_flips(cloud.harmonics.shape[2])
    columns: tuple[Callable[[slice], Bytes], ...] = (
        lambda part: _fixed_point(cloud.means[part] * _FLIP, bits),
        lambda part: _byte(cloud.opacities[part] * 255.0),
        lambda part: _byte(cloud.harmonics[part, :, 0] * (_COLOUR_GAIN * 255) + 127.5),
        lambda part: _byte((np.log(np.maximum(cloud.scales[part], 1e-30)) + 10) * 16),
        lambda part: _smallest_three(cloud.rotations[part] * _QUATERNION_FLIP),
        lambda part: _byte((cloud.harmonics[part] * flips).transpose(0, 2, 1)[:, 1:] * 128 + 128),
    )
    with path.open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as stream:
        stream.write(_HEADER.pack(_MAGIC, _VERSION, len(cloud), degree, bits, 0, 0))
        for column in columns:
            for start in range(0, len(cloud), _AT_ONCE):
                stream.write(column(slice(start, start + _AT_ONCE)).tobytes())


def read_spz(path: Path) -> GaussianCloud:
    """The cloud of a file of version 2 or 3 and degree 0 to 3; `view` is 0. Raises CaptureError for anything else."""
    try:
        data = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CaptureError(f"{path}: not a whole .spz file of version 2 or 3 ({error}); export it again") from error
    magic, version, count, degree, bits, _, _ = _HEADER.unpack(data[:16].tobytes().ljust(16, b"\0"))
    if magic != _MAGIC or version not in (2, 3) or degree >= len(BASES):
        raise CaptureError(f"{path}: not an .spz file of version 2 or 3 and degree 0 to 3; export it again as such")
    higher = BASES[degree] - 1
    rotation_bytes = 4 if version >= _FIRST_WITH_SMALLEST_THREE else 3
    widths = (9, 1, 3, 3, rotation_bytes, 3 * higher)
    if len(data) < 16 + count * sum(widths):
        raise CaptureError(f"{path}: shorter than the {count} Gaussians it announces; copy or export it again")
    bounds = 16 + count * np.cumsum([0, *widths])
    columns = [data[bounds[k] : bounds[k + 1]].reshape(count, width) for k, width in enumerate(widths)]
    positions, opacities, colours, scales, rotations, harmonics = columns
    decode = _from_smallest_three if rotation_bytes == 4 else _from_first_three
    band_zero = (colours.astype(np.float32) / 255 - 0.5) / _COLOUR_GAIN
    others = (harmonics.astype(np.float32) - 128).reshape(count, higher, 3).transpose(0, 2, 1) / 128
    return GaussianCloud(
        (_from_fixed_point(positions, bits) * _FLIP).astype(np.float32),
        np.exp(scales.astype(np.float32) / 16 - 10),
        decode(rotations) * _QUATERNION_FLIP,
        (np.concatenate([band_zero[:, :, None], others], axis=2) * _harmonic_flips(higher + 1)).astype(np.float32),
        (opacities[:, 0] / 255).astype(np.float32),
        np.zeros(count, np.int32),
    )


def _fractional_bits(means: Float32) -> int:
    """As many as let the largest coordinate fit into 23 bits and a sign, 1 to 20."""
    largest = float(np.abs(means).max(initial=0.0))
    spare = int(np.floor(np.log2((2**23 - 1) / largest))) if largest > 0 else _MOST_FRACTIONAL_BITS
    return int(np.clip(spare, 1, _MOST_FRACTIONAL_BITS))


def _harmonic_flips(count: int) -> Float32:
    """(K,) signs that harmonics take when y and z change sign: half a turn about x."""
    return np.round(np.diagonal(rotation_matrices(np.diag(_FLIP), count))).astype(np.float32)


def _byte(values: NDArray[np.floating]) -> Bytes:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _fixed_point(positions: Float, bits: int) -> Bytes:
    """(n, 9) little-endian 24-bit two's complement."""
    limit = 2**23 - 1
    steps = np.clip(np.round(positions * 2**bits), -limit, limit).astype("<i4")
    return steps[:, :, None].view(np.uint8)[:, :, :3].reshape(len(positions), 9)


def _from_fixed_point(data: Bytes, bits: int) -> Float:
    words = np.zeros((len(data), 3, 4), np.uint8)
    words[:, :, 1:] = data.reshape(-1, 3, 3)  # the upper three bytes: an arithmetic shift then extends the sign
    return (words.view("<i4")[:, :, 0] >> 8) / 2.0**bits


def _smallest_three(quaternions: Float32) -> Bytes:
    """(n, 4): the index of the largest of x y z w in two bits, the others in nine bits and a sign each."""
    q = np.roll(quaternions.astype(np.float64), -1, axis=1)
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    largest = np.abs(q).argmax(axis=1)
    q *= np.where(np.take_along_axis(q, largest[:, None], axis=1) < 0, -1, 1)
    steps = np.minimum(np.floor(np.abs(q) * (np.sqrt(2) * _SMALLEST_THREE_STEPS) + 0.5), _SMALLEST_THREE_STEPS)
    codes = steps.astype(np.uint32) | ((q < 0).astype(np.uint32) << 9)
    packed = largest.astype("<u4")
    for axis in range(4):
        packed = np.where(largest == axis, packed, (packed << 10) | codes[:, axis]).astype("<u4")
    return packed[:, None].view(np.uint8)


def _from_smallest_three(data: Bytes) -> Float32:
    """(n, 4) w x y z."""
    packed = np.ascontiguousarray(data).view("<u4")[:, 0]
    largest = packed >> 30
    q = np.zeros((len(data), 4))
    for axis in (3, 2, 1, 0):
        here = largest != axis
        magnitude = (packed & 511) / (np.sqrt(2) * _SMALLEST_THREE_STEPS)
        q[:, axis] = np.where(here, np.where(packed & 512, -magnitude, magnitude), 0)
        packed = np.where(here, packed >> 10, packed)
    rest = np.sqrt(np.maximum(1 - (q**2).sum(axis=1), 0))
    np.put_along_axis(q, largest[:, None].astype(np.intp), rest[:, None], axis=1)
    return np.roll(q, 1, axis=1).astype(np.float32)


def _from_first_three(data: Bytes) -> Float32:
    """(n, 4) w x y z of version 2: x, y, z in a byte each, w from the unit length."""
    xyz = data.astype(np.float64) / 127.5 - 1
    w = np.sqrt(np.maximum(1 - (xyz**2).sum(axis=1), 0))
    return np.concatenate([w[:, None], xyz], axis=1).astype(np.float32)
