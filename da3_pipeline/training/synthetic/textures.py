"""Procedural textures: each a pure function of a random generator, (SIZE, SIZE, 3) uint8 RGB."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from ...arrays import Bytes, Float32

__all__ = ["SIZE", "STYLES", "procedural_texture"]

SIZE = 256

Rng = np.random.Generator
_GLYPHS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789&?!%"


def procedural_texture(rng: Rng, style: str | None = None) -> Bytes:
    """One texture of the named style of STYLES, or of a random one."""
    draw = STYLES[style if style is not None else str(rng.choice(sorted(STYLES)))]
    image = draw(rng)
    grime = _fractal(rng, rng.uniform(0.4, 1.6))[..., None]
    image = image * (1 + rng.uniform(0.1, 0.7) * (grime - 0.5))
    return (image.clip(0, 1) * 255).astype(np.uint8)


def _colour(rng: Rng, low: float = 0.08, high: float = 0.95) -> Float32:
    """A colour of natural saturation: mostly earthy, sometimes strong."""
    value = rng.uniform(low, high)
    saturation = rng.beta(1.2, 3.0)
    tint = rng.uniform(0, 1, 3)
    return np.asarray(value * (1 - saturation + saturation * tint), np.float32)


def _fractal(rng: Rng, slope: float) -> Float32:
    """Periodic noise of a power-law spectrum with amplitude falling as frequency ** -slope, in [0, 1]."""
    frequency = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)[None]) * SIZE
    spectrum = np.fft.rfft2(rng.standard_normal((SIZE, SIZE))) / np.maximum(frequency, 1) ** slope
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, s=(SIZE, SIZE))
    return np.asarray((field / (4 * field.std()) + 0.5).clip(0, 1), np.float32)


def _mix(a: Float32, b: Float32, weight: Float32) -> Float32:
    return np.asarray(a + (b - a) * weight[..., None], np.float32)


def _noise(rng: Rng) -> Float32:
    image = _mix(_colour(rng), _colour(rng), _fractal(rng, rng.uniform(0.6, 2.0)))
    return _mix(image, np.broadcast_to(_colour(rng), image.shape), (_fractal(rng, 1.2) > rng.uniform(0.5, 0.8)) * 1.0)


def _bricks(rng: Rng) -> Float32:
    """Courses of stones of one size, each with its own shade, in mortar."""
    rows = int(rng.integers(4, 20))
    columns = max(2, int(rows / rng.uniform(1, 3.5)))
    shift = rng.choice([0.0, 0.5])
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    row = np.floor(y * rows).astype(int)
    across = x * columns + shift * (row % 2)
    shade = rng.uniform(1 - rng.uniform(0.1, 0.7), 1.1, (rows, columns))[row, np.floor(across).astype(int) % columns]
    gap = rng.uniform(0.03, 0.15)
    mortar = ((y * rows) % 1 < gap) | (across % 1 < gap * columns / rows)
    stone = _mix(_colour(rng, 0.3), _colour(rng, 0.3), _fractal(rng, 1.2)) * shade[..., None]
    return _mix(stone, np.broadcast_to(_colour(rng), stone.shape), mortar * 1.0)


def _cells(rng: Rng) -> Float32:
    """Irregular stones or scales: a Voronoi diagram with joints."""
    count = int(rng.integers(12, 160))
    sites = rng.uniform(0, SIZE, (count, 2)).astype(np.float32)
    seeds = np.full((SIZE, SIZE), 255, np.uint8)
    seeds[sites[:, 1].astype(int), sites[:, 0].astype(int)] = 0
    distance, label = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    tones = np.stack([_colour(rng, 0.2) for _ in range(6)])[rng.integers(0, 6, label.max() + 1)]
    image = tones[label] * (1 - rng.uniform(0, 0.6) * (distance / distance.max()))[..., None]
    return np.asarray(image, np.float32)


def _windows(rng: Rng) -> Float32:
    """A repetitive facade: panes, frames, sills; some lit, some with blinds."""
    wall = _mix(_colour(rng, 0.3), _colour(rng, 0.3), _fractal(rng, 1.5))
    rows, columns = rng.integers(1, 6, 2)
    width, height = SIZE / columns, SIZE / rows
    frame, sill = _colour(rng).tolist(), _colour(rng, 0.4).tolist()
    share = rng.uniform(0.35, 0.75, 2)
    for r in range(rows):
        for c in range(columns):
            pane = _colour(rng, 0.02, 0.5).tolist()
            left, top = int((c + 0.5 - share[0] / 2) * width), int((r + 0.5 - share[1] / 2) * height)
            right, bottom = int(left + share[0] * width), int(top + share[1] * height)
            cv2.rectangle(wall, (left - 3, top - 3), (right + 3, bottom + 3), frame, -1)
            cv2.rectangle(wall, (left, top), (right, bottom), pane, -1)
            cv2.line(wall, ((left + right) // 2, top), ((left + right) // 2, bottom), frame, 2)
            cv2.line(wall, (left, (2 * top + bottom) // 3), (right, (2 * top + bottom) // 3), frame, 2)
            cv2.rectangle(wall, (left - 6, bottom + 3), (right + 6, bottom + 8), sill, -1)
    return wall


def _text(rng: Rng) -> Float32:
    """Print: lines of glyphs of several sizes on paper."""
    page = np.broadcast_to(255 * _colour(rng, 0.5, 1.0), (SIZE, SIZE, 3)).astype(np.uint8, order="C")
    y = 0.0
    while y < SIZE:
        scale = float(rng.uniform(0.3, 1.6))
        y += 24 * scale
        line = "".join(rng.choice(list(_GLYPHS + "    "), 40))
        origin = (int(rng.integers(-10, 30)), int(y))
        ink = (255 * _colour(rng, 0, 0.5)).tolist()
        cv2.putText(page, line, origin, int(rng.integers(0, 8)), scale, ink, 1 + int(scale > 0.8))
    return np.asarray(page, np.float32) / np.float32(255)


def _shapes(rng: Rng) -> Float32:
    """A poster: discs, polygons, bars and lines over one another."""
    image = _mix(_colour(rng), _colour(rng), _fractal(rng, 2.0))
    for _ in range(int(rng.integers(15, 90))):
        colour = _colour(rng).tolist()
        centre = rng.uniform(0, SIZE, 2)
        extent = SIZE * rng.uniform(0.01, 0.16)
        corners = (centre + rng.normal(0, extent, (int(rng.integers(3, 7)), 2))).astype(np.int32)
        match int(rng.integers(0, 4)):
            case 0:
                cv2.circle(image, centre.astype(int).tolist(), int(extent) + 1, colour, -1, cv2.LINE_AA)
            case 1:
                cv2.fillPoly(image, [corners], colour, cv2.LINE_AA)
            case 2:
                cv2.polylines(image, [corners], False, colour, int(rng.integers(1, 6)), cv2.LINE_AA)
            case _:
                box = (centre.tolist(), (extent * 2, extent * rng.uniform(0.3, 2)), rng.uniform(0, 180))
                cv2.fillPoly(image, [cv2.boxPoints(box).astype(np.int32)], colour, cv2.LINE_AA)
    return image


def _tiles(rng: Rng) -> Float32:
    """Chequers and mosaics with joints."""
    count = int(rng.integers(2, 12))
    tones = np.stack([_colour(rng) for _ in range(int(rng.integers(2, 6)))])
    y, x = np.mgrid[0:SIZE, 0:SIZE] * count / SIZE
    row, column = np.floor(y).astype(int), np.floor(x).astype(int)
    regular = rng.random() < 0.4
    pattern = (
        np.add.outer(np.arange(count), np.arange(count)) if regular else rng.integers(0, 99, (count, count))
    ) % len(tones)
    joint = ((x % 1) < 0.04) | ((y % 1) < 0.04)
    image = tones[pattern[row, column]]
    return _mix(image, np.broadcast_to(_colour(rng), image.shape), joint * 1.0)


def _planks(rng: Rng) -> Float32:
    """Boards with grain along them."""
    boards = int(rng.integers(2, 10))
    grain = cv2.resize(_fractal(rng, 0.9), (SIZE, SIZE * 4))[: SIZE * 4 : 4]
    grain = cv2.blur(grain, (1, 31))
    grain = (grain - grain.min()) / max(float(np.ptp(grain)), 1e-6)
    x = np.arange(SIZE) * boards / SIZE
    tone = rng.uniform(0.6, 1.1, boards)[np.floor(x).astype(int)]
    image = _mix(_colour(rng, 0.15), _colour(rng, 0.3), grain) * tone[None, :, None]
    image[:, (x % 1) < 0.05] *= 0.3
    return np.asarray(np.rot90(image) if rng.random() < 0.5 else image, np.float32)


def _gradient(rng: Rng) -> Float32:
    """Plain plaster: hardly any texture but a slow change of shade."""
    return _mix(_colour(rng, 0.3), _colour(rng, 0.3), _fractal(rng, 2.2) * 0.5)


STYLES: dict[str, Callable[[Rng], Float32]] = {
    "bricks": _bricks,
    "cells": _cells,
    "gradient": _gradient,
    "noise": _noise,
    "planks": _planks,
    "shapes": _shapes,
    "text": _text,
    "tiles": _tiles,
    "windows": _windows,
}
