"""HDR video as SDR: the display light that its signal stands for, brought within what SDR can show.

The signal's meaning is ITU-R BT.2100's; the curve that brings highlights in is FFmpeg's `tonemap`. Both are laid down
once in a table, through which FFmpeg's `lut3d` sends the frames at their full depth.
"""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path

import av
import numpy as np
from av.filter import Graph

from ..arrays import Float

__all__ = ["ToneMapper", "hdr_kind"]

_KINDS = {16: "PQ", 18: "HLG"}  # of AVColorTransferCharacteristic; Dolby Vision of phones has either as its base layer
_WHITE_NITS = 203.0  # a white sheet in HDR (ITU-R BT.2408), which SDR shows near its maximum
_PEAK_NITS = 1000.0  # HLG's nominal peak and what phones master PQ for; what is brighter becomes white
_KNEE = "0.5"
"""Share of SDR's light up to which mobius changes nothing (grey 191 of 255): things keep their SDR levels and colours,
and 36 levels are left for highlights, a white sheet at 228. Measured in docs/CAPTURE.md."""
_GAMMA = 2.4  # of SDR displays (ITU-R BT.1886)
_NODES = 65  # a side of the table: colours come back within a level on average, with 33 of PQ within 1.6
_BT2020_MATRIX, _FULL_RANGE = 9, 2
_UNSPECIFIED = (0, 2)

_TO_BT709 = {
    9: ((1.660491, -0.587641, -0.072850), (-0.124550, 1.132900, -0.008349), (-0.018151, -0.100579, 1.118730)),
    12: ((1.224940, -0.224940, 0.0), (-0.042057, 1.042057, 0.0), (-0.019638, -0.078636, 1.098274)),
}
"""Linear light of BT.2020 and P3-D65 in that of BT.709 (ITU-R BT.2087; SMPTE EG 432-1). Others are taken for BT.709."""


def hdr_kind(frame: av.VideoFrame) -> str | None:
    """'HLG' or 'PQ' where the frame is HDR."""
    return _KINDS.get(frame.color_trc)


class ToneMapper:
    """Of the frames of one video; keeps FFmpeg's filters from frame to frame."""

    def __init__(self) -> None:
        self._graphs: dict[tuple[object, ...], Graph] = {}

    def sdr(self, frame: av.VideoFrame, width: int, height: int, interpolation: str) -> av.VideoFrame:
        """An HDR frame scaled to (height, width) as planar RGB of 12 bits, for SDR displays."""
        matrix = _BT2020_MATRIX if frame.colorspace in _UNSPECIFIED else frame.colorspace
        form = (frame.width, frame.height, frame.format.name, matrix, frame.color_range)
        key = (*form, frame.color_trc, frame.color_primaries, width, height, interpolation)
        if key not in self._graphs:
            primaries = 9 if frame.color_primaries in _UNSPECIFIED else frame.color_primaries
            table = _table(_KINDS[frame.color_trc], primaries)
            self._graphs[key] = _graph(frame, matrix, (width, height), interpolation, table)
        graph = self._graphs[key]
        frame.colorspace = matrix
        graph.vpush(frame)
        return graph.vpull()


def _graph(frame: av.VideoFrame, matrix: int, size: tuple[int, int], interpolation: str, table: str) -> Graph:
    graph = Graph()
    handle, path = tempfile.mkstemp(suffix=".cube")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(table)
        source = graph.add(
            "buffer",
            video_size=f"{frame.width}x{frame.height}",
            pix_fmt=frame.format.name,
            time_base="1/1",
            colorspace=str(matrix),
            range=str(frame.color_range),
        )
        nodes = (
            source,
            graph.add("scale", w=str(size[0]), h=str(size[1]), flags=interpolation),
            graph.add("format", pix_fmts="gbrp12"),
            graph.add("lut3d", file=path, interp="tetrahedral"),
            graph.add("buffersink"),
        )
        graph.link_nodes(*nodes)
        graph.configure()  # reads the table
    finally:
        Path(path).unlink(missing_ok=True)
    return graph


@functools.cache
def _table(kind: str, primaries: int) -> str:
    """SDR signal for every HDR signal of a lattice, as the text of a .cube file, red changing fastest."""
    axis = np.linspace(0.0, 1.0, _NODES)
    signal = np.stack(np.meshgrid(axis, axis, axis, indexing="ij")[::-1], -1).reshape(_NODES * _NODES, _NODES, 3)
    light = (_pq_nits(signal) if kind == "PQ" else _hlg_nits(signal)) / _WHITE_NITS
    if primaries in _TO_BT709:
        light = light @ np.array(_TO_BT709[primaries]).T
    sdr = np.clip(_within_sdr(light), 0.0, 1.0) ** (1 / _GAMMA)
    rows = "\n".join(f"{red:.5f} {green:.5f} {blue:.5f}" for red, green, blue in sdr.reshape(-1, 3).tolist())
    return f"LUT_3D_SIZE {_NODES}\n{rows}\n"


def _within_sdr(light: Float) -> Float:
    """(H, W, 3) linear light, 1 for white, with its highlights brought down to 1."""
    graph = Graph()
    height, width = light.shape[:2]
    source = graph.add("buffer", video_size=f"{width}x{height}", pix_fmt="gbrpf32le", time_base="1/1")
    curve = graph.add("tonemap", tonemap="mobius", param=_KNEE, peak=str(_PEAK_NITS / _WHITE_NITS), desat="0")
    graph.link_nodes(source, curve, graph.add("buffersink"))
    graph.configure()
    graph.vpush(av.VideoFrame.from_ndarray(np.ascontiguousarray(light, np.float32), format="gbrpf32le"))
    return np.asarray(graph.vpull().to_ndarray(), np.float64)


def _pq_nits(signal: Float) -> Float:
    """SMPTE ST 2084 (BT.2100, table 4)."""
    root = np.power(signal, 32 / 2523)
    light = np.maximum(root - 3424 / 4096, 0.0) / (2413 / 128 - 2392 / 128 * root)
    return np.asarray(10000.0 * np.power(light, 16384 / 2610))


def _hlg_nits(signal: Float) -> Float:
    """(..., 3) on a display of 1000 nits: the scene's light, then its system gamma of 1.2 (BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593])
    return np.asarray(_PEAK_NITS * scene * np.maximum(luminance, 1e-12)[..., None] ** 0.2)
