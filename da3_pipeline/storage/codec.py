"""Frozen artefacts to a folder of `artefact.json`, `arrays.npz` and one .npy file for each large array, and back.

Bit for bit. Large arrays come back memory-mapped; one that is the memory map of a whole .npy file is not written again
but linked, so that a long capture's maps exist once, however many artefacts hold them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import mmap
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from .. import types
from ..geometry.cameras import Camera, PixelMap
from ..geometry.equirectangular import Equirectangular, FisheyeLens, FisheyePair

__all__ = ["read_artefact", "write_artefact"]

_LARGE_BYTES = 64 * 2**20

_CLASSES: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        Camera,
        Equirectangular,
        FisheyeLens,
        FisheyePair,
        PixelMap,
        *(getattr(types, name) for name in types.__all__),
    )
}


def write_artefact(artefact: Any, folder: Path, root: Path) -> None:
    """Write an artefact of `types` into an existing folder; paths below `root` are kept relative to it."""
    arrays: dict[str, np.ndarray] = {}
    files: dict[str, np.ndarray] = {}

    def encode(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            key = f"a{len(arrays) + len(files)}"
            (files if _is_file(value) or value.nbytes >= _LARGE_BYTES else arrays)[key] = value
            return {"$array": key}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
            return {"$type": type(value).__name__, "fields": fields}
        if isinstance(value, Path):
            inside = value.is_relative_to(root)
            return {"$path": str(value.relative_to(root) if inside else value), "inside": inside}
        if isinstance(value, dict):
            return {"$dict": [[encode(k), encode(v)] for k, v in value.items()]}
        if isinstance(value, (tuple, list)):
            return [encode(item) for item in value]
        if isinstance(value, np.generic):
            return value.item()
        return value

    document = encode(artefact)
    (folder / "artefact.json").write_text(json.dumps(document), encoding="utf-8")
    np.savez(folder / "arrays.npz", **arrays)  # type: ignore[arg-type]
    for key, array in files.items():
        _write_file(array, folder / f"{key}.npy")


def read_artefact(folder: Path, root: Path) -> Any:
    """What `write_artefact` wrote. Raises OSError, ValueError, KeyError or BadZipFile where it is damaged."""
    document = json.loads((folder / "artefact.json").read_text(encoding="utf-8"))
    with (folder / "arrays.npz").open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    arrays |= {path.stem: np.load(path, mmap_mode="r", allow_pickle=False) for path in folder.glob("*.npy")}

    def decode(value: Any) -> Any:
        if isinstance(value, list):
            return tuple(decode(item) for item in value)
        if not isinstance(value, dict):
            return value
        if "$array" in value:
            return arrays[value["$array"]]
        if "$path" in value:
            return root / value["$path"] if value["inside"] else Path(value["$path"])
        if "$dict" in value:
            return {decode(k): decode(v) for k, v in value["$dict"]}
        fields = {name: decode(item) for name, item in value["fields"].items()}
        return _CLASSES[value["$type"]](**fields)

    return decode(document)


def _is_file(array: np.ndarray) -> bool:
    """Whether an array is the memory map of a whole .npy file, and not of a part of it."""
    if not (isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap) and array.filename):
        return False
    try:
        now = np.load(array.filename, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return False
    same = now.shape == array.shape and now.dtype == array.dtype and now.flags.c_contiguous == array.flags.c_contiguous
    ends = slice(None, None, max(1, len(array) - 1)) if array.ndim and len(array) else slice(0)
    return bool(same and np.array_equal(now[ends], array[ends], equal_nan=array.dtype.kind == "f"))


def _write_file(array: np.ndarray, path: Path) -> None:
    """Link the file that an array is mapped from; copy it where the file system has no links; else write the array."""
    if isinstance(array, np.memmap) and array.filename and _is_file(array):
        with contextlib.suppress(OSError):
            os.link(array.filename, path)
            return
        shutil.copyfile(array.filename, path)
    else:
        np.save(path, array)
