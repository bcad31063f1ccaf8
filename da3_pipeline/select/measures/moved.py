"""How far corners have moved between two pictures: flat ones, and panoramas, in which turning is no motion."""

from __future__ import annotations

import math
from typing import Protocol

import cv2
import numpy as np

from ...arrays import Bytes, Float, Float32
from ...geometry.equirectangular import Equirectangular, FisheyePair, Panorama
from ...geometry.poses import nearest_rotation
from ..config import MotionConfig
from .flow import reduced, shift_between

__all__ = ["Moved", "OnPair", "OnPicture", "OnSphere", "moved_of"]

_ROUNDS = 4
_BAND = 1 / 6  # of the height at either pole: stretched there, and whoever holds the camera is at the lower one


class Moved(Protocol):
    """Distances are in shares of the diagonal."""

    def seen(self, grey: Bytes) -> Bytes:
        """The part of an (H, W) picture in which corners are followed, at the size for that."""

    def distances(self, before: Float32, after: Float32, shape: tuple[int, ...]) -> Float:
        """(n,) between the places (n, 2) of corners in two pictures of this shape."""

    def of_all(self, before: Bytes, after: Bytes) -> float:
        """Between two pictures without corners; 0 where it is not credible."""


class OnPicture:
    """Of flat pictures."""

    def __init__(self, config: MotionConfig) -> None:
        self._config = config

    def seen(self, grey: Bytes) -> Bytes:
        return reduced(grey, self._config.side_px)

    def distances(self, before: Float32, after: Float32, shape: tuple[int, ...]) -> Float:
        return np.asarray(np.linalg.norm(after - before, axis=1) / math.hypot(*shape), np.float64)

    def of_all(self, before: Bytes, after: Bytes) -> float:
        shift, response = shift_between(before, after)
        return float(np.hypot(*shift)) / math.hypot(*after.shape) if response > self._config.least_response else 0.0


class OnSphere:
    """Of panoramas: angles that are left when the rotation is taken off that most corners have in common.

    A camera that turns on the spot shows nothing new; what is left is parallax.
    """

    def __init__(self, panorama: Equirectangular, config: MotionConfig) -> None:
        self._panorama, self._config = panorama, config

    def seen(self, grey: Bytes) -> Bytes:
        small = reduced(grey, self._config.sphere_side_px)
        cut = round(_BAND * len(small))
        return np.ascontiguousarray(small[cut : len(small) - cut])

    def distances(self, before: Float32, after: Float32, shape: tuple[int, ...]) -> Float:
        if not len(before):
            return np.zeros(0)
        first, second = (self._rays(corners, shape) for corners in (before, after))
        weight = np.ones(len(first))
        for _ in range(_ROUNDS):
            rotation = nearest_rotation((second * weight[:, None]).T @ first)
            away = np.linalg.norm(second - first @ rotation.T, axis=1)
            weight = 1 / np.maximum(away, 1e-3)
        return np.asarray(2 * np.arcsin(np.minimum(away / 2, 1)) / np.radians(self._config.sphere_field_deg))

    def of_all(self, before: Bytes, after: Bytes) -> float:
        return 0.0

    def _rays(self, corners: Float32, shape: tuple[int, ...]) -> Float:
        scale = self._panorama.width / shape[1]
        top = (self._panorama.height - shape[0] * scale) / 2
        return self._panorama.rays((corners + 0.5) * scale + np.array([0.0, top]))


class OnPair(OnSphere):
    """Of what two fisheye lenses saw: on the panorama that they make together, as seams do not matter here."""

    def __init__(self, pair: FisheyePair, config: MotionConfig) -> None:
        sphere = Equirectangular.whole(config.sphere_side_px, config.sphere_side_px // 2)
        super().__init__(sphere, config)
        rows, columns = np.mgrid[0 : sphere.height, 0 : sphere.width] + 0.5
        self._shares = pair.project(sphere.rays(np.stack([columns, rows], -1))) / [pair.width, pair.height]

    def seen(self, grey: Bytes) -> Bytes:
        places = (self._shares * grey.shape[::-1] - 0.5).astype(np.float32)
        return super().seen(np.asarray(cv2.remap(grey, places, None, cv2.INTER_LINEAR), np.uint8))


def moved_of(panorama: Panorama | None, config: MotionConfig) -> Moved:
    """That of a clip's pictures."""
    if isinstance(panorama, FisheyePair):
        return OnPair(panorama, config)
    return OnPicture(config) if panorama is None else OnSphere(panorama, config)
