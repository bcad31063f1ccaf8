"""`.spz`, Niantic's compressed Gaussians: a sixth to a tenth of the PLY file, read by most viewers.

Versions 3 and 4 are written, 2 to 4 are read; the source of the layout is the format's own implementation
(nianticlabs/spz, MIT). For all G Gaussians each there are positions (three 24-bit fixed-point numbers), opacities,
colours, scales, rotations, higher harmonics (coefficient by coefficient, red green blue). Up to version 3 they follow a
header of 16 bytes in one gzip stream. Version 4 has a plain header of 32 bytes, records of others up to the table of
contents, the sizes of each column there, compressed and not, and the same columns as Zstandard frames of their own.
Axes are right, up, back, where PLY files are taken as right, down, front: y and z change sign. A record of version 4
can say otherwise; one that says right, down, front is heeded, the others are refused.

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
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..arrays import Bytes, Float, Float32
from ..errors import CaptureError, MissingExtraError
from ..guard.foreign import OverLimitError, reading
from ..guard.limits import LIMITS
from ..types import GaussianCloud
from .harmonics import BASES, rotation_matrices
from .selection import finite, subset

__all__ = ["read_spz", "write_spz"]


Column = Callable[[slice], Bytes]

_HEADER = struct.Struct("<IIIBBBB")  # magic, version, count, degree, fractional bits, flags, reserved
_HEADER_4 = struct.Struct(
    "<IIIBBBBI12x"
)  # the same, where reserved was the number of columns; then where their sizes are
_MAGIC = 0x5053474E
_FIRST_WITH_SMALLEST_THREE = 3
_FIRST_IN_COLUMNS = 4
_HAS_RECORDS = 2  # of the flags
_AXES_RECORD = 0xADBE0003  # Adobe's; a number of one of 16 systems of axes, 0 for the format's own
_RIGHT_UP_BACK, _RIGHT_DOWN_FRONT = 4, 6
_ZSTD_LEVEL = 3  # of 22: of 200,000 random Gaussians 19 makes a file smaller by 0.01 % in twelve times the time
_MOST_FRACTIONAL_BITS = 20
_COLOUR_GAIN = 0.15
_FLIP = np.array([1.0, -1.0, -1.0])
_QUATERNION_FLIP = np.array([1.0, 1.0, -1.0, -1.0], np.float32)  # w x y z
_SMALLEST_THREE_STEPS = 511
_AT_ONCE = 1 << 18


def write_spz(path: Path, cloud: GaussianCloud, version: Literal[3, 4] = 3) -> None:
    """Write the finite Gaussians of a cloud, in its order and degree. The same cloud gives the same bytes.

    Version 4 raises MissingExtraError without zstandard.
    """
    whole = finite(cloud)
    cloud = cloud if whole.all() else subset(cloud, whole)
    bits = _fractional_bits(cloud.means)
    degree = BASES.index(cloud.harmonics.shape[2])
    columns = [column for column, width in zip(_columns(cloud, bits), _widths(degree, version), strict=True) if width]
    parts = [slice(start, start + _AT_ONCE) for start in range(0, len(cloud), _AT_ONCE)]
    if version < _FIRST_IN_COLUMNS:
        with path.open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as stream:
            stream.write(_HEADER.pack(_MAGIC, version, len(cloud), degree, bits, 0, 0))
            stream.writelines(column(part).tobytes() for column in columns for part in parts)
        return
    zstandard = _zstandard(path)
    plain = [b"".join(column(part).tobytes() for part in parts) for column in columns]
    frames = [zstandard.ZstdCompressor(_ZSTD_LEVEL).compress(column) for column in plain]
    sizes = [size for frame, column in zip(frames, plain, strict=True) for size in (len(frame), len(column))]
    header = _HEADER_4.pack(_MAGIC, version, len(cloud), degree, bits, 0, len(frames), _HEADER_4.size)
    path.write_bytes(header + struct.pack(f"<{len(sizes)}Q", *sizes) + b"".join(frames))


@reading(CaptureError, "copy or export it again")
def read_spz(path: Path) -> GaussianCloud:
    """The cloud of a file of version 2 to 4 and degree 0 to 3; `view` is 0. Raises CaptureError for anything else.

    Version 4 raises MissingExtraError without zstandard.
    """
    data = path.read_bytes()
    plain = data[:4] == _MAGIC.to_bytes(4, "little")
    if not plain:
        try:
            data = _unpacked(data)
        except (EOFError, zlib.error) as error:
            raise CaptureError(f"{path}: not a whole .spz file of version 2 to 4 ({error}); export it again") from error
    magic, version, count, degree, bits, _, _ = _HEADER.unpack(data[: _HEADER.size].ljust(_HEADER.size, b"\0"))
    if magic != _MAGIC or version not in ((4,) if plain else (2, 3)) or degree >= len(BASES):
        raise CaptureError(f"{path}: not an .spz file of version 2 to 4 and degree 0 to 3; export it again as such")
    if count > LIMITS.splats:
        raise OverLimitError(f"it announces {count:,} Gaussians, more than {LIMITS.splats:,}")
    widths = _widths(degree, version)
    turned = not plain or _is_turned(path, data)
    flip, quaternion_flip = (_FLIP, _QUATERNION_FLIP) if turned else (np.ones(3), np.ones(4, np.float32))
    wanted = [count * width for width in widths if width]
    data = _joined(path, data, wanted) if plain else data[_HEADER.size :]
    if len(data) < count * sum(widths):
        raise CaptureError(f"{path}: shorter than the {count} Gaussians it announces; copy or export it again")
    bounds = count * np.cumsum([0, *widths])
    values = np.frombuffer(data, np.uint8)
    columns = [values[bounds[k] : bounds[k + 1]].reshape(count, width) for k, width in enumerate(widths)]
    positions, opacities, colours, scales, rotations, harmonics = columns
    decode = _from_smallest_three if version >= _FIRST_WITH_SMALLEST_THREE else _from_first_three
    band_zero = (colours.astype(np.float32) / 255 - 0.5) / _COLOUR_GAIN
    higher = BASES[degree] - 1
    others = (harmonics.astype(np.float32) - 128).reshape(count, higher, 3).transpose(0, 2, 1) / 128
    harmonics = np.concatenate([band_zero[:, :, None], others], axis=2)
    return GaussianCloud(
        (_from_fixed_point(positions, bits) * flip).astype(np.float32),
        np.exp(scales.astype(np.float32) / 16 - 10),
        decode(rotations) * quaternion_flip,
        (harmonics * _harmonic_flips(higher + 1) if turned else harmonics).astype(np.float32),
        (opacities[:, 0] / 255).astype(np.float32),
        np.zeros(count, np.int32),
    )


def _unpacked(packed: bytes) -> bytes:
    """The one gzip stream of earlier versions, no longer than its header says: a few bytes can hold any number."""
    stream = zlib.decompressobj(wbits=31)
    head = stream.decompress(packed, _HEADER.size)
    if len(head) < _HEADER.size:
        raise EOFError("it ends within its header")
    _, version, count, degree, *_ = _HEADER.unpack(head)
    if degree >= len(BASES) or count > LIMITS.splats:
        return head
    body = stream.decompress(stream.unconsumed_tail, max(1, count * sum(_widths(degree, version))))
    if not stream.eof and not stream.decompress(stream.unconsumed_tail, 1) and not stream.eof:
        raise EOFError("its end is missing")
    return head + body


def _widths(degree: int, version: int) -> tuple[int, ...]:
    """Bytes a Gaussian of positions, opacities, colours, scales, rotations and higher harmonics."""
    return (9, 1, 3, 3, 4 if version >= _FIRST_WITH_SMALLEST_THREE else 3, 3 * (BASES[degree] - 1))


def _columns(cloud: GaussianCloud, bits: int) -> tuple[Column, ...]:
    """What gives each column's bytes, (n, width), of a part of the cloud."""
    flips = _harmonic_flips(cloud.harmonics.shape[2])
    return (
        lambda part: _fixed_point(cloud.means[part] * _FLIP, bits),
        lambda part: _byte(cloud.opacities[part] * 255.0),
        lambda part: _byte(cloud.harmonics[part, :, 0] * (_COLOUR_GAIN * 255) + 127.5),
        lambda part: _byte((np.log(np.maximum(cloud.scales[part], 1e-30)) + 10) * 16),
        lambda part: _smallest_three(cloud.rotations[part] * _QUATERNION_FLIP),
        lambda part: _byte((cloud.harmonics[part] * flips).transpose(0, 2, 1)[:, 1:] * 128 + 128),
    )


