"""A long walk through the streets of a small district that comes back to where it began, again and again.

Three rounds of growing length start along the same street in the same direction: around one block, around two, around
four. What a reconstruction of a long capture is measured on: it drifts between the visits and can notice them.
"""

from __future__ import annotations

import numpy as np

from ...arrays import Float
from ...errors import UsageError
from ...geometry import Camera
from .atlas import Atlas, build_atlas
from .building import Scene, SceneBuilder, yaw
from .scenes import HELD_OUT_SEED
from .solids import Kind
from .viewpoints import look_at
from .walk import Walk, tremor

__all__ = ["TOUR_FRAMES", "render_tour"]


TOUR_FRAMES = 2000
"""Frames of the whole tour; a shorter one is its beginning."""

_PROCEDURAL_TEXTURES = 90
_BLOCK_M = 9.0  # side of a block of houses
_PITCH_M = 15.0  # from one street to the next
_BLOCKS = 4  # blocks along each side of the district; the walk stays among the inner ones
_ROUNDS = ((1, 1), (2, 1), (2, 2))  # blocks passed to the east and to the north before turning back
_EYE_M = 1.6
_CORNER_M = 3.0
_AHEAD_M = 5.0
_TREMOR_M = 0.01
_TREMOR_RAD = np.radians(0.5)
_WALLS = ("bricks", "windows", "tiles", "cells", "shapes", "planks", "photograph")


def render_tour(
    seed: int = 0, frames: int = TOUR_FRAMES, width: int = 224, height: int = 168, *, fov_deg: float = 70.0
) -> Walk:
    """The first `frames` pictures of the tour through the district of this seed, rendered as they are asked for.

    fov_deg: field of view of the longer side. Needs no photographs. Raises UsageError for impossible sizes.
    """
    if not 1 <= frames <= TOUR_FRAMES or min(width, height) < 16 or not 1 < fov_deg < 170:
        raise UsageError(
            f"cannot render {frames} frames of {width}x{height} at {fov_deg} degrees: "
            f"use 1 to {TOUR_FRAMES} frames of at least 16x16"
        )
    atlas = build_atlas(HELD_OUT_SEED, _PROCEDURAL_TEXTURES)
    camera = Camera.pinhole(width, height, max(width, height) / 2 / np.tan(np.radians(fov_deg) / 2))
    poses = _walk(np.random.default_rng([seed, 0x70C2]))[:frames]
    return Walk(poses, camera, _district(seed, atlas), atlas, seed)


def _district(seed: int, atlas: Atlas) -> Scene:
    """Blocks of houses on a square grid; the crossings lie at whole multiples of the pitch."""
    build = SceneBuilder(np.random.default_rng([HELD_OUT_SEED, seed, 0xD157]), atlas)
    rng = build.rng
    extent = _BLOCKS * _PITCH_M
    build.add(Kind.BOX, [0, 0, -1], [2 * extent, 2 * extent, 1], metres_per_tile=3.0, styles=("tiles", "cells"))
    for row in range(_BLOCKS):
        for column in range(_BLOCKS):
            middle = _PITCH_M * (np.array([column, row]) - 0.5)
            _block(build, middle)
    size = np.array([extent, extent, 0.0])
    low, high = np.array([-_PITCH_M, -_PITCH_M, 1.0]), size + np.array([0, 0, 2.0])
    return build.build("district", np.array([*(rng.uniform(0, extent, 2)), 2.0]), np.stack([low, high]), extent)


