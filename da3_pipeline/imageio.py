"""Image files in, upright 8-bit RGB out; and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

__all__ = ["read_rgb"]

Image.MAX_IMAGE_PIXELS = 1_000_000_000


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB, upright. Raises OSError for a file that cannot be decoded in full."""
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
