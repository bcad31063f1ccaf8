"""What is in a picture, as far as it takes to tell what kind of picture it is; each file is looked into once."""

from __future__ import annotations

import cv2
import numpy as np

from ...arrays import Bytes, Float
from ...imageio import Header, UnreadableImageError, read_grid, read_header, read_rgb
from ..scan import FoundFile

__all__ = ["Contents", "alike", "is_label_map", "is_two_valued"]

_GRID = 256
_SIDE = 32
_NEAR = 0.12  # of the range between the two values: what JPEG and soft edges do to a mask
_EXTREME_SHARE = 0.97
_LEAST_RANGE = 0.5  # of all that the bits can say, unless there are two values exactly
_LABELS = 64  # kinds of things; a photograph of fewer colours than that on the grid is no photograph
_MOST_STRETCH = 0.02


class Contents:
    """Headers, grids of stored values and small grey pictures by file; None where a file cannot be read."""

    def __init__(self) -> None:
        self._headers: dict[FoundFile, Header | None] = {}
        self._small: dict[FoundFile, Float | None] = {}

    def header(self, file: FoundFile) -> Header | None:
        if file not in self._headers:
            try:
                self._headers[file] = read_header(file.path)
            except UnreadableImageError:
                self._headers[file] = None
        return self._headers[file]

    def grid(self, file: FoundFile) -> Bytes | None:
        """(h, w, channels) values as they are stored, at most 256 x 256 of them."""
        try:
            return read_grid(file.path, _GRID)
        except (UnreadableImageError, MemoryError):
            return None

    def small(self, file: FoundFile) -> Float | None:
        """(32, 32) the whole upright picture in grey, whatever its shape."""
        if file not in self._small:
            try:
                rgb = read_rgb(file.path, max_side_px=4 * _SIDE)
                grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
                self._small[file] = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float64)
            except (UnreadableImageError, MemoryError):
                self._small[file] = None
        return self._small[file]

    def same_view(self, a: FoundFile, b: FoundFile, least: float) -> bool:
        """Whether two files show one picture of one shape, at any size; `least`: see `alike`."""
        one, other = self.header(a), self.header(b)
        if one is None or other is None:
            return False
        longest = [max(h.width, h.height) / min(h.width, h.height) for h in (one, other)]
        if max(longest) / min(longest) > 1 + _MOST_STRETCH:
            return False
        small, others = self.small(a), self.small(b)
        return small is not None and others is not None and alike(small, others) >= least


def alike(a: Float, b: Float) -> float:
    """Correlation of two grey pictures of one size, 1 for the same whatever its contrast; of flat ones 1 or 0."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    if scale < a.size:  # a deviation of one level
        return float(np.allclose(a, b, atol=2))
    return float((a * b).sum() / scale)


def is_two_valued(values: Bytes) -> bool:
    """Whether (h, w, channels) stored values are a mask's: grey, of two values, or near the ends of a wide range.

    Where there is transparency, it is asked for.
    """
    if values.shape[2] in (2, 4):
        alpha = values[..., -1]
        values = alpha[..., None] if alpha.min() < alpha.max() else values[..., :-1]
    grey = values.max(axis=2).astype(np.int64)
    top = np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1
    if values.shape[2] == 3 and ((grey - values.min(axis=2)) > _NEAR * top).mean() > 1 - _EXTREME_SHARE:
        return False
    low, high = int(grey.min()), int(grey.max())
    if low == high:
        return low in (0, 1, top)
    if len(np.unique(grey)) == 2:
        return True
    near = np.minimum(grey - low, high - grey) <= _NEAR * (high - low)
    return high - low >= _LEAST_RANGE * top and bool(near.mean() >= _EXTREME_SHARE)


def is_label_map(values: Bytes) -> bool:
    """Whether (h, w, channels) stored values are numbers or colours of kinds of things: few, each exactly the same."""
    return len(np.unique(values.reshape(-1, values.shape[2]), axis=0)) <= _LABELS
