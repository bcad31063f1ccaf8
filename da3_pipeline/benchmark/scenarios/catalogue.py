"""Captures that are hard in one way each, with known truth: by which cameras, from where, of what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial

import numpy as np

from ...arrays import Float
from ...geometry import Camera, compose
from ...geometry.equirectangular import Equirectangular
from ...training.synthetic.atlas import Atlas, build_atlas
from ...training.synthetic.building import Scene
from ...training.synthetic.scenes import HELD_OUT_SEED
from ...training.synthetic.viewpoints import look_at
from ..peers.colmap import Cameras
from .rendering import Shot, moved, take, take_panorama, turned
from .worlds import World, corridor, empty_room, people, photographed, repeated_facade, showroom, stage, wall

__all__ = ["SCENARIOS", "Picture", "Scenario", "arc", "carried_film", "pictures_along", "world_atlas", "world_seed"]


_WIDTH, _HEIGHT = 640, 480
_FRAMES = 24
_FILMED = 72
_SPHERE = (2048, 1024)
_TEXTURES = 90
_BLUR_DEG = 1.6


@dataclass(frozen=True)
class Picture:
    """One picture to be: its name, pose (3, 4) in the world of the truth, camera, and how it is rendered.

    ignored: solids that a user's mask covers."""

    name: str
    cam_from_world: Float
    camera: Camera
    shot: Callable[[], Shot] = field(repr=False)
    ignored: tuple[int, ...] = ()


@dataclass(frozen=True)
class Scenario:
    """pictures: of a seed. lens: the camera model that a user of COLMAP would choose. masks: whether they are handed
    over. cameras: which pictures share one, for COLMAP. rig: folders of its sensors. film: the pictures are the frames
    of a video.
    """

    pictures: Callable[[int], Iterator[Picture]]
    lens: str = "OPENCV"
    masks: bool = False
    cameras: Cameras = "one"
    rig: tuple[str, ...] = ()
    film: bool = False


def arc(scene: Scene, seed: int, frames: int = _FRAMES, swing_deg: float = 50.0) -> Float:
    """(F, 3, 4) poses by hand along an arc around the middle of a room, looking through it at the far side."""
    rng = np.random.default_rng([seed, 0xA2C])
    room, start = scene.stands[1], rng.uniform(0, 2 * np.pi)
    poses = []
    for place in np.linspace(-1, 1, frames):
        angle = start + np.radians(swing_deg) * place
        out = 0.6 + 0.06 * rng.normal()
        centre = np.array([out * room[0] * np.cos(angle), out * room[1] * np.sin(angle), 1.4 + 0.12 * rng.normal()])
        gaze = start + np.pi + 0.7 * np.radians(swing_deg) * place + 0.05 * rng.normal()
        target = np.array([room[0] * np.cos(gaze), room[1] * np.sin(gaze), 1.1 + 0.1 * rng.normal()])
        poses.append(look_at(centre, target, np.radians(2 * rng.normal())))
    return np.stack(poses)


def _forward(seed: int) -> Iterator[Picture]:
    """Through a hall, straight on."""
    world, rng = corridor(world_atlas(), world_seed(seed)), np.random.default_rng([seed, 1])
    poses = []
    for x in np.linspace(-10, -1, _FRAMES):
        centre = np.array([x, 0.08 * rng.normal(), 1.4 + 0.04 * rng.normal()])
        ahead = np.array([4.0, 0.2 * rng.normal(), 0.15 * rng.normal()])
        poses.append(look_at(centre, centre + ahead))
    yield from pictures_along(world, np.stack(poses), _camera(70), seed)


def _rotation(seed: int) -> Iterator[Picture]:
    """On the spot, as on a tripod."""
    world, rng = showroom(world_atlas(), world_seed(seed)), np.random.default_rng([seed, 2])
    centre, start = np.array([0.1, 0.0, 1.6]), rng.uniform(0, 2 * np.pi)
    angles = start + np.radians(np.linspace(0, 150, _FRAMES))
    gazes = np.stack([np.cos(angles), np.sin(angles), 0.1 * np.sin(3 * angles) - 0.15], 1)
    poses = np.stack([look_at(centre, centre + gaze) for gaze in gazes])
    yield from pictures_along(world, poses, _camera(66), seed)


def _wall(seed: int) -> Iterator[Picture]:
    """Along a wall that is flat."""
    rng, poses = np.random.default_rng([seed, 3]), []
    for x in np.linspace(-4, 4, _FRAMES):
        centre = np.array([x, -5.0 + 0.5 * rng.normal(), 0.4 * rng.normal()])
        poses.append(look_at(centre, np.array([0.6 * x + 0.6 * rng.normal(), 0.0, 0.6 * rng.normal()])))
    yield from pictures_along(wall(world_atlas(), world_seed(seed)), np.stack(poses), _camera(60), seed)


