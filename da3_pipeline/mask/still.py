"""What stands still in all pictures of a camera: the background of an object on a turntable, the hood of a car."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..arrays import Bool, Bytes
from ..imageio import UnreadableImageError, read_rgb
from ..types import Frame
from .config import StillConfig

__all__ = ["StillBackground"]


class StillBackground:
    """Call it with a picture to get what of it stands still in the others of its camera; none where the camera moved.

    A pixel moves where its grey level changes over time by more than noise. Where things pass by turns, it shows what
    stands still in the pictures in which it looks as it does in many others. What moves is joined over parts of one
    colour, and specks of it are left out; the rest stands still.
    """

    def __init__(self, frames: Sequence[Frame], config: StillConfig) -> None:
        """Frames that cannot be read say nothing here; who uses them will say so."""
        groups: dict[tuple[str, int, int], list[Frame]] = {}
        for frame in frames:
            groups.setdefault((frame.camera_id, frame.width, frame.height), []).append(frame)
        self._config = config
        self._seen: dict[Path, _Standing | None] = {}
        for members in groups.values():
            standing = _standing(members, config)
            self._seen |= {frame.path: standing for frame in members}

    @property
    def found(self) -> bool:
        """Whether any camera stood, so that anything stands still."""
        return any(standing is not None for standing in self._seen.values())

    def __call__(self, path: Path, width: int, height: int) -> Bool:
        """(height, width): True where the picture shows what stands still. Raises UnreadableImageError."""
        standing, config = self._seen.get(path), self._config
        if standing is None:
            return np.zeros((height, width), bool)
        near = cv2.absdiff(standing.pictures, np.broadcast_to(_small(path, config.side_px), standing.pictures.shape))
        alike = (near <= standing.change / 2).mean(axis=0)
        moving = _joined(standing.swept & (alike < config.most_alike), config)
        whole = cv2.resize(moving.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        return np.asarray(whole == 0)


@dataclass(frozen=True)
class _Standing:
    """Small pictures (N, h, w) of a camera that stands, where something moves in them (h, w), and from how many grey
    levels on a change is motion."""

    pictures: Bytes
    swept: Bool
    change: float


def _standing(frames: Sequence[Frame], config: StillConfig) -> _Standing | None:
    """None where there are too few of them, where the camera did not stand, or where nothing moves."""
    sampled = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), config.most_frames)).round().astype(int))
    small = []
    for index in sampled:
        with contextlib.suppress(UnreadableImageError):
            small.append(_small(frames[index].path, config.side_px))
    if len(small) < config.fewest_frames:
        return None
    pictures = np.stack(small)
    low, high = np.percentile(pictures, (10, 90), axis=0)
    change = float(np.clip(config.times_noise * np.median(high - low), config.least_change, config.most_change))
    moves = high - low > change
    swept = _joined(moves, config)
    if not _stands(pictures, moves, config) or swept.mean() < config.least_moving:
        return None
    return _Standing(pictures, swept, change)


def _small(path: Path, side_px: int) -> Bytes:
    """(h, w) grey, a little smoothed: noise and compression change single pixels."""
    grey = cv2.cvtColor(read_rgb(path, max_side_px=side_px), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.GaussianBlur(grey, (3, 3), 0))


def _stands(pictures: Bytes, moves: Bool, config: StillConfig) -> bool:
    """Where a camera stands, much of the texture that a picture has lasts through all of them; where it moves, none
    does: what does not change has no texture."""
    usual = float(np.mean([_textured(picture, config).mean() for picture in pictures]))
    lasting = _textured(np.median(pictures, axis=0).astype(np.uint8), config) & ~moves
    return usual > 0 and float(lasting.mean()) >= config.least_still * usual


def _textured(picture: Bytes, config: StillConfig) -> Bool:
    across, down = (cv2.Sobel(picture, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1)))
    return np.asarray(np.hypot(across, down) > config.least_gradient)


def _joined(moves: Bool, config: StillConfig) -> Bool:
    """What moves as whole things: specks go, gaps and holes are filled."""
    side = max(moves.shape)
    reach = 2 * round(config.join * side / 2) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    opened = cv2.morphologyEx(moves.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    closed = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, disc)
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    large = [one for one in outlines if cv2.contourArea(one) >= config.least_thing * moves.size]
    filled = np.zeros(moves.shape, np.uint8)
    cv2.drawContours(filled, large, -1, 1, cv2.FILLED)
    return np.asarray(filled > 0)
