"""Chunks kept on disk, so that memory holds a few frames and a killed run resumes.

`WORKSPACE/<name>/` holds one .npy file for each field of the views, and `chunk.json`: which frames were seen, which
could not be read, a digest of everything that decided the result, and stamps of the files. A folder is written beside
its place and renamed into it, so it is either whole or absent; one with another digest, or with a file that is not what
it was, is as good as absent.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...arrays import Bool, Int
from ...files.fingerprint import fingerprint
from ...files.integrity import damaged, stamps_of
from ..views import RawViews
from .array_file import ArrayFile

__all__ = ["ChunkStore", "StoredChunk", "discard_chunks", "recall", "remember"]


_MAPS = frozenset({"depth", "conf", "sky", "gaussians"})
"""Fields of the size of pictures, which stay on disk; the others are small and are kept in memory as well."""

_COMPARED = frozenset({"depth", "conf", "sky"})
"""Of these, what chunks are compared by."""


@dataclass(frozen=True)
class StoredChunk:
    """What one pass of the network predicted, on disk.

    `indices` (V,) ascending frames it saw; `usable` (V,); `unreadable`: frame to reason.
    """

    folder: Path
    indices: Int
    usable: Bool
    unreadable: dict[int, str]
    small: dict[str, NDArray[Any]]
    maps: dict[str, ArrayFile]

    def __len__(self) -> int:
        return len(self.indices)

    def views(self, positions: Sequence[int] | Int) -> RawViews:
        """The views at positions (0..V-1) within this chunk, read into memory; without fields heavier than depth."""
        chosen = np.asarray(positions, np.int64)
        arrays = {name: array[chosen] for name, array in self.small.items()}
        for name in _COMPARED & self.maps.keys():
            file = self.maps[name]
            room = np.empty((len(chosen), *file.shape[1:]), file.dtype)
            for row, position in enumerate(chosen):
                room[row] = file[int(position)]
            arrays[name] = room
        return RawViews(**arrays)


class ChunkStore:
    """The chunks below one folder; `settings` is a digest of all that decides a result but the frames in a chunk."""

    def __init__(self, folder: Path, settings: str, fingerprints: Sequence[str]) -> None:
        self.folder = folder
        self._settings = settings
        self._fingerprints = fingerprints
        folder.mkdir(parents=True, exist_ok=True)

    def find(self, name: str) -> StoredChunk | None:
        """The chunk of this name; None where it is absent, damaged, or made of other frames or settings."""
        folder = self.folder / name
        try:
            record = json.loads((folder / "chunk.json").read_text(encoding="utf-8"))
            indices = np.array(record["indices"], np.int64)
            unreadable = {int(index): str(reason) for index, reason in record["unreadable"]}
            if record["digest"] != self._digest(indices, unreadable) or damaged(folder, record["files"]):
                return None
            fields = [str(field) for field in record["fields"]]
            maps = {field: ArrayFile(folder / f"{field}.npy") for field in fields if field in _MAPS}
            small = {field: np.load(folder / f"{field}.npy") for field in fields if field not in _MAPS}
            usable = np.array(record["usable"], bool)
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            return None
        return StoredChunk(folder, indices, usable, unreadable, small, maps)

    def keep(self, name: str, indices: Int, views: RawViews, unreadable: dict[int, str] | None = None) -> StoredChunk:
        """Write a chunk and return it as `find` would."""
        folder, fresh = self.folder / name, self.folder / f"{name}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            fresh.mkdir()
            self._write(fresh, indices, views, unreadable or {})
        except OSError:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
        kept = self.find(name)
        if kept is None:
            raise OSError(f"{folder}: what was just written cannot be read back")
        return kept

    def _write(self, folder: Path, indices: Int, views: RawViews, unreadable: dict[int, str]) -> None:
        arrays = views.arrays()
        for field, array in arrays.items():
            np.save(folder / f"{field}.npy", array)
        record = {
            "digest": self._digest(indices, unreadable),
            "indices": indices.tolist(),
            "usable": views.usable().tolist(),
            "unreadable": sorted(unreadable.items()),
            "fields": sorted(arrays),
            "files": stamps_of(folder, sorted(folder.iterdir())),
        }
        (folder / "chunk.json").write_text(json.dumps(record), encoding="utf-8")

    def _digest(self, indices: Int, unreadable: dict[int, str]) -> str:
        seen = [self._fingerprints[index] for index in indices]
        return fingerprint(self._settings, indices.tolist(), seen, sorted(unreadable.items()))


def remember(folder: Path, key: str, settings: dict[str, Any]) -> None:
    """Note the settings that a run with this key began with, so that a later one can go on with the same."""
    fresh = folder / "plan.json.new"
    fresh.write_text(json.dumps({"key": key, "settings": settings}), encoding="utf-8")
    fresh.replace(folder / "plan.json")


def recall(folder: Path, key: str) -> dict[str, Any]:
    """What was noted under this key; empty where nothing was."""
    try:
        document = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        return dict(document["settings"]) if document["key"] == key else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def discard_chunks(folder: Path) -> None:
    """Give back the disk space of finished chunks below a workspace; the maps of the finished prediction stay."""
    for one in folder.glob("*/chunk.json"):
        shutil.rmtree(one.parent, ignore_errors=True)
