"""Worlds of which parts are the same to the last pixel: sides of things, bays of fronts, doors, walls, figures.

What repeats is built once and copied. What tells the copies apart is around them: much in some worlds, little in
others, where the ground, the walls and the sky are all but plain.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ...training.synthetic.atlas import Atlas
from ...training.synthetic.building import yaw
from ...training.synthetic.solids import Kind
from ...training.synthetic.textures import SIZE
from .worlds import World, WorldBuilder, world_builder

__all__ = ["bays", "can", "carton", "cupola", "doors", "fountain", "labelled_can", "rotunda", "tower", "twins"]

_PRINT = ("shapes", "text")
_STONE = ("bricks", "cells", "tiles", "planks")
_GROUND = ("cells", "shapes", "planks", "noise")


def can(atlas: Atlas, seed: int) -> World:
    """A can with the same label on two or three sides, on small tiles."""
    build = world_builder(atlas, seed, 11)
    _can(build)
    _floor(build, ("tiles",), 0.5)
    return _world(build, "can", dull=True)


def labelled_can(atlas: Atlas, seed: int) -> World:
    """The like, on a table full of things."""
    build = world_builder(atlas, seed, 12)
    _can(build)
    _floor(build, _GROUND, 4.0)
    _things(build, 9, (0.6, 1.0), (0.05, 0.16))
    _things(build, 16, (3.0, 4.5), (0.2, 0.7))
    return _world(build, "labelled can")


def carton(atlas: Atlas, seed: int) -> World:
    """A box of which opposite sides, or all four, are the same; on bare ground, with one small thing beside it."""
    build = world_builder(atlas, seed, 13)
    count = int(build.rng.choice([2, 4]))
    for side in range(4 // count):
        _panel(build, 0.4, 0.5 * np.pi * side, (0.8, 0.0, 1.0), _PRINT, 0.8)
    _turned_copies(build, count)
    build.add(Kind.BOX, [0, 0, 0.5], [0.39, 0.39, 0.495], styles=("gradient",), metres_per_tile=2.0)
    _floor(build, ("gradient",), 6.0)
    _things(build, 1, (0.7, 0.8), (0.04, 0.08))
    return _world(build, "carton", dull=True)


def tower(atlas: Atlas, seed: int) -> World:
    """An octagonal tower of four or eight equal parts, on a lawn under a dull sky."""
    build = world_builder(atlas, seed, 14)
    _octagon(build, int(build.rng.choice([4, 8])), 3.0, 7.0)
    _floor(build, ("noise",), 12.0)
    return _world(build, "tower", dull=True)


def cupola(atlas: Atlas, seed: int) -> World:
    """The like, among houses and trees."""
    build = world_builder(atlas, seed, 15)
    _octagon(build, int(build.rng.choice([2, 4, 8])), 3.0, 5.0)
    _floor(build, _GROUND, 9.0)
    _things(build, 8, (4.0, 6.0), (0.3, 0.8))
    _things(build, 20, (14.0, 26.0), (1.5, 4.0))
    return _world(build, "cupola")


def fountain(atlas: Atlas, seed: int) -> World:
    """A basin with three to six equal figures around it, in a square with houses."""
    build = world_builder(atlas, seed, 16)
    count = int(build.rng.integers(3, 7))
    _ring(build, 0.9, (0.0, 0.8), 3 * count, count, _STONE)
    _figure(build, 1.2, 0.0)
    _turned_copies(build, count)
    build.add(Kind.CYLINDER, [0, 0, 1.0], [0.3, 0.3, 1.0], styles=_STONE, metres_per_tile=1.0)
    _floor(build, _GROUND, 5.0)
    _things(build, 24, (7.0, 12.0), (0.8, 2.2))
    return _world(build, "fountain")


def rotunda(atlas: Atlas, seed: int) -> World:
    """A round room of two to four equal parts, seen from within; the floor and a few things in it tell them apart."""
    build = world_builder(atlas, seed, 17)
    count, radius = int(build.rng.integers(2, 5)), 4.0
    _ring(build, radius, (0.0, 3.6), 4 * count, count, _STONE, inward=True)
    for place, styles in ((0.12, _PRINT), (0.45, _PRINT), (0.8, ("windows",))):
        _panel(build, -(radius - 0.25), 2 * np.pi * place / count, (1.1, 1.0, 2.3), styles, 1.4)
    _turned_copies(build, count)
    build.add(Kind.BOX, [0, 0, 3.7], [5, 5, 0.1], styles=("gradient",), metres_per_tile=8.0)
    _floor(build, _GROUND, 4.0)
    _things(build, 7, (2.6, 3.4), (0.15, 0.4))
    return _world(build, "rotunda")


def bays(atlas: Atlas, seed: int) -> World:
    """A front of equal bays, wall and all, on bare ground; its ends are out of sight."""
    build = world_builder(atlas, seed, 18)
    width, number = float(build.rng.uniform(2.5, 3.5)), 16
    _front(build, -0.5 * number * width, width)
    sector = range(len(build))
    for bay in range(1, number):
        build.copied(sector, shift_m=(bay * width, 0.0))
    _floor(build, ("gradient",), 9.0)
    return _world(build, "bays", dull=True)


def twins(atlas: Atlas, seed: int) -> World:
    """A street of unlike houses, two of which are the same, figures before them and all."""
    build = world_builder(atlas, seed, 19)
    width, places = 3.6, 6
    first = int(build.rng.integers(0, 2))
    second = first + int(build.rng.integers(2, 4))
    for house in range(places):
        if house != second:
            start = len(build)
            _front(build, (house - 0.5 * places) * width, width)
            _figure(build, 1.2, (house + 0.5 - 0.5 * places) * width)
            if house == first:
                sector = range(start, len(build))
    build.copied(sector, shift_m=((second - first) * width, 0.0))
    _floor(build, _GROUND, 6.0)
    return _world(build, "twins")


def doors(atlas: Atlas, seed: int) -> World:
    """A corridor, to walk through along x, with the same doors all along it, and little else."""
    build = world_builder(atlas, seed, 20)
    step, number = float(build.rng.uniform(2.2, 3.0)), 12
    start = -0.5 * number * step
    for side in (-1, 1):
        wall = len(build)
        build.add(Kind.BOX, [start, 1.3 * side, 1.3], [step / 2, 0.1, 1.3], styles=_STONE, metres_per_tile=step)
        _one_texture(build, wall)
        door = [start, 1.2 * side, 1.0]
        build.add(Kind.BOX, door, [0.5, 0.05, 1.0], styles=("planks", "windows"), metres_per_tile=2.0)
        sign = [start + 0.8, 1.18 * side, 1.5]
        build.add(Kind.BOX, sign, [0.2, 0.03, 0.2], styles=("text",), metres_per_tile=0.5)
    sector = range(len(build))
    for door_number in range(1, number):
        build.copied(sector, shift_m=(door_number * step, 0.0))
    build.add(Kind.BOX, [0, 0, 2.7], [20, 1.4, 0.1], styles=("gradient",), metres_per_tile=4.0)
    build.add(Kind.BOX, [0.5 * number * step, 0, 1.3], [0.1, 1.4, 1.3], styles=_STONE, metres_per_tile=2.0)
    for _ in range(4):
        place = [float(build.rng.uniform(start, -start)), 0.9 * float(build.rng.choice([-1, 1])), 0.25]
        build.add(Kind.BOX, place, build.rng.uniform(0.1, 0.25, 3), styles=_PRINT, metres_per_tile=0.5)
    _floor(build, ("gradient",), 5.0)
    return _world(build, "doors", dull=True)


def _can(build: WorldBuilder) -> None:
    count = int(build.rng.integers(2, 4))
    _ring(build, 0.35, (0.0, 1.0), 24 // count, count, _PRINT)
    _turned_copies(build, count)
    build.add(Kind.CYLINDER, [0, 0, 0.51], [0.33, 0.33, 0.51], styles=("gradient",), metres_per_tile=2.0)


def _octagon(build: WorldBuilder, count: int, radius: float, height: float) -> None:
    """An octagonal tower of `count` equal parts: walls, windows, a pilaster each, under a plain dome."""
    for face in range(8 // count):
        angle = 0.25 * np.pi * face
        width = 2 * radius * np.tan(np.pi / 8)
        _panel(build, radius, angle, (width, 0.0, height), _STONE, width)
        _panel(build, radius + 0.1, angle, (0.5 * width, 0.5 * height, 0.85 * height), ("windows", "shapes"), 1.8)
        _panel(build, radius + 0.1, angle, (0.4 * width, 0.0, 0.3 * height), ("planks", "text"), 2.0)
        _panel(build, radius * 1.06, angle + np.pi / 8, (0.4, 0.0, height), _STONE, 1.0)
    _turned_copies(build, count)
    build.add(Kind.ELLIPSOID, [0, 0, height], [radius, radius, 0.6 * radius], styles=("gradient",), metres_per_tile=8.0)


def _front(build: WorldBuilder, x: float, width: float) -> None:
    """A bay or house of a front along y = 0, in the middle of `x` and `x + width`: wall, windows, door, sills."""
    middle, wall = x + 0.5 * width, len(build)
    build.add(Kind.BOX, [middle, 0.5, 3.0], [width / 2, 0.5, 3.0], styles=_STONE, metres_per_tile=width)
    _one_texture(build, wall)
    build.add(Kind.BOX, [middle - 0.2 * width, -0.02, 1.1], [0.5, 0.08, 1.1], styles=("planks",), metres_per_tile=2.2)
    for height in (1.6, 4.2):
        place = [middle + 0.2 * width, -0.02, height]
        build.add(Kind.BOX, place, [0.5, 0.1, 0.8], styles=("windows",), metres_per_tile=1.6)
        build.add(Kind.BOX, [place[0], -0.2, height - 0.9], [0.6, 0.25, 0.06], metres_per_tile=1.0)
    build.add(Kind.BOX, [middle - 0.2 * width, -0.1, 3.4], [0.6, 0.1, 0.4], styles=_PRINT, metres_per_tile=1.3)


def _figure(build: WorldBuilder, out: float, x: float) -> None:
    """A figure on a pedestal, `out` metres before the middle of a front, or of a ring."""
    z, y = float(build.rng.uniform(0.5, 0.8)), -out
    build.add(Kind.BOX, [x, y, z / 2], [0.22, 0.22, z / 2], styles=_STONE, metres_per_tile=0.8)
    build.add(Kind.ELLIPSOID, [x, y, z + 0.4], [0.2, 0.16, 0.4], yaw(0.3), styles=_STONE, metres_per_tile=0.6)
    build.add(Kind.ELLIPSOID, [x + 0.05, y, z + 0.9], [0.11, 0.13, 0.15], styles=("cells",), metres_per_tile=0.4)


def _panel(
    build: WorldBuilder,
    away: float,
    angle_rad: float,
    shape: tuple[float, float, float],
    styles: tuple[str, ...],
    tile_m: float,
) -> None:
    """A thin slab `away` from the middle that faces outwards, or inwards where that is negative; width, from, to."""
    width, low, high = shape
    outward = np.array([np.cos(angle_rad), np.sin(angle_rad), 0.0])
    centre = abs(away) * outward + [0, 0, (low + high) / 2]
    turn = yaw(angle_rad + np.pi / 2 * np.sign(away))  # its local -y is what faces
    row = len(build)
    build.add(
        Kind.BOX, centre, [width / 2, 0.02 * abs(away), (high - low) / 2], turn, styles=styles, metres_per_tile=tile_m
    )
    _one_texture(build, row)


def _ring(
    build: WorldBuilder,
    radius: float,
    span: tuple[float, float],
    sides: int,
    count: int,
    styles: tuple[str, ...],
    inward: bool = False,
) -> None:
    """One of `count` equal parts of a ring of slabs, `sides` in each, with one print across."""
    width = 2 * radius * np.tan(np.pi / (sides * count))
    away = -radius if inward else radius
    first = len(build)
    _panel(build, away, 0.0, (width, *span), styles, sides * width)
    print_ = {key: build.row(first)[key] for key in ("texture", "overlay", "overlay_gain", "texels_per_m", "tint")}
    for side in range(1, sides):
        angle = 2 * np.pi * side / (sides * count)
        _panel(build, away, angle, (width, *span), styles, sides * width)
        offset = build.row(first)["offset"] + np.array([np.sign(away) * side * SIZE / sides, 0.0])
        build.change(len(build) - 1, **print_, offset=offset)


def _one_texture(build: WorldBuilder, row: int) -> None:
    """All faces alike, and nothing in it whose period is another."""
    texture, density = build.row(row)["texture"], build.row(row)["texels_per_m"]
    build.change(row, texture=np.full(6, texture[0]), texels_per_m=np.full(2, density[0]))


def _turned_copies(build: WorldBuilder, count: int) -> None:
    """All solids so far as one of `count` equal parts around the z axis."""
    part = range(len(build))
    for number in range(1, count):
        build.copied(part, turn_rad=2 * np.pi * number / count)


def _floor(build: WorldBuilder, styles: tuple[str, ...], tile_m: float) -> None:
    row = len(build)
    build.add(Kind.BOX, [0, 0, -0.5], [60, 60, 0.5], styles=styles, metres_per_tile=tile_m)
    if styles in (("gradient",), ("tiles",)):
        build.change(row, overlay_gain=0.0)


def _things(build: WorldBuilder, number: int, away: tuple[float, float], size: tuple[float, float]) -> None:
    """Unlike things on the ground, all around."""
    angles = 2 * np.pi * (np.arange(number) + build.rng.uniform(-0.4, 0.4, number)) / number
    for angle in angles:
        out, half = build.rng.uniform(*away), build.rng.uniform(*size, 3)
        centre = [out * np.cos(angle), out * np.sin(angle), half[2]]
        kind = Kind(build.rng.choice([Kind.BOX, Kind.BOX, Kind.CYLINDER, Kind.ELLIPSOID]))
        build.add(kind, centre, half, yaw(build.rng.uniform(0, 6)), metres_per_tile=float(3 * half.max()))


def _world(build: WorldBuilder, name: str, dull: bool = False) -> World:
    """dull: the same light from all sides, under a sky without clouds."""
    plain = int(build.textures("gradient")[0])
    scene = build.build(name, np.zeros(3), np.zeros((2, 3)), 1.0)
    if not dull:
        return World(scene)
    down = torch.tensor([[0.0, 0.0, 1.0]]).expand_as(scene.lights)
    grey = scene.sky.mean().expand_as(scene.sky)
    return World(replace(scene, lights=down, ambient=scene.ambient + 0.15, sky=grey, sky_texture=plain))