def _turntable(seed: int) -> Iterator[Picture]:
    """The camera stands, the object turns; the truth is of the camera as the object sees it."""
    world, camera = stage(world_atlas(), world_seed(seed)), _camera(40)
    pose = look_at(np.array([1.6, 0.0, 1.35]), np.array([0.0, 0.0, 0.95]))
    for k in range(_FRAMES):
        angle = 2 * np.pi * k / _FRAMES
        turn = np.array([[np.cos(angle), -np.sin(angle), 0, 0], [np.sin(angle), np.cos(angle), 0, 0], [0, 0, 1, 0]])
        scene = turned(world.scene, world.movable[0], angle)
        yield Picture(f"{k:03d}.png", compose(pose, turn), camera, partial(take, scene, world_atlas(), pose, camera, k))


def _facade(seed: int) -> Iterator[Picture]:
    """Along a front whose bays are all the same."""
    rng, poses = np.random.default_rng([seed, 4]), []
    for x in np.linspace(-10, 10, _FRAMES):
        centre = np.array([x, -6.0 + 0.4 * rng.normal(), 1.7 + 0.1 * rng.normal()])
        poses.append(look_at(centre, np.array([0.9 * x + 0.5 * rng.normal(), 0.0, 2.4])))
    yield from pictures_along(repeated_facade(world_atlas(), world_seed(seed)), np.stack(poses), _camera(66), seed)


def _low_texture(seed: int) -> Iterator[Picture]:
    """In a plastered room."""
    rng, poses = np.random.default_rng([seed, 5]), []
    for place in np.linspace(-1, 1, _FRAMES):
        centre = np.array([-0.8 - 0.8 * np.cos(place), 1.6 * np.sin(place), 1.4 + 0.1 * rng.normal()])
        poses.append(look_at(centre, np.array([2.9, 0.4 * place + 0.1 * rng.normal(), 1.2])))
    yield from pictures_along(empty_room(world_atlas(), world_seed(seed)), np.stack(poses), _camera(70), seed)


def _lens(camera: Camera, seed: int) -> Iterator[Picture]:
    """The plain walk through another lens."""
    world = showroom(world_atlas(), world_seed(seed))
    yield from pictures_along(world, arc(world.scene, seed), camera, seed)


def _two_devices(seed: int) -> Iterator[Picture]:
    """Turn about with a phone and a camera of another size and lens."""
    world = showroom(world_atlas(), world_seed(seed))
    devices = (_camera(58), Camera.pinhole(800, 600, 800 / 2 / np.tan(np.radians(39))))
    for k, pose in enumerate(arc(world.scene, seed)):
        camera = devices[k % 2]
        name = f"{'ab'[k % 2]}_{k:03d}.png"
        yield Picture(name, pose, camera, partial(take, world.scene, world_atlas(), pose, camera, k))


