"""Decoded pixels of any kind to upright 8-bit RGB."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

from .containers import ORIENTATION

__all__ = ["ALPHA_MODES", "upright_rgb"]

ALPHA_MODES = ("RGBA", "RGBa", "LA", "La", "PA")


def upright_rgb(
    image: Image.Image, size: tuple[int, int] | None = None, box: tuple[float, float, float, float] | None = None
) -> Image.Image:
    """8-bit RGB with EXIF orientation applied; `box` of the decoded pixels resampled to `size` before turning."""
    image.load()
    orientation = image.getexif().get(ORIENTATION, 1)
    rgb = _to_rgb(image)
    if size is not None and size != rgb.size:
        rgb = rgb.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
    if orientation != 1:
        rgb.getexif()[ORIENTATION] = orientation
        rgb = ImageOps.exif_transpose(rgb)
    return rgb


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode to 8-bit RGB; alpha over black. Raises ValueError for pixels that are no photograph's."""
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        rgba = image.convert("RGBA")
        black = Image.new("RGB", rgba.size)
        black.paste(rgba, mask=rgba.getchannel("A"))
        return black
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("pixels of 32 bits; save it with 8 or 16 bits a channel")
        return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("floating-point pixels; save it with 8 or 16 bits a channel")
    return image.convert("RGB")