def _is_turned(path: Path, data: bytes) -> bool:
    """Whether a file of version 4 has the format's axes, and not those of PLY files."""
    *_, flags, _, table = _HEADER_4.unpack(data[: _HEADER_4.size].ljust(_HEADER_4.size, b"\0"))
    at, axes = _HEADER_4.size, _RIGHT_UP_BACK
    while flags & _HAS_RECORDS and at + 8 <= table:
        kind, size = struct.unpack_from("<II", data.ljust(table, b"\0"), at)
        if kind == _AXES_RECORD and size == 4:
            axes = int.from_bytes(data[at + 8 : at + 12], "little")
        at += 8 + size
    if axes not in (0, _RIGHT_UP_BACK, _RIGHT_DOWN_FRONT):
        raise CaptureError(f"{path}: its record of axes names system {axes}, not 4 or 6; export it again as such")
    return axes != _RIGHT_DOWN_FRONT


def _joined(path: Path, data: bytes, wanted: Sequence[int]) -> bytes:
    """The columns of a file of version 4, of `wanted` bytes each, as they follow each other in the earlier ones."""
    zstandard = _zstandard(path)
    *_, count, table = _HEADER_4.unpack(data[: _HEADER_4.size].ljust(_HEADER_4.size, b"\0"))
    sizes = np.frombuffer(data[table : table + 16 * count], "<u8")
    if count != len(wanted) or sizes[1::2].tolist() != list(wanted) or sizes[::2].sum() > len(data):
        raise CaptureError(f"{path}: has not the columns that its header announces; copy or export it again")
    bounds = table + 16 * count + np.cumsum([0, *sizes[::2].tolist()])
    frames = [data[start:end] for start, end in pairwise(bounds.tolist())]
    try:
        if any(zstandard.frame_content_size(frame) > size for frame, size in zip(frames, wanted, strict=True)):
            raise OverLimitError("its columns are longer than its header says")
        return b"".join(
            zstandard.ZstdDecompressor().decompress(frame, max_output_size=size)
            for frame, size in zip(frames, wanted, strict=True)
        )
    except zstandard.ZstdError as error:
        raise CaptureError(f"{path}: not a whole .spz file of version 4 ({error}); copy or export it again") from error


def _zstandard(path: Path) -> Any:
    try:
        import zstandard
    except ImportError:
        raise MissingExtraError(f"{path}: .spz of version 4", "spz4") from None
    return zstandard


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
