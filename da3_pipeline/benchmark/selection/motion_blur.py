"""Pictures as a camera takes that turns while its shutter is open."""

from __future__ import annotations

import cv2
import numpy as np

from ...arrays import Bytes, Float
from ...geometry import Camera

__all__ = ["motion_blurred"]

_GAMMA = 2.2
_SAMPLES_PER_PX = 1.5
_BEND = 0.1  # of the motion, across it: hands do not move in straight lines
_ROLL = 0.3  # of the angle, about the optical axis, one sigma


def motion_blurred(rgb: Bytes, camera: Camera, length_px: float, rng: np.random.Generator) -> Float:
    """(H, W, 3) in 0..255: an (H, W, 3) picture smeared by `length_px` in its middle, in a random direction.

    The mean of the light over a rotation, exact for what is far away and away from the borders, which are mirrored.
    """
    light = ((rgb / np.float32(255)) ** _GAMMA).astype(np.float32)
    if length_px > 0:
        size = (rgb.shape[1], rgb.shape[0])
        turns = [camera.K @ turn @ np.linalg.inv(camera.K) for turn in _turns(camera, length_px, rng)]
        smeared = [cv2.warpPerspective(light, turn, size, borderMode=cv2.BORDER_REFLECT) for turn in turns]
        light = np.mean(smeared, axis=0)
    return np.asarray(255 * light.astype(np.float64) ** (1 / _GAMMA))


def _turns(camera: Camera, length_px: float, rng: np.random.Generator) -> list[Float]:
    angle = length_px / camera.focal_px
    direction, roll = rng.uniform(0, 2 * np.pi), rng.normal(0, _ROLL)
    along, across = np.array([np.sin(direction), np.cos(direction)]), np.array([np.cos(direction), -np.sin(direction)])
    count = max(3, int(np.ceil(length_px * _SAMPLES_PER_PX)))
    turns = []
    for time in np.linspace(-0.5, 0.5, count):
        tilt = angle * (time * along + _BEND * time**2 * across)
        turns.append(np.asarray(cv2.Rodrigues(np.array([*tilt, roll * angle * time]))[0], np.float64))
    return turns
