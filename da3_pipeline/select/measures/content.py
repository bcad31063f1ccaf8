"""What a picture shows at large, which blur hardly changes: how much there is to see, and how alike two are."""

from __future__ import annotations

import cv2
import numpy as np

from ...arrays import Bytes, Float32
from ..config import ContentConfig
from .flow import reduced

__all__ = ["coarse_texture", "content_mark", "likeness_of_marks"]


def coarse_texture(grey: Bytes, config: ContentConfig) -> float:
    """Share of an (H, W) picture, in 0..1, where its grey level bends over three cells of `config.cell_px`.

    Textured things do so nearly everywhere, in focus or blurred by a cell or two. Shading, however strong, runs on:
    from cell to cell it changes evenly, and the second difference is small.
    """
    cells = reduced(grey, max(3, round(max(grey.shape) / config.cell_px))).astype(np.float32)
    across = np.abs(cells[1:-1, :-2] - 2 * cells[1:-1, 1:-1] + cells[1:-1, 2:])
    down = np.abs(cells[:-2, 1:-1] - 2 * cells[1:-1, 1:-1] + cells[2:, 1:-1])
    bends = np.maximum(across, down) >= config.least_change
    return float(bends.mean()) if bends.size else 0.0


def content_mark(grey: Bytes, config: ContentConfig) -> Float32:
    """(side, side) a picture reduced to few values, without the means of its rows and columns.

    These are alike in most pictures: light above, dark below.
    """
    values = cv2.resize(grey, (config.mark_px, config.mark_px), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(values - values.mean(0) - values.mean(1)[:, None] + values.mean(), np.float32)


def likeness_of_marks(one: Float32, other: Float32, config: ContentConfig) -> float:
    """Correlation in [-1, 1] of the middle of one with the place in the other where it fits best."""
    margin = config.margin_px
    middle = np.ascontiguousarray(one[margin:-margin, margin:-margin])
    return float(cv2.matchTemplate(other, middle, cv2.TM_CCOEFF_NORMED).max())
