"""Decoded pixels of any kind to upright 8-bit RGB."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from .colour import in_srgb
from .containers import orientation_of
from .errors import UnsupportedPixelsError

__all__ = ["ALPHA_MODES", "turned_upright", "upright_rgb"]

ALPHA_MODES = ("RGBA", "RGBa", "LA", "La", "PA")


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a stored picture upright, by EXIF orientation."""


def upright_rgb(
    image: Image.Image, size: tuple[int, int] | None = None, box: tuple[float, float, float, float] | None = None
) -> Image.Image:
    """8-bit sRGB with EXIF orientation applied; `box` of the decoded pixels resampled to `size` before turning."""
    image.load()
    orientation = orientation_of(image)
    plain = _without_alpha(image)
    if size is not None and size != plain.size:
        plain = plain.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
    return turned_upright(in_srgb(plain), orientation)


def turned_upright(image: Image.Image, orientation: int) -> Image.Image:
    """The stored picture as EXIF orientation 1 to 8 says that it is seen."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def _without_alpha(image: Image.Image) -> Image.Image:
    """Any Pillow mode as RGB, L, CMYK or LAB of 8 bits with its profile; alpha over black.

    Raises UnsupportedPixelsError for pixels that are no photograph's.
    """
    profile: dict[str | tuple[int, int], Any] = {k: v for k, v in image.info.items() if k == "icc_profile"}
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        rgba = image.convert("RGBA")
        plain = Image.new("RGB", rgba.size)
        plain.paste(rgba, mask=rgba.getchannel("A"))
    elif image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise UnsupportedPixelsError("pixels of 32 bits; save it with 8 or 16 bits a channel")
        plain = Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    elif image.mode == "F":
        raise UnsupportedPixelsError("floating-point pixels; save it with 8 or 16 bits a channel")
    else:
        plain = image if image.mode in ("RGB", "L", "CMYK", "LAB") else image.convert("RGB")
    if plain is not image:
        plain.info = profile
    return plain
