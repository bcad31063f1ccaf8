"""The worlds that cameras are put into: facades, rooms, objects on a ground; each a function of its seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...arrays import Float
from .atlas import Atlas
from .building import Scene, SceneBuilder, yaw
from .solids import Kind

__all__ = ["HELD_OUT_SEED", "SCENES", "make_scene"]

HELD_OUT_SEED = 1 << 40
"""Scenes of this seed and above are never trained on."""

_SOLID_OBJECTS = (Kind.BOX, Kind.BOX, Kind.ELLIPSOID, Kind.CYLINDER, Kind.CYLINDER, Kind.TORUS)
_WALLS = ("bricks", "windows", "planks", "tiles", "noise", "cells", "photograph")


def make_scene(seed: int, atlas: Atlas, name: str | None = None) -> Scene:
    """The scene of this seed: of a random kind of SCENES, of the named one, or the `showroom`."""
    rng = np.random.default_rng([seed, 0x5CE2E])
    drawn = str(rng.choice(sorted(SCENES)))
    return _BY_NAME[name if name is not None else drawn](SceneBuilder(rng, atlas))


def _facade(build: SceneBuilder) -> Scene:
    """A building's front with everything that sticks to it, often with wings, steps, and things in front."""
    rng = build.rng
    width, height = rng.uniform(5, 16), rng.uniform(4, 12)
    _ground(build, 40.0)
    build.add(Kind.BOX, [0, 1, height / 2], [width, 1, height / 2], styles=_WALLS, metres_per_tile=rng.uniform(3, 20))
    for side in (-1, 1):
        if rng.random() < 0.6:
            depth, angle = rng.uniform(2, 9), rng.normal(0, 0.25)
            centre = [side * (width + 1), -depth * rng.uniform(0.3, 1), height * 0.45]
            build.add(
                Kind.BOX,
                centre,
                [1, depth, height * 0.45],
                yaw(angle),
                styles=_WALLS,
                metres_per_tile=rng.uniform(2, 14),
            )
    for _ in range(int(rng.integers(4, 16))):
        _attachment(build, width, height)
    for _ in range(int(rng.integers(0, 6))):
        size = rng.uniform(0.2, 0.9)
        _object(build, np.array([rng.uniform(-width, width) * 0.8, -rng.uniform(0.5, 6), 0]), size)
    far = rng.uniform(5, 18)
    stands = [[-0.7 * width, -far, 1.0], [0.7 * width, -max(0.35 * far, 3), rng.uniform(1.8, 4)]]
    focus = [rng.uniform(-0.5, 0.5) * width, 0, rng.uniform(0.2, 0.5) * height]
    return build.build("facade", np.array(focus), np.array(stands), far)


def _attachment(build: SceneBuilder, width: float, height: float) -> None:
    """Pilasters, ledges, panels, niches' figures: shallow solids on the wall y = 0."""
    rng = build.rng
    x, z = rng.uniform(-0.9, 0.9) * width, rng.uniform(0.05, 0.95) * height
    choice = rng.random()
    tile = float(rng.uniform(1, 5))
    if choice < 0.3:
        build.add(
            Kind.BOX,
            [x, 0, z],
            [rng.uniform(0.2, 1.5), rng.uniform(0.05, 0.5), rng.uniform(0.2, 2)],
            metres_per_tile=tile,
        )
    elif choice < 0.45:
        build.add(Kind.BOX, [0, 0, z], [width, rng.uniform(0.1, 0.5), rng.uniform(0.05, 0.3)], metres_per_tile=tile)
    elif choice < 0.65:
        radius = rng.uniform(0.15, 0.5)
        build.add(Kind.CYLINDER, [x, -0.1, height * 0.35], [radius, radius, height * 0.35], metres_per_tile=tile)
    elif choice < 0.8:
        radius = rng.uniform(0.2, 0.9)
        build.add(
            Kind.ELLIPSOID, [x, -0.1, z], [radius, radius * 0.7, radius * rng.uniform(0.7, 2)], metres_per_tile=tile
        )
    else:
        outward = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # the relief's z axis leaves the wall
        half = [rng.uniform(0.6, 3), rng.uniform(0.6, 2.5), rng.uniform(0.15, 0.5)]
        build.add(Kind.RELIEF, [x, -half[2], z], half, outward, metres_per_tile=tile)


def _room(build: SceneBuilder) -> Scene:
    """A room with furniture along the walls, pictures on them, and things about."""
    rng = build.rng
    half = np.array([rng.uniform(1.8, 5), rng.uniform(1.8, 5), rng.uniform(1.2, 2)])
    build.add(Kind.ROOM, [0, 0, half[2]], half, metres_per_tile=rng.uniform(1.5, 6))
    for _ in range(int(rng.integers(3, 9))):
        _furniture(build, half)
    for _ in range(int(rng.integers(2, 9))):
        axis, sign = int(rng.integers(0, 2)), rng.choice([-1, 1])
        size = np.array([rng.uniform(0.2, 0.9), rng.uniform(0.2, 0.9), rng.uniform(0.2, 0.7)])
        size[axis] = 0.04
        centre = rng.uniform(-0.8, 0.8, 3) * half
        centre[axis], centre[2] = sign * half[axis], rng.uniform(0.8, 1.6 * half[2])
        build.add(
            Kind.BOX, centre, size, styles=("photograph", "shapes", "text", "windows"), metres_per_tile=2 * size.max()
        )
    for _ in range(int(rng.integers(2, 8))):
        _object(build, np.array([*(rng.uniform(-0.8, 0.8, 2) * half[:2]), 0]), rng.uniform(0.1, 0.45))
    stands = np.array([[*(-0.8 * half[:2]), 0.7], [*(0.8 * half[:2]), min(1.9, 1.8 * half[2])]])
    side = rng.uniform(0, 2 * np.pi)
    focus = np.array([0.8 * half[0] * np.cos(side), 0.8 * half[1] * np.sin(side), rng.uniform(0.4, 1.5)])
    return build.build("room", focus, stands, float(half[:2].mean()))


