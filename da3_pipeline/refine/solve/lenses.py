"""One lens behind several cameras: upright and on its side, or stored at another size, it is adjusted as one.

Scenes keep a camera for each camera_id, at its size. Where cameras are told to share their lens, an adjustment sees the
pictures of all as if they had been taken the way those of the first were: pixels and poses turned by quarter turns and
resized, everything that is told in a camera's axes with them, and afterwards turned back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...arrays import Float, Int
from ...geometry import Camera
from ...types import Frame
from ..config import LensConfig

__all__ = ["Lenses", "View", "lenses_of", "turned"]

_CLOCKWISE = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
"""Of a picture turned clockwise by a quarter, its camera from the camera that it had before."""

_CENTRED = {"SIMPLE_PINHOLE": 1, "SIMPLE_RADIAL": 1, "RADIAL": 1, "OPENCV_FISHEYE": 2}
"""Models that a turn leaves in their family, and where the centre stands in their parameters."""


@dataclass(frozen=True)
class View:
    """How a camera's pictures become those of the camera `of`: turned clockwise by `quarters`, resized to its size.

    certain: whether EXIF tells the direction, so that the centre of one tells that of the other.
    """

    of: str
    quarters: int
    certain: bool

    @property
    def turn(self) -> Float:
        """(3, 3) rotation to the axes of the camera `of`."""
        return np.linalg.matrix_power(_CLOCKWISE, self.quarters)


@dataclass(frozen=True)
class Lenses:
    """The cameras that share their lens with another, each with its view; those that they become stand for themselves
    and are not among the keys."""

    views: dict[str, View]

    def first(self, camera_id: str) -> str:
        """The camera that stands for this one's lens; itself where it shares none."""
        view = self.views.get(camera_id)
        return view.of if view else camera_id

    def sharing(self, camera_id: str) -> set[str]:
        """The cameras whose lens this one stands for, itself among them."""
        return {camera_id} | {name for name, view in self.views.items() if view.of == camera_id}

    @property
    def uncertain(self) -> frozenset[str]:
        """Cameras that stand for a lens which others share that may be turned the other way."""
        return frozenset(view.of for view in self.views.values() if not view.certain)

    def with_shared(self, cameras: dict[str, Camera]) -> dict[str, Camera]:
        """With the parameters of cameras that share a lens taken from the one that stands for it."""
        shared = dict(cameras)
        for camera_id, view in self.views.items():
            first, own = cameras[view.of], cameras[camera_id]
            shared[camera_id] = turned(first, -view.quarters % 4).resized(own.width, own.height)
        return shared

    def turns(self, camera_names: Sequence[str], camera_index: Int) -> Float:
        """(N, 3, 3) of each frame, to the axes of the camera that stands for its lens."""
        own = [self.views[name].turn if name in self.views else np.eye(3) for name in camera_names]
        return np.stack(own)[camera_index]


def turned(camera: Camera, quarters: int) -> Camera:
    """The camera of the same picture turned clockwise by quarter turns. ValueError for a model that leaves its family,
    as tangential distortion does."""
    place = _CENTRED.get(camera.model)
    if place is None:
        raise ValueError(f"{camera.model} cannot be turned")
    for _ in range(quarters % 4):
        params = list(camera.params)
        if place == 2:
            params[0], params[1] = params[1], params[0]
        params[place], params[place + 1] = camera.height - camera.params[place + 1], camera.params[place]
        camera = replace(camera, width=camera.height, height=camera.width, params=tuple(params))
    return camera


def lenses_of(frames: Sequence[Frame], config: LensConfig) -> Lenses | None:
    """The cameras of `frames` that share a lens and may be adjusted as one; None where none do.

    Cameras that are known, or stand on a rig, where every sensor is a camera of its own, share none. Pictures of the
    transposed size do, or of one shape with focal lengths that EXIF tells for both, unless those differ by more than
    `config.one_focal`. The camera with most frames stands for the lens.
    """
    count: dict[str, int] = {}
    example: dict[str, Frame] = {}
    turns: dict[str, set[int | None]] = {}
    for frame in frames:
        if frame.lens is not None and frame.known_camera is None and frame.rig is None:
            count[frame.camera_id] = count.get(frame.camera_id, 0) + 1
            example.setdefault(frame.camera_id, frame)
            turns.setdefault(frame.camera_id, set()).add(frame.quarter_turns)
    views: dict[str, View] = {}
    firsts_of: dict[str | None, list[str]] = {}
    for camera_id in sorted(count, key=lambda name: (-count[name], name)):
        firsts = firsts_of.setdefault(example[camera_id].lens, [])
        for first in firsts:
            quarters = _quarters(example[camera_id], example[first])
            if quarters is not None and _agree(example[camera_id], example[first], config.one_focal):
                views[camera_id] = _view(first, quarters, turns[camera_id], turns[first])
                break
        else:
            firsts.append(camera_id)
    return Lenses(views) if views else None


def _quarters(frame: Frame, first: Frame) -> int | None:
    """1 where a quarter turn gives the frame the shape of the other, 0 where it has it, None where neither."""
    for quarters, (width, height) in ((1, (frame.height, frame.width)), (0, (frame.width, frame.height))):
        grown = first.width / width
        rounding_px = max(1.0, grown)  # a resized picture has whole pixels
        on_side = (width > height) == (first.width > first.height)
        if on_side and abs(height * grown - first.height) <= rounding_px:
            return quarters
    return None


def _agree(frame: Frame, first: Frame, one_focal: float) -> bool:
    """Whether EXIF's focal lengths, in longer sides, speak for one lens, or at least, of transposed sizes, not against.

    One that only one of them has speaks against: a picture cropped after it was taken has none.
    """
    own_px, first_px = frame.exif_focal_px, first.exif_focal_px
    if not own_px or not first_px:
        transposed = (frame.width, frame.height) == (first.height, first.width)
        return not own_px and not first_px and transposed
    ratio = (own_px / max(frame.width, frame.height)) / (first_px / max(first.width, first.height))
    return abs(ratio - 1) <= one_focal


def _view(first: str, quarters: int, own: set[int | None], others: set[int | None]) -> View:
    """Turned the way that EXIF tells, if it tells one for each camera; else clockwise, which may be wrong."""
    if len(own) == 1 and len(others) == 1:
        mine, other = next(iter(own)), next(iter(others))
        if mine is not None and other is not None and (other - mine) % 2 == quarters:
            return View(first, (other - mine) % 4, True)
    return View(first, quarters, quarters == 0 and own == others and len(own) == 1)
