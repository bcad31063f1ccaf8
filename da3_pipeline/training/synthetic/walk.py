"""A handheld video of a held-out room, with its true cameras: what the demonstration reconstructs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ...arrays import Bytes, Float, Float32
from ...errors import UsageError
from ...geometry import Camera
from .atlas import Atlas, build_atlas
from .building import Scene
from .render import View, render_antialiased
from .scenes import HELD_OUT_SEED, make_scene
from .viewpoints import is_clear, look_at

__all__ = ["Walk", "render_walk", "tremor"]

_PROCEDURAL_TEXTURES = 90
_SWING_RAD = np.radians(50)
_CLEARANCE_M = 0.3
_TREMOR_M = 0.008
_TREMOR_RAD = np.radians(0.5)
_NOISE = 1.2
_ATTEMPTS = 50


@dataclass(frozen=True)
class Walk:
    """A rendered video. cam_from_world (F, 3, 4), metres; one pinhole camera."""

    cam_from_world: Float
    camera: Camera
    _scene: Scene
    _atlas: Atlas
    _seed: int

    def __len__(self) -> int:
        return len(self.cam_from_world)

    def frames(self) -> Iterator[Bytes]:
        """The pictures in order, (H, W, 3) uint8 RGB, with sensor noise; rendered as they are asked for."""
        for index in range(len(self)):
            yield self.picture(index)[0]

    def picture(self, index: int) -> tuple[Bytes, Float32]:
        """One picture (H, W, 3) uint8 RGB, with sensor noise, and its true z-depth (H, W) in metres, 0 at the sky."""
        size = (self.camera.height, self.camera.width, 1)
        noise = np.random.default_rng([self._seed, index]).normal(0, _NOISE, size)
        view = self._view(index)
        rgb = np.asarray((255 * view.colour.numpy() + noise).clip(0, 255), np.uint8)
        return rgb, np.asarray(view.depth.numpy(), np.float32)

    def depth(self, index: int) -> Float32:
        """True z-depth (H, W) of one frame, metres."""
        return np.asarray(self._view(index).depth.numpy(), np.float32)

    def _view(self, index: int) -> View:
        pose = torch.tensor(self.cam_from_world[index], dtype=torch.float32)
        K = torch.tensor(self.camera.K, dtype=torch.float32)
        return render_antialiased(self._scene, self._atlas, pose, K, (self.camera.width, self.camera.height))


def render_walk(seed: int = 0, frames: int = 90, width: int = 640, height: int = 480, *, fov_deg: float = 66.0) -> Walk:
    """A walk along an arc through a textured room, looking across it; a function of its arguments.

    fov_deg: field of view of the longer side. Needs no photographs. Raises UsageError for impossible sizes.
    """
    if frames < 1 or width < 16 or height < 16 or not 1 < fov_deg < 170:
        raise UsageError(f"cannot render {frames} frames of {width}x{height} at {fov_deg} degrees: use larger numbers")
    atlas = build_atlas(HELD_OUT_SEED, _PROCEDURAL_TEXTURES)
    camera = Camera.pinhole(width, height, max(width, height) / 2 / np.tan(np.radians(fov_deg) / 2))
    for attempt in range(_ATTEMPTS):
        scene = make_scene(HELD_OUT_SEED + _ATTEMPTS * seed + attempt, atlas, "showroom")
        rng = np.random.default_rng([seed, attempt, 0x3A1C])
        poses = _handheld(rng, scene, frames)
        centres = -np.einsum("fji,fj->fi", poses[:, :, :3], poses[:, :, 3])
        if all(is_clear(scene, centre, _CLEARANCE_M) for centre in centres[:: max(1, frames // 20)]):
            break
    return Walk(poses, camera, scene, atlas, seed)


def _handheld(rng: np.random.Generator, scene: Scene, frames: int) -> Float:
    """Poses along an arc around the room's middle, looking through the middle at the far side."""
    room = scene.stands[1]
    start = rng.uniform(0, 2 * np.pi)
    time = np.linspace(0, 1, frames)
    swing = _SWING_RAD * np.sin(np.pi * (time - 0.5))
    shake = tremor(rng, frames)
    poses = []
    for k in range(frames):
        angle = start + swing[k]
        radius = 0.55 + 0.12 * np.cos(2 * np.pi * time[k])
        centre = np.array([radius * room[0] * np.cos(angle), radius * room[1] * np.sin(angle), 1.45])
        gaze = start + np.pi + 0.75 * swing[k]
        target = np.array([room[0] * np.cos(gaze), room[1] * np.sin(gaze), 1.0 + 0.25 * np.sin(4 * time[k])])
        aim = target + np.linalg.norm(target - centre) * _TREMOR_RAD * shake[k, 3:6]
        poses.append(look_at(centre + _TREMOR_M * shake[k, :3], aim, _TREMOR_RAD * shake[k, 6]))
    return np.stack(poses)


def tremor(rng: np.random.Generator, frames: int) -> Float:
    """(F, 7) smooth random motions of about unit size: a hand's, of 0.3 to 3 cycles a second at 30 frames a second."""
    time = np.arange(frames) / 30
    frequency = np.geomspace(0.3, 3, 6)
    phase = rng.uniform(0, 2 * np.pi, (7, 6))
    waves = np.sin(2 * np.pi * frequency * time[:, None, None] + phase) / np.sqrt(frequency)
    return np.asarray(waves.sum(-1) / 2)
