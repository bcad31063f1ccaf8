"""Where a film breaks off: at frames that show nothing of what the frames before them show."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import cv2
import numpy as np

from ...arrays import Bool, Bytes, Float, Float32
from ..config import SelectConfig
from .flow import corners_in, followed, shift_between
from .motion import Step

__all__ = ["CutFinder", "likeness", "share_found"]

_BLACK = 8.0  # grey levels


class CutFinder:
    """Takes in the frames of a clip one after another, and keeps the few that a decision needs.

    Where the tracker loses its corners, the frames before are compared afresh with those after. A frame that is smeared
    or lit by a flash stands alone: those around it show the same. A fast pan shows what was shown, elsewhere; where not
    even that is found, it goes on for more than a frame, while at a cut the steps before and after are good ones.
    """

    def __init__(self, config: SelectConfig) -> None:
        self._config = config
        self._frames: deque[tuple[Bytes, Step]] = deque(maxlen=2 * config.cuts.around)
        self._suspects: deque[int] = deque()
        self._cuts: list[int] = []
        self._count = 0

    def take(self, grey: Bytes, step: Step) -> None:
        """The next (H, W) frame, small, and how the tracker came to it; one of another shape begins a shot."""
        if step.reshaped:
            self._decide(0)
            self._frames.clear()
            self._cuts.append(self._count)
        elif self._frames and step.tracked < self._config.cuts.suspect_tracked:
            self._suspects.append(self._count)
        self._frames.append((grey, step))
        self._count += 1
        self._decide(self._config.cuts.around)

    def cuts(self) -> Bool:
        """(F,) True at the frames that begin a new shot, of all that were taken in."""
        self._decide(0)
        found = np.zeros(self._count, bool)
        found[self._cuts] = True
        return found

    def _decide(self, frames_after: int) -> None:
        """About the suspects that so many frames follow, themselves included."""
        while self._suspects and self._suspects[0] + frames_after <= self._count:
            suspect = self._suspects.popleft()
            if self._is_cut(len(self._frames) - (self._count - suspect)):
                self._cuts.append(suspect)

    def _is_cut(self, place: int) -> bool:
        """Between the frames before and from a place in those that are kept."""
        frames, around = list(self._frames), self._config.cuts.around
        before, after = frames[max(0, place - around) : place], frames[place : place + around]
        links = (self._linked(earlier, later) for earlier, _ in before[::-1] for later, _ in after)
        return not any(links) and self._calm(before[-2:]) and self._calm(after[:2])

    def _calm(self, pair: Sequence[tuple[Bytes, Step]]) -> bool:
        """Whether one frame leads to the next; at the ends of the film there is none."""
        if len(pair) < 2 or pair[1][1].tracked > self._config.cuts.suspect_tracked:
            return True
        return self._linked(pair[0][0], pair[1][0])

    def _linked(self, before: Bytes, after: Bytes) -> bool:
        """Whether one frame shows something of the other, or looks like it where blur or darkness hide the corners.

        Two pictures of next to nothing say neither, as of a blank wall: they are taken for one place.
        """
        config = self._config.cuts
        if max(_contrast(before, self._config), _contrast(after, self._config)) < config.least_contrast:
            return True
        shift = shift_between(before, after)[0]
        if likeness(before, after, shift, self._config) >= config.least_likeness:
            return True
        return share_found(before, after, shift, self._config) >= config.least_found


def likeness(before: Bytes, after: Bytes, shift_px: Float, config: SelectConfig) -> float:
    """Correlation of two (H, W) pictures as thumbnails, in [-1, 1], as they are or moved by the shift.

    Blur and the brightness of the whole do not change it. What is alike in most places, light above and dark below, is
    taken off: the means of rows and columns.
    """
    height, width = before.shape
    across, down = (int(value) for value in np.round(shift_px))
    left, right, top, bottom = max(0, -across), min(width, width - across), max(0, -down), min(height, height - down)
    alike = _correlation(before, after, config)
    if min((right - left) / width, (bottom - top) / height) < config.cuts.least_overlap:
        return alike
    moved = after[top + down : bottom + down, left + across : right + across]
    return max(alike, _correlation(before[top:bottom, left:right], moved, config))


def _correlation(before: Bytes, after: Bytes, config: SelectConfig) -> float:
    first, second = _inner_thumbnail(before, config), _inner_thumbnail(after, config)
    length = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float((first * second).sum()) / length if length > 1e-9 else 0.0


def _contrast(grey: Bytes, config: SelectConfig) -> float:
    """Standard deviation of a thumbnail over the picture's mean, to which a little is added: black has noise alone."""
    return float(_inner_thumbnail(grey, config).std()) / (float(grey.mean()) + _BLACK)


def _inner_thumbnail(grey: Bytes, config: SelectConfig) -> Float:
    """Grey levels of few cells without the means of rows and columns."""
    side = config.motion.thumbnail_px
    values = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA).astype(np.float64)
    return np.asarray(values - values.mean(0) - values.mean(1)[:, None] + values.mean())


def share_found(before: Bytes, after: Bytes, shift_px: Float, config: SelectConfig) -> float:
    """Of the corners of one picture, how many another shows: around their place, or moved by the shift.

    Found is what optical flow leads to and back from, and looks the same there up to contrast and brightness.
    0 where there are too few corners to say.
    """
    corners, least = corners_in(before, config.motion), config.cuts.least_corners
    if len(corners) < least:
        return 0.0
    share = float(_found(before, after, corners, None, config).mean())
    shift = shift_px.astype(np.float32)
    inside = ((corners + shift >= 0) & (corners + shift < after.shape[::-1])).all(axis=1)
    if inside.sum() >= least:
        share = max(share, float(_found(before, after, corners[inside], shift, config).mean()))
    return share


def _found(before: Bytes, after: Bytes, corners: Float32, shift: Float32 | None, config: SelectConfig) -> Bool:
    there, found = followed(before, after, corners, config.motion, shift)
    found &= ((there >= 0) & (there < after.shape[::-1])).all(axis=1)
    for corner in np.flatnonzero(found):
        pair = (_patch(before, corners[corner], config), _patch(after, there[corner], config))
        found[corner] = float(pair[0] @ pair[1]) > config.cuts.least_alike
    return found


def _patch(grey: Bytes, centre: Float32, config: SelectConfig) -> Float:
    """Values of zero mean and unit length around a point."""
    side = config.cuts.patch_px
    values = cv2.getRectSubPix(grey, (side, side), (float(centre[0]), float(centre[1]))).astype(np.float64).ravel()
    values -= values.mean()
    length = float(np.linalg.norm(values))
    return values / length if length > 1e-9 else np.zeros_like(values)
