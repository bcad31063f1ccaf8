"""Masks: which pixels of a picture are used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ..arrays import Bool
from .containers import LOSSY, opened, orientation_of
from .errors import UnreadableImageError
from .pixels import ALPHA_MODES, turned_upright
from .writing import appearing

__all__ = ["read_mask", "same_shape", "write_mask"]

_MOST_STRETCH = 0.06  # of a mask of a few pixels, whose sides are rounded


def read_mask(path: Path, width: int, height: int) -> Bool:
    """(height, width) of an upright picture: True where the mask says that its pixels are used.

    Nonzero is used and zero is ignored, as in COLMAP and nerfstudio, whatever the kind of pixels: 1, 8 or 16 bits,
    grey, palette or colour. Where a file has transparency, that is the mask and its colours are not looked at. In
    lossy formats black is not exactly zero: there the upper half of the range is used. EXIF orientation is applied.
    A mask of another size is enlarged by the nearest pixel, or reduced by the majority of the area.
    Raises UnreadableImageError for a file that cannot be decoded in full, or of another shape than width x height.
    """
    with opened(path, stored=True) as image:
        used = Image.fromarray(_used_pixels(image).astype(np.uint8) * 255)
        used = turned_upright(used, orientation_of(image))
    if not same_shape(used.size, (width, height)):
        shape = f"{used.width} x {used.height} px, another shape than the picture's {width} x {height}"
        raise UnreadableImageError(path, shape)
    if used.size != (width, height):
        smaller = used.width > width and used.height > height
        used = used.resize((width, height), Image.Resampling.BOX if smaller else Image.Resampling.NEAREST)
    return np.asarray(used) > 127


def write_mask(path: Path, used: Bool) -> None:
    """Write (H, W) as a grey PNG, white where True; folders are made, the file appears complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with appearing(path) as partial:
        Image.fromarray(used.astype(np.uint8) * 255).save(partial, format="PNG", compress_level=1)


def _used_pixels(image: Image.Image) -> Bool:
    """(h, w) as stored: transparency where there is any, otherwise whether any channel is above zero."""
    image.load()
    lossy = image.format in LOSSY
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        if alpha.getextrema() != (255, 255):
            return np.asarray(alpha) > 0
    values = np.asarray(image.convert("RGB") if len(image.getbands()) > 1 or image.mode == "P" else image)
    used = np.asarray(values >= 128 if lossy else values != 0)
    return used if used.ndim == 2 else np.asarray(used.any(axis=2))


def same_shape(size: tuple[int, int], target: tuple[int, int]) -> bool:
    """Whether the sides are in the same proportion, but for the rounding of one of them: in pixels of the smaller."""
    width, height = target[0] * size[1] / target[1], target[1] * size[0] / target[0]
    rounded = min(abs(size[0] - width), abs(size[1] - height)) <= max(1.0, size[0] / target[0])
    return rounded and abs(size[0] / width - 1) <= _MOST_STRETCH
