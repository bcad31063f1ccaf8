"""What is drawn over photographs matches wherever the camera stood: logos, captions, date stamps, a drone's display.

It stands at the border, at one place of every image, while what is seen moves. Where that hardly moves either, nothing
tells the two apart, and nothing needs to: the matches of both agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from scipy.spatial import cKDTree

from ...arrays import Bool, Float
from ..config import VerifyConfig

__all__ = ["are_watermark", "overlaid"]


def overlaid(xy_i: Float, xy_j: Float, sizes: Sequence[Float], config: VerifyConfig) -> Bool:
    """(M,) matches at one place of both images' borders, where other matches move; none where they stand, too.

    xy_i, xy_j (M, 2) and the images' two `sizes` (2,) in pixels of the reference. Where the images differ in size
    one place is as far from the same corner, middle of a side or centre.
    """
    border = _at_border(xy_i, sizes[0], config) & _at_border(xy_j, sizes[1], config)
    found = np.zeros(len(xy_i), bool)
    for shift in _fixed_shifts(sizes):
        off = np.linalg.norm(xy_j - xy_i - shift, axis=1)
        same = border & (off <= config.max_error_px)
        if not _stand(off[~same], config):
            found |= same
    return found


def are_watermark(xy_i: Float, xy_j: Float, sizes: Sequence[Float], config: VerifyConfig) -> bool:
    """Whether most matches that one geometry explains are at the border and moved by one small translation alone.

    For what is drawn at almost one place, as over a video that was stabilised later. COLMAP's test, but for two cases
    that it takes for watermarks: pictures that hardly move at all, and those that overlap in their borders only.
    """
    border = _at_border(xy_i, sizes[0], config) & _at_border(xy_j, sizes[1], config)
    if not len(border) or border.mean() < config.watermark_share:
        return False
    shift = xy_j - xy_i
    moved = cKDTree(shift[border])
    near = moved.query_ball_point(shift[border], config.max_error_px, return_length=True)
    centre = shift[border][int(np.argmax(near))]
    small = min(np.linalg.norm(centre - fixed) for fixed in _fixed_shifts(sizes)) <= _width(sizes[0], config)
    off = np.linalg.norm(shift - centre, axis=1)
    same = border & (off <= config.max_error_px)
    return bool(small and same.mean() >= config.watermark_share and not _stand(off[~same], config))


def _at_border(xy: Float, size: Float, config: VerifyConfig) -> Bool:
    """(M,) places (M, 2) within a margin of the sides of an image of `size` (2,)."""
    return np.asarray((np.minimum(xy, size - xy) < _width(size, config)).any(axis=1))


def _width(size: Float, config: VerifyConfig) -> float:
    return config.watermark_border * float(size.min())


def _fixed_shifts(sizes: Sequence[Float]) -> Float:
    """(K, 2) what takes one image's corner, middle of a side or centre to the other's; one zero for equal sizes."""
    fixed = np.array(list(product((0.0, 0.5, 1.0), repeat=2)))
    return np.unique(fixed * (sizes[1] - sizes[0]), axis=0)


def _stand(off_px: Float, config: VerifyConfig) -> bool:
    """Whether many of the other matches are hardly off what moves as the border does."""
    return len(off_px) > 0 and float((off_px < config.still_px).mean()) >= config.still_share
