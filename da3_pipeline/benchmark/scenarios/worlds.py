"""What the scenarios are taken in: worlds that are easy but for the one thing that each of them is about."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch

from ...training.synthetic.atlas import Atlas
from ...training.synthetic.building import Scene, SceneBuilder, yaw
from ...training.synthetic.scenes import make_scene
from ...training.synthetic.solids import Kind

__all__ = [
    "World",
    "WorldBuilder",
    "corridor",
    "empty_room",
    "people",
    "photographed",
    "repeated_facade",
    "showroom",
    "stage",
    "wall",
    "world_builder",
]

_RICH = ("bricks", "cells", "shapes", "tiles", "planks")


@dataclass(frozen=True)
class World:
    """A scene, and the indices of the solids in it that move, in groups that move together."""

    scene: Scene
    movable: tuple[tuple[int, ...], ...] = ()


def showroom(atlas: Atlas, seed: int) -> World:
    """A well textured room, about 6 m wide, furnished."""
    return World(make_scene(seed, atlas, "showroom"))


def people(atlas: Atlas, seed: int) -> World:
    """The showroom with four figures in it: head, trunk and legs each."""
    room = showroom(atlas, seed).scene
    build, groups = world_builder(atlas, seed, 1), []
    for number in range(4):
        first = 3 * number
        height = build.rng.uniform(1.6, 1.9)
        build.add(Kind.BOX, [0, 0, 0.23 * height], [0.16, 0.12, 0.23 * height], styles=_RICH, metres_per_tile=0.7)
        build.add(Kind.ELLIPSOID, [0, 0, 0.64 * height], [0.26, 0.17, 0.22 * height], styles=_RICH, metres_per_tile=0.6)
        build.add(Kind.ELLIPSOID, [0, 0, 0.92 * height], [0.1, 0.12, 0.13], styles=("cells",), metres_per_tile=0.5)
        groups.append(tuple(range(first, first + 3)))
    figures = build.build("people", np.zeros(3), np.zeros((2, 3)), 1.0)
    return World(_joined(room, figures), tuple(tuple(len(room.solids) + k for k in group) for group in groups))


def photographed(atlas: Atlas, seed: int) -> World:
    """The showroom with somebody in it who carries the camera, at the origin."""
    room, build = showroom(atlas, seed).scene, world_builder(atlas, seed, 7)
    for height, half in ((0.4, (0.14, 0.14, 0.4)), (1.1, (0.25, 0.16, 0.36)), (1.55, (0.1, 0.12, 0.13))):
        build.add(Kind.ELLIPSOID, [0, 0, height], list(half), styles=_RICH, metres_per_tile=0.6)
    figure = build.build("photographer", np.zeros(3), np.zeros((2, 3)), 1.0)
    return World(_joined(room, figure), (tuple(range(len(room.solids), len(room.solids) + 3)),))


def corridor(atlas: Atlas, seed: int) -> World:
    """A hall 24 m long and 4 m wide with things along its walls, to walk through along x."""
    build = world_builder(atlas, seed, 2)
    build.add(Kind.ROOM, [0, 0, 1.4], [12, 2, 1.4], styles=_RICH, metres_per_tile=2.0)
    for place in np.linspace(-11, 11, 23):
        side = build.rng.choice([-1, 1])
        half = build.rng.uniform(0.15, 0.45, 3)
        build.add(
            Kind.BOX, [place, side * (2 - half[1]), half[2]], half, yaw(build.rng.normal(0, 0.2)), metres_per_tile=0.8
        )
        panel = [place + 0.4, -side * 1.98, build.rng.uniform(1.0, 1.9)]
        build.add(Kind.BOX, panel, [0.35, 0.03, 0.3], styles=("shapes", "text"), metres_per_tile=0.7)
    return World(build.build("corridor", np.array([12.0, 0, 1.4]), np.array([[-11, -1, 1.0], [11, 1, 1.8]]), 12.0))


def wall(atlas: Atlas, seed: int) -> World:
    """One flat wall, richly textured, and nothing else."""
    build = world_builder(atlas, seed, 3)
    build.add(Kind.BOX, [0, 1, 0], [14, 1, 9], styles=("shapes", "text"), metres_per_tile=9.0)
    return World(build.build("wall", np.zeros(3), np.array([[-4, -6, -1], [4, -4, 1]]), 5.0))


def repeated_facade(atlas: Atlas, seed: int) -> World:
    """A front of 14 bays that are the same to the last pixel, a little of its surroundings, and one door."""
    build = world_builder(atlas, seed, 4)
    bays, width = 14, 2.0
    build.add(Kind.BOX, [0, 1, 3], [bays * width / 2, 1, 3], styles=("bricks",), metres_per_tile=width)
    for row in range(2):
        for bay in range(bays):
            centre = [(bay + 0.5 - bays / 2) * width, -0.08, 1.6 + 2.6 * row]
            build.add(Kind.BOX, centre, [0.5, 0.12, 0.7], styles=("windows",), metres_per_tile=1.4)
            build.add(Kind.BOX, [centre[0], -0.3, centre[2] - 0.85], [0.65, 0.3, 0.06], metres_per_tile=1.0)
    build.alike(range(1, 1 + 4 * bays, 2))
    build.alike(range(2, 1 + 4 * bays, 2))
    build.add(Kind.BOX, [0.3 * bays, -0.05, 1.0], [0.5, 0.06, 1.0], styles=("shapes",), metres_per_tile=2.0)
    build.add(Kind.BOX, [0, -19, -1], [40, 20, 1], styles=("gradient",), metres_per_tile=9.0)
    return World(build.build("facade", np.array([0, 0, 2.5]), np.array([[-12, -7, 1.5], [12, -5, 2]]), 12.0))


def empty_room(atlas: Atlas, seed: int) -> World:
    """A plastered room with hardly anything in it."""
    build = world_builder(atlas, seed, 5)
    build.add(Kind.ROOM, [0, 0, 1.4], [3, 3, 1.4], styles=("gradient",), metres_per_tile=6.0)
    for centre, half in (([2.2, 1.0, 0.4], [0.5, 0.4, 0.4]), ([2.9, -1.0, 1.5], [0.04, 0.4, 0.3])):
        build.add(Kind.BOX, centre, half, styles=("gradient",), metres_per_tile=2.0)
    build.plain()
    build.add(Kind.BOX, [2.95, 0.6, 1.7], [0.03, 0.25, 0.2], styles=("shapes",), metres_per_tile=0.6)
    return World(build.build("empty room", np.array([2.9, 0, 1.2]), np.array([[-2, -2, 1.2], [2, 2, 1.7]]), 3.0))


def stage(atlas: Atlas, seed: int) -> World:
    """A turntable at the origin with things on it, in front of a textured room that does not turn with it."""
    build = world_builder(atlas, seed, 6)
    build.add(Kind.ROOM, [0, 0, 1.4], [3, 3, 1.4], styles=_RICH, metres_per_tile=1.5)
    build.add(Kind.CYLINDER, [0, 0, 0.8], [0.4, 0.4, 0.02], styles=("shapes",), metres_per_tile=0.8)
    build.add(Kind.BOX, [0.05, 0, 1.02], [0.14, 0.1, 0.2], yaw(0.4), styles=("text",), metres_per_tile=0.5)
    build.add(Kind.ELLIPSOID, [-0.15, 0.12, 0.93], [0.1, 0.1, 0.11], styles=("cells",), metres_per_tile=0.3)
    build.add(Kind.BOX, [-0.1, -0.2, 0.9], [0.08, 0.08, 0.08], yaw(1.0), styles=("shapes",), metres_per_tile=0.3)
    return World(
        build.build("stage", np.array([0, 0, 0.95]), np.array([[-1, -1, 1.1], [1, 1, 1.4]]), 1.0), ((1, 2, 3, 4),)
    )


class WorldBuilder(SceneBuilder):
    """A SceneBuilder that can make solids exact copies in all but place, and take the second texture from all."""

    def __len__(self) -> int:
        return len(self._rows)

    def plain(self) -> None:
        for row in self._rows:
            row["overlay_gain"] = 0.0

    def alike(self, rows: range) -> None:
        first = self._rows[rows[0]]
        for row in rows[1:]:
            self._rows[row] = {**first, "centre": self._rows[row]["centre"]}

    def row(self, number: int) -> dict[str, Any]:
        return self._rows[number]

    def change(self, row: int, **values: object) -> None:
        """Columns of one solid, as of `Solids`."""
        self._rows[row] = self._rows[row] | values

    def copied(self, rows: range, turn_rad: float = 0.0, shift_m: tuple[float, float] = (0.0, 0.0)) -> None:
        """Solids once more: turned about the world's z axis through 0, then shifted in x and y; all else the same."""
        turn = yaw(turn_rad)  # of coordinates; its transpose turns points
        for row in rows:
            first = self.row(row)
            centre = np.asarray(first["centre"]) @ turn + np.array([*shift_m, 0.0])
            self._rows.append({**first, "centre": centre, "local_from_world": first["local_from_world"] @ turn})


def world_builder(atlas: Atlas, seed: int, kind: int) -> WorldBuilder:
    return WorldBuilder(np.random.default_rng([seed, kind, 0x5CE2]), atlas)


def _joined(room: Scene, figures: Scene) -> Scene:
    """The room with the solids of another scene in it; light and sky are the room's."""
    names = [field.name for field in fields(room.solids) if field.name not in ("heights", "relief")]
    columns = {name: torch.cat([getattr(room.solids, name), getattr(figures.solids, name)]) for name in names}
    relief = torch.cat([room.solids.relief, torch.zeros(len(figures.solids), dtype=torch.int64)])
    return replace(room, solids=replace(room.solids, **columns, relief=relief))