def _block(build: SceneBuilder, middle: Float) -> None:
    """Four houses of unlike height back to back, things on their walls and before their doors."""
    rng = build.rng
    half = _BLOCK_M / 2
    for quarter in ((-1, -1), (1, -1), (-1, 1), (1, 1)):
        height = rng.uniform(3.0, 7.0)
        centre = [*(middle + 0.5 * half * np.array(quarter)), height / 2]
        size = [half / 2, half / 2, height / 2]
        build.add(Kind.BOX, centre, size, styles=_WALLS, metres_per_tile=rng.uniform(2.0, 5.0))
    for axis in (0, 1):
        for sign in (-1, 1):
            for place in (-0.45, 0.4):
                _on_wall(build, middle, axis, sign, place + rng.uniform(-0.25, 0.25))
    foot = np.append(middle + (half + 0.5) * rng.choice([-1, 1], 2), 0.0)
    radius, height = rng.uniform(0.15, 0.3), rng.uniform(0.5, 1.4)
    build.add(Kind.CYLINDER, foot + np.array([0, 0, height]), [radius, radius, height], metres_per_tile=1.0)


def _on_wall(build: SceneBuilder, middle: Float, axis: int, sign: int, place: float) -> None:
    """A sign, a bay or a crate at a place (-1..1) along one side of a block."""
    rng = build.rng
    half = _BLOCK_M / 2
    out = rng.uniform(0.05, 0.45)
    size = np.array([rng.uniform(0.3, 0.8), rng.uniform(0.3, 0.8), rng.uniform(0.3, 1.0)])
    centre = np.array([*middle, size[2] if rng.random() < 0.3 else rng.uniform(1.2, 2.8)])
    size[axis] = out
    centre[axis] += sign * half
    centre[1 - axis] += place * half
    build.add(Kind.BOX, centre, size, yaw(0.0), styles=("text", "shapes", "photograph", "windows"), metres_per_tile=1.5)


def _walk(rng: np.random.Generator) -> Float:
    """(TOUR_FRAMES, 3, 4) cam_from_world of a person who looks ahead and a little to the side."""
    path = _rounded(_corners())
    along = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1)))
    step_m = (along[-1] - 2 * _AHEAD_M) / (TOUR_FRAMES - 1)
    shake = tremor(rng, TOUR_FRAMES)
    poses = []
    for frame in range(TOUR_FRAMES):
        place, ahead = (
            np.array([np.interp(metres, along, path[:, axis]) for axis in (0, 1)])
            for metres in (frame * step_m, frame * step_m + _AHEAD_M)
        )
        sway = 0.5 * np.sin(frame / 45.0 + shake[0, 0])  # metres to the side, and a glance to either side
        side = np.array([ahead[1] - place[1], place[0] - ahead[0]]) / max(float(np.linalg.norm(ahead - place)), 1e-9)
        centre = np.append(place + 0.4 * sway * side, _EYE_M) + _TREMOR_M * shake[frame, :3]
        aim = np.append(ahead + 2.4 * sway * side, 1.5 + 0.2 * np.sin(frame / 60.0))
        aim = aim + _AHEAD_M * _TREMOR_RAD * shake[frame, 3:6]
        poses.append(look_at(centre, aim, _TREMOR_RAD * shake[frame, 6]))
    return np.stack(poses)


def _corners() -> list[Float]:
    """The crossings at which the walk turns, in order, and a last stretch to look at."""
    corners = [np.zeros(2)]
    for east, north in _ROUNDS:
        corners += [_PITCH_M * np.array(place, float) for place in ((east, 0), (east, north), (0, north), (0, 0))]
    return [*corners, _PITCH_M * np.array([1.0, 0.0])]


def _rounded(corners: list[Float]) -> Float:
    """(P, 2) closely spaced points along the corners, which are cut by quadratic curves."""
    pieces = [corners[0][None]]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        enter = corner + _CORNER_M * (before - corner) / np.linalg.norm(before - corner)
        leave = corner + _CORNER_M * (after - corner) / np.linalg.norm(after - corner)
        t = np.linspace(0, 1, 50)[:, None]
        pieces.append((1 - t) ** 2 * enter + 2 * t * (1 - t) * corner + t**2 * leave)
    return np.concatenate([*pieces, corners[-1][None]])
