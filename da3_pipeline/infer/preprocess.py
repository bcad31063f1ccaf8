"""From photographs to the network's input size, and the way back for every pixel (SPEC section 3.1).

The published rules, step for step: bring the longest or shortest side to the processing resolution, then make
both sides multiples of 14 by a second resize or a centred crop; views of unlike size are cropped to their common
rectangle. OpenCV's resize scales about the image corner, so in corner-origin pixels every step is an exact scale
and an integer offset, and their composition is a `PixelMap`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from ..arrays import Bytes, Float32
from ..geometry import PixelMap
from ..imageio import UnreadableImageError, read_rgb
from .config import ResizeMethod, ViewConfig

__all__ = [
    "PATCH_PX",
    "Layout",
    "common_layouts",
    "layout",
    "normalise",
    "own_resolution_px",
    "read_view",
    "resample",
]

PATCH_PX = 14

_FULL_RES_PX, _COMPACT_RES_PX = 504, 168  # the published networks' resolution; that of nets narrower than small
_SMALLEST_PUBLISHED_WIDTH = 384
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)


@dataclass(frozen=True)
class Layout:
    """How one photograph of `source` (width, height) px reaches the network.

    It is resized to each of `resizes` (width, height) in turn, then `size` is cut out at `corner` (left, top).
    """

    source: tuple[int, int]
    resizes: tuple[tuple[int, int], ...]
    corner: tuple[int, int]
    size: tuple[int, int]

    @property
    def pixel_map(self) -> PixelMap:
        """Network pixels to original pixels, exact: 5 resized columns of 10 original ones have a scale of 2."""
        scale_x, scale_y = (full / resized for full, resized in zip(self.source, self.resizes[-1], strict=True))
        return PixelMap((scale_x, scale_y), (self.corner[0] * scale_x, self.corner[1] * scale_y))

    @property
    def kept_share(self) -> float:
        """Share of the photograph's area that the network sees."""
        (width, height), (full_width, full_height) = self.size, self.resizes[-1]
        return width * height / (full_width * full_height)

    def cropped(self, width: int, height: int) -> Layout:
        """The same, with a centred rectangle cut out of what was kept; an odd remainder leaves less at left and top."""
        left, top = (self.size[0] - width) // 2, (self.size[1] - height) // 2
        return replace(self, corner=(self.corner[0] + left, self.corner[1] + top), size=(width, height))


def own_resolution_px(width: int) -> int:
    """The processing resolution of a network whose tokens have `width` numbers, where none is asked for."""
    return _COMPACT_RES_PX if width < _SMALLEST_PUBLISHED_WIDTH else _FULL_RES_PX


def layout(source: tuple[int, int], resolution_px: int, method: ResizeMethod) -> Layout:
    """The published layout of one photograph of (width, height) px, before any common rectangle.

    Sides never fall under one patch, which the published code leaves undefined for very long pictures.
    """
    side = max(source) if method.startswith("upper") else min(source)
    # round() is Python's: halves to even, as published.
    scaled_width, scaled_height = (max(1, round(length * resolution_px / side)) for length in source)
    if method.endswith("resize"):
        fitted = (_nearest_multiple(scaled_width), _nearest_multiple(scaled_height))
        return Layout(source, ((scaled_width, scaled_height), fitted), (0, 0), fitted)
    scaled = (max(PATCH_PX, scaled_width), max(PATCH_PX, scaled_height))
    floor_width, floor_height = (length // PATCH_PX * PATCH_PX for length in scaled)
    return Layout(source, (scaled,), (0, 0), scaled).cropped(floor_width, floor_height)


def common_layouts(
    sources: Sequence[tuple[int, int]], resolution_px: int, method: ResizeMethod, config: ViewConfig
) -> tuple[Layout, ...]:
    """Layouts of one size for all photographs, given as (width, height) px.

    As published, views of unlike size are cropped to the least width and height among them. One departure: a
    photograph of no ordinary aspect among ordinary ones does not shrink that rectangle; it is scaled to cover it.
    """
    layouts = [layout(source, resolution_px, method) for source in sources]
    ordinary = [one for one in layouts if max(one.source) <= config.ordinary_aspect * min(one.source)]
    deciding = ordinary or layouts
    width = min(one.size[0] for one in deciding)
    height = min(one.size[1] for one in deciding)
    return tuple(_into_rectangle(one, width, height) for one in layouts)


def resample(rgb: Bytes, plan: Layout) -> Bytes:
    """The photograph (H, W, 3), at its own or at a reduced decoding size, as the (h, w, 3) network view."""
    for width, height in plan.resizes:
        if rgb.shape[:2] != (height, width):
            grows = width > rgb.shape[1] or height > rgb.shape[0]
            interpolation = cv2.INTER_CUBIC if grows else cv2.INTER_AREA
            rgb = np.asarray(cv2.resize(rgb, (width, height), interpolation=interpolation), np.uint8)
    (left, top), (width, height) = plan.corner, plan.size
    return rgb[top : top + height, left : left + width]


def normalise(views: Bytes) -> Float32:
    """(S, h, w, 3) uint8 RGB to the network's (S, 3, h, w): 0..1, then ImageNet mean and deviation removed."""
    scaled = views.astype(np.float32)
    scaled /= 255
    scaled -= _MEAN
    scaled /= _STD
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def read_view(path: Path, plan: Layout, config: ViewConfig) -> Bytes | UnreadableImageError:
    """The (h, w, 3) network view of a file; the error, returned, where the file cannot be used.

    Photographs much larger than the view are decoded at reduced size.
    """
    enough_px = config.decoded_per_view * max(plan.resizes[0])
    much_larger = max(plan.source) > config.much_larger * max(plan.resizes[0])
    try:
        rgb = read_rgb(path, max_side_px=enough_px if much_larger else None)
        _check_shape(path, rgb, plan)
    except UnreadableImageError as error:
        return error
    return resample(rgb, plan)


def _nearest_multiple(length: int) -> int:
    """The nearest multiple of the patch size, the larger of two equally near, at least one patch."""
    return max(PATCH_PX, (length + PATCH_PX // 2) // PATCH_PX * PATCH_PX)


def _into_rectangle(plan: Layout, width: int, height: int) -> Layout:
    if plan.size[0] >= width and plan.size[1] >= height:
        return plan.cropped(width, height)
    ratio = max(width / plan.source[0], height / plan.source[1])
    covering = (max(width, math.ceil(plan.source[0] * ratio)), max(height, math.ceil(plan.source[1] * ratio)))
    return Layout(plan.source, (covering,), (0, 0), covering).cropped(width, height)


def _check_shape(path: Path, rgb: Bytes, plan: Layout) -> None:
    """A decoder may return a reduced image, but not one of another shape: then the file was changed meanwhile."""
    height, width = rgb.shape[:2]
    source_width, source_height = plan.source
    rounding = max(source_width, source_height, width, height)
    if abs(width * source_height - height * source_width) > rounding:
        was = f"was {source_width} x {source_height} px when it was listed"
        raise UnreadableImageError(path, f"changed: it has the shape of {width} x {height} px, but {was}")
