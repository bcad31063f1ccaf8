"""Captures of worlds with equal parts: each world by two dozen photographs, and by video."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from ...arrays import Float
from ...geometry import Camera
from ...training.synthetic.atlas import Atlas
from ...training.synthetic.viewpoints import look_at
from ...training.synthetic.walk import tremor
from . import doppelganger_worlds as worlds
from .catalogue import Picture, Scenario, pictures_along, world_atlas, world_seed
from .worlds import World

__all__ = ["DOPPELGANGERS", "VIDEO_FRAMES_PER_S", "Doppelganger", "doppelganger_poses", "doppelganger_scenario"]

VIDEO_FRAMES_PER_S = 10
"""So few that a turn takes some seconds, as by hand."""

_WIDTH, _HEIGHT = 480, 360
_PHOTOGRAPHS, _VIDEO_FRAMES = 24, 75
_BY_HAND, _SMOOTHLY = 0.04, 0.008  # of the way to what is looked at: how far a camera strays from its path

Way = Callable[[Float], tuple[Float, Float]]


@dataclass(frozen=True)
class Doppelganger:
    """world: of a seed. path: centres (F, 3) and targets (F, 3) at shares (F,) of the way. told: whether enough is
    around to tell equal parts apart. in_order: whether photographs are named in the order they were taken in."""

    world: Callable[[Atlas, int], World]
    path: Way
    told: bool
    in_order: bool = True
    fov_deg: float = 60.0


def doppelganger_poses(one: Doppelganger, seed: int, video: bool) -> Float:
    """(F, 3, 4) cam_from_world, in the order of the names."""
    frames = _VIDEO_FRAMES if video else _PHOTOGRAPHS
    rng = np.random.default_rng([seed, 0xD0BB, int(video)])
    shake = _SMOOTHLY * tremor(rng, frames) if video else _BY_HAND * rng.normal(size=(frames, 7))
    places = np.linspace(0, 1, frames)
    if not video:
        places = (places + rng.uniform(-0.25, 0.25, frames) / frames).clip(0, 1)
    centres, targets = one.path(places)
    away = np.linalg.norm(targets - centres, axis=1)[:, None]
    centres, targets = centres + away * shake[:, :3] * [1, 1, 0.7], targets + away * shake[:, 3:6]
    poses = np.stack([look_at(*place) for place in zip(centres, targets, shake[:, 6], strict=True)])
    return poses if video or one.in_order else rng.permutation(poses)


def doppelganger_scenario(name: str, video: bool) -> Scenario:
    """One of DOPPELGANGERS as a scenario that can be rendered."""
    return Scenario(partial(_pictures, DOPPELGANGERS[name], video))


def _pictures(one: Doppelganger, video: bool, seed: int) -> Iterator[Picture]:
    camera = Camera.pinhole(_WIDTH, _HEIGHT, _WIDTH / 2 / np.tan(np.radians(one.fov_deg) / 2))
    world = one.world(world_atlas(), world_seed(seed))
    yield from pictures_along(world, doppelganger_poses(one, seed, video), camera, seed)


def _orbit(radius: float, height: float, target: float, places: Float) -> tuple[Float, Float]:
    """Once around, and a little further."""
    angle = np.radians(370) * places
    rise = height * (1 + 0.15 * np.sin(2 * angle))
    centres = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), rise])
    return centres, np.tile([0.0, 0.0, target], (len(places), 1))


def _within(radius: float, places: Float) -> tuple[Float, Float]:
    """Around the middle of a room, looking across it."""
    centres, targets = _orbit(radius, 1.6, 1.4, places)
    return centres, np.column_stack([-1.5 * centres[:, :2], targets[:, 2]])


def _along(reach: float, away: float, target: float, places: Float) -> tuple[Float, Float]:
    """Past a front, looking at it and a little about."""
    x = reach * (2 * places - 1)
    centres = np.column_stack([x, np.full(len(x), -away), np.full(len(x), 1.6)])
    targets = np.column_stack([x + 0.25 * away * np.sin(9 * places), np.zeros(len(x)), np.full(len(x), target)])
    return centres, targets


def _through(reach: float, places: Float) -> tuple[Float, Float]:
    """Through a corridor, looking ahead to this side and that."""
    x = reach * (1.7 * places - 1)
    side = np.sin(14 * places)
    centres = np.column_stack([x, -0.35 * side, np.full(len(x), 1.5)])
    return centres, np.column_stack([x + 2.0, 0.9 * side, np.full(len(x), 1.35)])


DOPPELGANGERS: dict[str, Doppelganger] = {
    "can": Doppelganger(worlds.can, partial(_orbit, 1.9, 1.2, 0.45), told=False),
    "can among things": Doppelganger(worlds.labelled_can, partial(_orbit, 1.9, 1.2, 0.45), told=True),
    "carton": Doppelganger(worlds.carton, partial(_orbit, 2.0, 1.1, 0.45), told=False),
    "tower": Doppelganger(worlds.tower, partial(_orbit, 11.0, 3.0, 3.6), told=False, in_order=False),
    "cupola among houses": Doppelganger(worlds.cupola, partial(_orbit, 11.0, 3.0, 3.0), told=True),
    "fountain": Doppelganger(worlds.fountain, partial(_orbit, 4.2, 1.8, 0.8), told=True, in_order=False),
    "rotunda": Doppelganger(worlds.rotunda, partial(_within, 2.0), told=True, fov_deg=70.0),
    "bays": Doppelganger(worlds.bays, partial(_along, 12.0, 6.0, 2.4), told=False),
    "twin houses": Doppelganger(worlds.twins, partial(_along, 9.0, 6.5, 2.2), told=True),
    "doors": Doppelganger(worlds.doors, partial(_through, 13.0), told=False, fov_deg=70.0),
}
"""By name, in the order of the table."""
