"""The tensors and the nodes of an ONNX file, without the onnx package: just enough to take weights out.

An ONNX file is a protobuf message: fields of (number, wire type), nested. Field numbers are onnx.proto3's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...arrays import Float32
from ...errors import WeightsError

__all__ = ["Node", "OnnxGraph", "read_onnx"]

_GRAPH = 7
_NODE, _INITIALISER = 1, 5
_NODE_INPUT, _NODE_NAME, _NODE_TYPE = 1, 3, 4
_DIMS, _DATA_TYPE, _FLOAT_DATA, _TENSOR_NAME, _RAW_DATA = 1, 2, 4, 8, 9
_FLOAT = 1
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5


@dataclass(frozen=True)
class Node:
    """One operation: its type, its name and the names of what it reads."""

    kind: str
    name: str
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class OnnxGraph:
    """The float32 tensors of the graph by name, and its nodes in order."""

    tensors: dict[str, Float32]
    nodes: tuple[Node, ...]


def read_onnx(path: Path) -> OnnxGraph:
    """Raises WeightsError where the file is absent or cut short."""
    try:
        data = memoryview(path.read_bytes())
        graph = next(value for number, value in _fields(data) if number == _GRAPH)
        assert isinstance(graph, memoryview)
        tensors: dict[str, Float32] = {}
        nodes: list[Node] = []
        for number, value in _fields(graph):
            if number == _INITIALISER and isinstance(value, memoryview):
                tensors |= _tensor(value)
            elif number == _NODE and isinstance(value, memoryview):
                nodes.append(_node(value))
    except (OSError, IndexError, StopIteration, ValueError, AssertionError) as error:
        raise WeightsError(f"{path} cannot be read as an ONNX file ({error}): install its package again") from error
    return OnnxGraph(tensors, tuple(nodes))


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value) of a message: an integer, or the bytes of what is nested."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"wire type {kind}")
        if at + size > len(data):
            raise ValueError("cut short")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Seven bits a byte, the lowest first; the highest bit says that more follow."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _tensor(data: memoryview) -> dict[str, Float32]:
    """{name: values} of a float32 tensor, nothing of one of another type."""
    shape: list[int] = []
    name, kind, raw = "", 0, b""
    for number, value in _fields(data):
        if number == _DIMS:
            shape += [value] if isinstance(value, int) else _packed(value)
        elif number == _DATA_TYPE and isinstance(value, int):
            kind = value
        elif number == _TENSOR_NAME and isinstance(value, memoryview):
            name = bytes(value).decode()
        elif number in (_RAW_DATA, _FLOAT_DATA) and isinstance(value, memoryview):
            raw += bytes(value)
    if kind != _FLOAT:
        return {}
    return {name: np.frombuffer(raw, "<f4").astype(np.float32).reshape(shape)}


def _packed(data: memoryview) -> list[int]:
    values, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        values.append(value)
    return values


def _node(data: memoryview) -> Node:
    kind = name = ""
    inputs: list[str] = []
    for number, value in _fields(data):
        if isinstance(value, memoryview):
            if number == _NODE_INPUT:
                inputs.append(bytes(value).decode())
            elif number == _NODE_NAME:
                name = bytes(value).decode()
            elif number == _NODE_TYPE:
                kind = bytes(value).decode()
    return Node(kind, name, tuple(inputs))
