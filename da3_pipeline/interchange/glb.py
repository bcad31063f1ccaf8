"""Binary glTF 2.0 (Khronos): a JSON document and one buffer in a file; here of points, lines, cameras and splats."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["GlbFile", "upright"]

_MAGIC, _VERSION, _JSON, _BINARY = 0x46546C67, 2, 0x4E4F534A, 0x004E4942
_COMPONENTS = {np.dtype("<f4"): 5126, np.dtype("u1"): 5121, np.dtype("<u4"): 5125}
_TYPES = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}


def upright() -> NDArray[np.float64]:
    """(3, 3) rotation from a world with z up to glTF's, with y up."""
    return np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


class GlbFile:
    """A file in the making: add arrays, meshes and nodes, then `write` it."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._views: list[dict[str, Any]] = []
        self._accessors: list[dict[str, Any]] = []
        self._meshes: list[dict[str, Any]] = []
        self._cameras: list[dict[str, Any]] = []
        self._nodes: list[dict[str, Any]] = []
        self._extensions: list[str] = []

    def array(self, values: NDArray[Any], *, bounds: bool = False, normalised: bool = False) -> int:
        """Add (n,) or (n, c) values of float32, uint8 or uint32; gives their accessor. Positions need their bounds."""
        values = np.ascontiguousarray(values)
        while len(self._buffer) % 4:
            self._buffer.append(0)
        self._views.append({"buffer": 0, "byteOffset": len(self._buffer), "byteLength": values.nbytes})
        self._buffer += values.tobytes()
        accessor: dict[str, Any] = {
            "bufferView": len(self._views) - 1,
            "componentType": _COMPONENTS[values.dtype],
            "count": len(values),
            "type": _TYPES[1 if values.ndim == 1 else values.shape[1]],
        }
        if bounds:
            accessor |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        if normalised:
            accessor["normalized"] = True
        self._accessors.append(accessor)
        return len(self._accessors) - 1

    def mesh(self, name: str, attributes: dict[str, int], mode: int, **more: Any) -> None:
        """Add a node with a mesh of one primitive: mode 0 are points, 1 pairs of points that a line joins."""
        self._meshes.append({"name": name, "primitives": [{"attributes": attributes, "mode": mode, **more}]})
        self._nodes.append({"name": name, "mesh": len(self._meshes) - 1})

    def camera(self, name: str, world_from_camera: NDArray[np.float64], height_rad: float, aspect: float) -> None:
        """Add a camera that looks along its -z, as glTF's do; its field of view from top to bottom in radians."""
        self._cameras.append(
            {"type": "perspective", "perspective": {"yfov": height_rad, "aspectRatio": aspect, "znear": 0.01}}
        )
        matrix = world_from_camera.T.ravel().tolist()  # column after column
        self._nodes.append({"name": name, "camera": len(self._cameras) - 1, "matrix": matrix})

    def extension(self, name: str) -> None:
        """Name an extension that the file uses; readers that do not know it show what they do know."""
        self._extensions.append(name)

    def write(self, path: Path) -> None:
        document: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": "da3-pipeline"},
            "scene": 0,
            "scenes": [{"nodes": list(range(len(self._nodes)))}],
            "nodes": self._nodes,
            "meshes": self._meshes,
            "accessors": self._accessors,
            "bufferViews": self._views,
            "buffers": [{"byteLength": len(self._buffer)}],
        }
        if self._cameras:
            document["cameras"] = self._cameras
        if self._extensions:
            document["extensionsUsed"] = self._extensions
        text = json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8")
        text += b" " * (-len(text) % 4)
        data = bytes(self._buffer) + b"\0" * (-len(self._buffer) % 4)
        length = 12 + 8 + len(text) + 8 + len(data)
        with path.open("wb") as file:
            file.write(struct.pack("<III", _MAGIC, _VERSION, length))
            file.write(struct.pack("<II", len(text), _JSON) + text)
            file.write(struct.pack("<II", len(data), _BINARY))
            file.write(data)
