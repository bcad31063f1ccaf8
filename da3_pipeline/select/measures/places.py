"""Which places along a video were shown before."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from ...arrays import Bytes, Float32
from ..config import SelectConfig
from .flow import corners_in, followed, reduced, thumbnail
from .moved import Moved, OnPicture

__all__ = ["Places"]


@dataclass
class _Place:
    """A view, small and as a JPEG; how sharp it was; how often it was shown again."""

    jpeg: Bytes
    sharpness: float
    visits: int = 0


@dataclass
class Places:
    """The views of a clip, `config.anchor_step` apart at least, and how often each was come back to.

    A view displaced by less than this share of the diagonal, in the median, shows the place. moved: how far corners
    are displaced; as in flat pictures unless given.
    """

    config: SelectConfig
    moved: Moved | None = None
    _places: list[_Place] = field(default_factory=list)
    _thumbnails: Float32 = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def visit(self, grey: Bytes, sharpness: float) -> int:
        """Take in the next (H, W) view: 0 if it is a new place, 1 if it was shown once before, 2 if more often.

        The view just before counts for nothing, and one that was blurred is a new place when it is shown sharp.
        """
        mark = thumbnail(grey, self.config.motion).astype(np.float32)
        small = reduced(grey, self.config.revisits.side_px)
        known = self._known(small, mark, sharpness)
        if known is not None:
            known.visits += 1
            self._remember(known, mark)
            return min(known.visits, 2)
        self._remember(_Place(np.asarray(cv2.imencode(".jpg", small)[1]), sharpness), mark)
        return 0

    def _known(self, small: Bytes, mark: Float32, sharpness: float) -> _Place | None:
        earlier = max(0, len(self._places) - 1)
        if not earlier:
            return None
        alike, config = self._thumbnails[:earlier] @ mark, self.config.revisits
        for index in np.argsort(-alike)[: config.candidates].tolist():
            place = self._places[index]
            if alike[index] < config.least_likeness:
                return None
            if place.sharpness >= self.config.sharpness.blurred_share * sharpness and self._same(
                np.asarray(cv2.imdecode(place.jpeg, 0), np.uint8), small
            ):
                return place
        return None

    def _same(self, place: Bytes, view: Bytes) -> bool:
        config, limit = self.config.revisits, self.config.anchor_step
        if place.shape != view.shape:
            return False
        corners = corners_in(place, self.config.motion)
        if len(corners) < config.least_corners:
            return False
        there, found = followed(place, view, corners, self.config.motion)
        if found.mean() < config.least_found:
            return False
        distances = (self.moved or OnPicture(self.config.motion)).distances
        moved = distances(corners[found], there[found], view.shape)
        return bool(np.median(moved) <= limit and np.quantile(moved, 0.8) <= config.spread * limit)

    def _remember(self, place: _Place, mark: Float32) -> None:
        """A place that is shown again is kept once more: it is the view just before the next one."""
        count = len(self._places)
        if count == len(self._thumbnails):
            grown = np.zeros((max(64, 2 * count), mark.size), np.float32)
            grown[:count] = self._thumbnails.reshape(count, mark.size)
            self._thumbnails = grown
        self._thumbnails[count] = mark
        self._places.append(place)
