"""Both trajectories from above and from the side, as an SVG or PNG file."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..arrays import Float
from ..errors import ExportError, UsageError
from ..geometry import centres
from ..geometry.gravity import rotation_between, up_from_cameras
from .comparing import Comparison

__all__ = ["checked_plot_path", "write_plot"]

_PANEL_PX, _MARGIN_PX, _TITLE_PX = 460.0, 30.0, 70.0
_A, _B, _APART, _INK, _PAPER = "#0b6fb8", "#d9730d", "#c0392b", "#222222", "#ffffff"
_KINDS = (".svg", ".png")
_SHARP = 2  # pixels of a PNG to one of the drawing

Point = tuple[float, float]


class _Canvas(Protocol):
    def line(self, points: Sequence[Point], colour: str, width: float) -> None: ...

    def dot(self, at: Point, colour: str, radius: float) -> None: ...

    def text(self, at: Point, words: str, colour: str) -> None: ...

    def save(self, path: Path) -> None: ...


def checked_plot_path(path: Path) -> Path:
    """The path, where it is of a kind that can be drawn. Raises UsageError otherwise."""
    if path.suffix.lower() not in _KINDS:
        raise UsageError(f"--plot {path}: is neither .svg nor .png; give it one of these endings")
    return path


def write_plot(path: Path, found: Comparison) -> None:
    """Draw A, moved onto B, and B, with a line between where a frame stands in both. Raises ExportError, UsageError."""
    size = (3 * _MARGIN_PX + 2 * _PANEL_PX, _TITLE_PX + _PANEL_PX + _MARGIN_PX)
    vector = checked_plot_path(path).suffix.lower() == ".svg"
    canvas: _Canvas = _Svg(size) if vector else _Png(size)
    canvas.text((_MARGIN_PX, 18), f"A  {found.a.path.name} ({found.a.kind})", _A)
    canvas.text((_MARGIN_PX, 36), f"B  {found.b.path.name} ({found.b.kind})", _B)
    turn = _upright(found.b.cam_from_world)
    every_a = centres(found.b_from_a.apply_to_cameras(found.a.cam_from_world)) @ turn.T
    every_b = centres(found.b.cam_from_world) @ turn.T
    for panel, (title, axes) in enumerate((("from above", (0, 1)), ("from the side", (0, 2)))):
        left = _MARGIN_PX + panel * (_PANEL_PX + _MARGIN_PX)
        canvas.text((left, _TITLE_PX - 10), title, _INK)
        a, b = _placed(every_a[:, axes], every_b[:, axes], left)
        for row_a, row_b in zip(found.rows_a.tolist(), found.rows_b.tolist(), strict=True):
            canvas.line([a[row_a], b[row_b]], _APART, 1.5)
        for places, colour, radius in ((b, _B, 4.0), (a, _A, 2.5)):
            for place in places:
                canvas.dot(place, colour, radius)
    try:
        canvas.save(path)
    except OSError as error:
        raise ExportError(f"{path}: cannot be written ({error.strerror or error}); choose another --plot") from error


def _upright(cam_from_world: Float) -> Float:
    """(3, 3) that brings up to +z, by the cameras; as it is where they do not tell."""
    up = up_from_cameras(cam_from_world)
    return np.eye(3) if up is None else rotation_between(up.direction, np.array([0.0, 0.0, 1.0]))


def _placed(a: Float, b: Float, left: float) -> tuple[list[Point], list[Point]]:
    """(N, 2) places of both in the panel that begins at `left`; both axes have one scale, y is up.

    B and the bulk of A decide the scale: a frame that stands far off is drawn at the edge.
    """
    corners = np.concatenate([b, np.percentile(a, (5, 95), axis=0)])
    low, high = corners.min(axis=0), corners.max(axis=0)
    scale = 0.9 * _PANEL_PX / max(float((high - low).max()), 1e-12)
    middle = np.array([left, _TITLE_PX]) + _PANEL_PX / 2

    def place(points: Float) -> list[Point]:
        offsets = np.clip((points - (low + high) / 2) * scale, -_PANEL_PX / 2, _PANEL_PX / 2)
        return [(float(x), float(y)) for x, y in middle + offsets * [1.0, -1.0]]

    return place(a), place(b)


class _Svg:
    def __init__(self, size: Point) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]:g} {size[1]:g}" '
            f'width="{size[0]:g}" height="{size[1]:g}" font-family="sans-serif" font-size="14">',
            f'<rect width="100%" height="100%" fill="{_PAPER}"/>',
        ]

    def line(self, points: Sequence[Point], colour: str, width: float) -> None:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"/>')

    def dot(self, at: Point, colour: str, radius: float) -> None:
        self._parts.append(f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="{radius:g}" fill="{colour}"/>')

    def text(self, at: Point, words: str, colour: str) -> None:
        shown = html.escape("".join(sign if sign.isprintable() else "?" for sign in words))
        self._parts.append(f'<text x="{at[0]:.1f}" y="{at[1]:.1f}" fill="{colour}">{shown}</text>')

    def save(self, path: Path) -> None:
        path.write_text("\n".join([*self._parts, "</svg>\n"]), encoding="utf-8", errors="replace")


class _Png:
    def __init__(self, size: Point) -> None:
        self._image = Image.new("RGB", (round(_SHARP * size[0]), round(_SHARP * size[1])), _PAPER)
        self._draw = ImageDraw.Draw(self._image)
        self._font = ImageFont.load_default(14 * _SHARP)

    def line(self, points: Sequence[Point], colour: str, width: float) -> None:
        self._draw.line([(_SHARP * x, _SHARP * y) for x, y in points], colour, round(_SHARP * width))

    def dot(self, at: Point, colour: str, radius: float) -> None:
        (x, y), reach = at, radius
        self._draw.ellipse([_SHARP * side for side in (x - reach, y - reach, x + reach, y + reach)], colour)

    def text(self, at: Point, words: str, colour: str) -> None:
        shown = words.encode("latin-1", "replace").decode("latin-1")
        self._draw.text((_SHARP * at[0], _SHARP * at[1]), shown, colour, self._font, anchor="ls")

    def save(self, path: Path) -> None:
        self._image.save(path, "PNG")