def _rig_of_two(seed: int) -> Iterator[Picture]:
    """Two cameras bolted together, 25 cm apart and 24 degrees outwards, with shutters in step."""
    world, camera = showroom(world_atlas(), world_seed(seed)), _camera(62)
    half = np.radians(24)
    right_from_left = np.array(
        [[np.cos(half), 0, -np.sin(half), -0.25], [0, 1.0, 0, 0], [np.sin(half), 0, np.cos(half), 0.0]]
    )
    for k, pose in enumerate(arc(world.scene, seed, _FRAMES // 2)):
        for folder, view in (("left", pose), ("right", compose(right_from_left, pose))):
            yield Picture(
                f"{folder}/{k:03d}.png", view, camera, partial(take, world.scene, world_atlas(), view, camera, k)
            )


def _blurred(seed: int) -> Iterator[Picture]:
    """Three in ten pictures are shaken by 1.6 degrees, sixteen pixels."""
    world, camera = showroom(world_atlas(), world_seed(seed)), _camera(62)
    rng = np.random.default_rng([seed, 6])
    blurred = set(rng.permutation(_FRAMES)[: round(0.3 * _FRAMES)].tolist())
    for k, pose in enumerate(arc(world.scene, seed)):
        direction = rng.uniform(0, 2 * np.pi)
        shake = _BLUR_DEG * np.array([np.cos(direction), np.sin(direction), 0.0]) if k in blurred else None
        yield Picture(f"{k:03d}.png", pose, camera, partial(take, world.scene, world_atlas(), pose, camera, k, shake))


def _people(seed: int) -> Iterator[Picture]:
    """Four figures walk in circles in front of the camera."""
    world, camera = people(world_atlas(), world_seed(seed)), _camera(62)
    everyone = tuple(solid for group in world.movable for solid in group)
    for k, pose in enumerate(arc(world.scene, seed)):
        scene = world.scene
        for number, group in enumerate(world.movable):
            angle = 0.5 * np.pi * number + 0.25 * k * (-1) ** number
            scene = moved(scene, group, (0.35 + 0.2 * number) * np.array([np.cos(angle), np.sin(angle), 0.0]))
        yield Picture(f"{k:03d}.png", pose, camera, partial(take, scene, world_atlas(), pose, camera, k), everyone)


def _carried(seed: int, frames: int, step_m: float) -> Float:
    """(F, 3, 4) poses of something held above one's head while walking around the middle of a room."""
    rng, radius_m = np.random.default_rng([seed, 7]), 1.0
    start, phase = rng.uniform(0, 2 * np.pi, 2)
    poses = []
    for k in range(frames):
        angle, sway = start + step_m * k / radius_m, 0.4 * k + phase
        out = radius_m * (1 + 0.15 * np.sin(2 * angle + phase))
        centre = np.array([out * np.cos(angle), out * np.sin(angle), 1.85 + 0.02 * np.sin(sway)])
        gaze = angle + np.pi / 2 + 0.1 * np.sin(0.7 * sway)
        ahead = np.array([np.cos(gaze), np.sin(gaze), 0.03 * np.sin(1.3 * sway)])
        poses.append(look_at(centre, centre + ahead, np.radians(1.5 * np.sin(0.9 * sway))))
    return np.stack(poses)


def carried_film(
    seed: int, frames: int, camera: Camera | None = None, size: tuple[int, int] = _SPHERE, step_m: float = 0.05
) -> Iterator[Picture]:
    """A film of all around, or through a pinhole, by somebody who walks under the camera, step_m from frame to frame.

    size: width and height of the panoramas."""
    world = photographed(world_atlas(), world_seed(seed))
    sphere = Equirectangular.whole(*size)
    for k, pose in enumerate(_carried(seed, frames, step_m)):
        centre, gaze = -pose[:, :3].T @ pose[:, 3], pose[2, :3]
        scene = moved(world.scene, world.movable[0], np.array([*(centre - 0.35 * gaze)[:2], 0.0]))
        if camera is None:
            shot = partial(take_panorama, scene, world_atlas(), pose, sphere, k)
            yield Picture(f"{k:06d}.png", pose, Camera("EQUIRECTANGULAR", *size, tuple(map(float, size))), shot)
        else:
            yield Picture(f"{k:06d}.png", pose, camera, partial(take, scene, world_atlas(), pose, camera, k))


def pictures_along(world: World, poses: Float, camera: Camera, seed: int) -> Iterator[Picture]:
    """One picture a pose (F, 3, 4), named by its number."""
    for k, pose in enumerate(poses):
        yield Picture(
            f"{k:03d}.png", pose, camera, partial(take, world.scene, world_atlas(), pose, camera, 1000 * seed + k)
        )


def _camera(fov_deg: float) -> Camera:
    return Camera.pinhole(_WIDTH, _HEIGHT, _WIDTH / 2 / np.tan(np.radians(fov_deg) / 2))


def world_seed(seed: int) -> int:
    """Of the world: none that training or the demonstration uses."""
    return HELD_OUT_SEED + 100_000 + seed


@cache
def world_atlas() -> Atlas:
    """The textures of all worlds."""
    return build_atlas(HELD_OUT_SEED + 1, _TEXTURES)


_BARREL = Camera("OPENCV", _WIDTH, _HEIGHT, (420.0, 420.0, _WIDTH / 2, _HEIGHT / 2, -0.28, 0.06, 0.0, 0.0))
_FISHEYE = Camera("OPENCV_FISHEYE", _WIDTH, _HEIGHT, (262.0, 262.0, _WIDTH / 2, _HEIGHT / 2, -0.01, 0.002, 0.0, 0.0))

SCENARIOS: dict[str, Scenario] = {
    "forward motion": Scenario(_forward),
    "pure rotation": Scenario(_rotation),
    "planar wall": Scenario(_wall),
    "turntable": Scenario(_turntable),
    "repeated facade": Scenario(_facade),
    "low texture": Scenario(_low_texture),
    "strong barrel": Scenario(partial(_lens, _BARREL)),
    "fisheye": Scenario(partial(_lens, _FISHEYE), lens="OPENCV_FISHEYE"),
    "two devices": Scenario(_two_devices, cameras="images"),
    "rig of two": Scenario(_rig_of_two, cameras="folders", rig=("left", "right")),
    "30 % blurred": Scenario(_blurred),
    "360 film": Scenario(partial(carried_film, frames=_FILMED), film=True),
    "360 film, pinhole": Scenario(lambda seed: carried_film(seed, _FILMED, _camera(70)), film=True),
    "moving people": Scenario(_people),
    "moving people, masked": Scenario(_people, masks=True),
}
"""By name, in the order of the table."""