def _furniture(build: SceneBuilder, room: Float) -> None:
    """A box on the floor, near a wall, with something on top."""
    rng = build.rng
    half = np.array([rng.uniform(0.2, 0.9), rng.uniform(0.2, 0.6), rng.uniform(0.2, 1.0)])
    axis, sign = int(rng.integers(0, 2)), rng.choice([-1, 1])
    centre = rng.uniform(-0.8, 0.8, 3) * room
    centre[axis], centre[2] = sign * (room[axis] - half[1]), half[2]
    build.add(
        Kind.BOX,
        centre,
        half,
        yaw(rng.normal(0, 0.15) + axis * np.pi / 2),
        styles=("planks", "noise", "tiles", "photograph", "windows"),
    )
    for _ in range(int(rng.integers(0, 3))):
        offset = np.array([*(rng.uniform(-0.6, 0.6, 2) * half[:2]), half[2]])
        _object(build, centre + offset, rng.uniform(0.06, 0.25))


def _objects(build: SceneBuilder) -> Scene:
    """Things on a ground or table, indoors or under the sky, to walk around."""
    rng = build.rng
    reach = float(np.exp(rng.uniform(np.log(0.3), np.log(1.2))))
    backdrop = rng.uniform(5, 14) * reach
    _ground(build, 40.0 * reach)
    if rng.random() < 0.6:
        half = np.array([backdrop, backdrop * rng.uniform(0.7, 1.3), backdrop * 0.5])
        build.add(Kind.ROOM, [0, 0, half[2] - 0.01], half, metres_per_tile=backdrop * rng.uniform(0.3, 1.5))
    else:
        for _ in range(int(rng.integers(3, 9))):
            angle, away = rng.uniform(0, 2 * np.pi), backdrop * rng.uniform(0.8, 1.5)
            size = reach * rng.uniform(0.8, 4, 3)
            build.add(Kind.BOX, [away * np.cos(angle), away * np.sin(angle), size[2]], size, yaw(angle), styles=_WALLS)
    for _ in range(int(rng.integers(5, 14))):
        _object(build, np.array([*rng.normal(0, 0.6 * reach, 2), 0]), reach * rng.uniform(0.15, 0.6))
    ring = reach * rng.uniform(2.2, 4.5)
    stands = np.array([[-ring, -ring, 0.15 * ring], [ring, ring, rng.uniform(0.4, 0.9) * ring]])
    return build.build("objects", np.array([0, 0, 0.4 * reach]), stands, reach)


def _object(build: SceneBuilder, foot: Float, size: float) -> None:
    """One solid, standing at `foot` or tilted anyhow."""
    rng = build.rng
    kind = _SOLID_OBJECTS[int(rng.integers(0, len(_SOLID_OBJECTS)))]
    half = size * rng.uniform(0.4, 1.2, 3)
    if kind == Kind.TORUS:
        half = size * np.array([1, 1, rng.uniform(0.15, 0.4)])
    rotation = yaw(rng.uniform(0, 2 * np.pi))
    if rng.random() < 0.3:
        rotation = np.linalg.qr(rng.standard_normal((3, 3)))[0]
        rotation *= np.sign(np.linalg.det(rotation))
    build.add(kind, foot + np.array([0, 0, half[2]]), half, rotation)


def _ground(build: SceneBuilder, half_m: float) -> None:
    rng = build.rng
    tile = float(half_m * np.exp(rng.uniform(np.log(0.05), np.log(0.4))))
    if rng.random() < 0.2:
        half = np.array([half_m * 0.5, half_m * 0.5, half_m * rng.uniform(0.002, 0.01)])
        build.add(Kind.RELIEF, [0, 0, -half[2] * 0.5], half, metres_per_tile=tile)
    build.add(Kind.BOX, [0, 0, -1 - 0.002 * half_m], [half_m, half_m, 1], metres_per_tile=tile)


def _showroom(build: SceneBuilder) -> Scene:
    """A room in which every surface is well textured: for demonstrations, not for training."""
    rng = build.rng
    half = np.array([rng.uniform(2.6, 3.4), rng.uniform(2.6, 3.4), 1.35])
    rich = ("bricks", "cells", "shapes", "tiles")
    build.add(Kind.ROOM, [0, 0, half[2]], half, styles=rich, metres_per_tile=1.3)
    for axis in (0, 1):
        for sign in (-1, 1):
            for place in (-0.55, 0.0, 0.55):
                size = np.array([rng.uniform(0.3, 0.6), rng.uniform(0.3, 0.6), rng.uniform(0.25, 0.45)])
                centre = np.array([place * half[0], place * half[1], rng.uniform(1.3, 1.9)])
                size[axis], centre[axis] = 0.03, sign * half[axis]
                build.add(Kind.BOX, centre, size, styles=("shapes", "text"), metres_per_tile=2 * size.max())
    for _ in range(8):
        _furniture(build, half)
    for _ in range(7):
        _object(build, np.array([*(rng.uniform(-0.45, 0.45, 2) * half[:2]), 0]), rng.uniform(0.15, 0.4))
    return build.build("showroom", np.array([0, 0, 1.0]), np.stack([-half, half]), float(half[0]))


SCENES: dict[str, Callable[[SceneBuilder], Scene]] = {"facade": _facade, "objects": _objects, "room": _room}
"""What training draws from."""

_BY_NAME = {**SCENES, "showroom": _showroom}
