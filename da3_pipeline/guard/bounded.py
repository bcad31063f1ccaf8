"""Documents and arrays from files, read when what the file promises is within the limits, and refused unread if not.

All raise OverLimitError, a ValueError, for what is beyond `limits`; else what json, numpy and zipfile raise.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from .foreign import OverLimitError
from .limits import LIMITS

__all__ = ["check_document", "check_growth", "read_document", "read_json", "read_npy", "read_npz"]

_MB, _GB = 1e6, 1e9


def check_document(path: Path) -> None:
    """Refuse a file that is longer than documents are."""
    size, most = path.stat().st_size, LIMITS.document_bytes
    if size > most:
        raise OverLimitError(f"it has {size / _MB:,.0f} MB, more than the {most / _MB:,.0f} of such a file")


def read_document(path: Path, errors: str = "strict") -> str:
    """The text of a UTF-8 file, without the mark that programs of Windows begin it with."""
    check_document(path)
    return path.read_text(encoding="utf-8-sig", errors=errors)


def read_json(path: Path) -> Any:
    """The document of a JSON file."""
    try:
        return json.loads(read_document(path))
    except RecursionError:
        raise OverLimitError("it is nested too deeply") from None


def read_npy(path: Path) -> NDArray[Any]:
    """The array of an .npy file, which must be as long as its header says."""
    with path.open("rb") as file:
        promised = _promised(file)
        if promised > path.stat().st_size - file.tell():
            raise OverLimitError(f"it announces {promised / _MB:,.0f} MB and is shorter")
        file.seek(0)
        return np.asarray(np.load(file, allow_pickle=False))


def read_npz(path: Path, wanted: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file, or those of `wanted` that it has, as long as each is what its header says.

    Raises ValueError for a file that holds a single array.
    """
    with path.open("rb") as stream:
        if not zipfile.is_zipfile(stream):
            raise ValueError("it holds a single array, or none")
        stream.seek(0)
        with zipfile.ZipFile(stream) as archive:
            members = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
            chosen = {key: entry for key, entry in members.items() if wanted is None or key in wanted}
            check_growth(sum(entry.file_size for entry in chosen.values()), path.stat().st_size)
            return {key: _member(archive, key, entry) for key, entry in chosen.items()}


def check_growth(unpacked: int, packed: int) -> None:
    """Refuse what would grow as no measurements do."""
    if unpacked > LIMITS.free_to_grow_bytes and unpacked > LIMITS.most_growth * packed:
        grown = f"from {packed / _MB:,.1f} MB to {unpacked / _GB:,.1f} GB"
        raise OverLimitError(f"it would grow {grown}, as no measurements do")


def _member(archive: zipfile.ZipFile, key: str, entry: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(entry) as file:
        promised = _promised(file)
    if promised > entry.file_size:
        raise OverLimitError(f"its array {key} announces {promised / _MB:,.0f} MB and is shorter")
    with archive.open(entry) as file:
        return np.asarray(np.lib.format.read_array(file, allow_pickle=False))


def _promised(file: IO[bytes]) -> int:
    """Bytes of the values that follow an array's header; `file` is left where they begin."""
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"its arrays are of version {version} of the format")
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("it holds pickled objects")
    if any(length < 0 for length in shape):
        raise ValueError(f"its array has the shape {shape}")
    return math.prod(shape) * dtype.itemsize
