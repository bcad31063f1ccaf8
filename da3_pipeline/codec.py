"""Frozen artefacts to a folder of `artefact.json` and `arrays.npz`, and back, bit for bit."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from . import types
from .geometry.cameras import Camera, PixelMap

__all__ = ["read_artefact", "write_artefact"]

_CLASSES: dict[str, type] = {
    cls.__name__: cls for cls in (Camera, PixelMap, *(getattr(types, name) for name in types.__all__))
}


def write_artefact(artefact: Any, folder: Path, root: Path) -> None:
    """Write an artefact of `types` into an existing folder; paths below `root` are kept relative to it."""
    arrays: dict[str, np.ndarray] = {}

    def encode(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            key = f"a{len(arrays)}"
            arrays[key] = value
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


def read_artefact(folder: Path, root: Path) -> Any:
    """The artefact that `write_artefact` wrote. Raises OSError, ValueError or KeyError where the folder is damaged."""
    document = json.loads((folder / "artefact.json").read_text(encoding="utf-8"))
    with np.load(folder / "arrays.npz", allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}

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
