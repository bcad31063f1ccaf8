"""Photographs in: upright 8-bit RGB at any size, what the file says about itself, and a few of its values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..arrays import Bytes
from .colour import described_profile
from .containers import DRAFTED, exif_of, opened, orientation_of, sniff_format
from .deep import tiff_header
from .errors import UnreadableImageError, UnsupportedPixelsError
from .pixels import upright_rgb
from .raw import raw_size
from .several import said_of_several

__all__ = ["Header", "ImageInfo", "probe_image", "read_grid", "read_header", "read_rgb"]

_THUMBNAIL = 16


@dataclass(frozen=True)
class ImageInfo:
    """Size of the upright image in pixels, container format in Pillow's names, EXIF, and XMP as it is written.

    thumbnail: (16, 16) uint8, the whole upright picture in grey. pixels: what was done to those of the file beyond
    decoding them, a clause each.
    """

    width: int
    height: int
    format: str
    exif: Image.Exif
    thumbnail: Bytes
    xmp: bytes = b""
    pixels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Header:
    """Size as stored, in pixels; channels (3 for palettes, alpha counts) and bits a channel; format as in ImageInfo."""

    width: int
    height: int
    channels: int
    bits: int
    format: str


def probe_image(path: Path) -> ImageInfo:
    """Decode the file once, as coarsely as its format allows, to learn its upright size and that it is whole.

    JPEG is decoded at an eighth of its size, which still reads every byte, at a tenth of the cost.
    """
    with opened(path) as image:
        width, height = image.size
        container = image.format or ""
        image.draft(image.mode, (max(1, width // 8), max(1, height // 8)))
        image.load()
        exif = exif_of(image)
        if container not in DRAFTED:
            width, height = image.size  # TIFF and HEIF turn themselves upright while loading
        if orientation_of(image) in (5, 6, 7, 8):
            width, height = height, width
        xmp = image.info.get("xmp", b"")
        thumbnail = np.asarray(upright_rgb(image, (_THUMBNAIL, _THUMBNAIL)).convert("L"))
        pixels = (*image.info.get("pixels", ()), *described_profile(image), *said_of_several(path, container))
        return ImageInfo(width, height, container, exif, thumbnail, xmp if isinstance(xmp, bytes) else b"", pixels)


def read_header(path: Path) -> Header:
    """What the first bytes tell, without decoding. Raises UnreadableImageError where they are no picture's."""
    try:
        container = sniff_format(path)
        if container == "RAW":
            return Header(*raw_size(path), 3, 16, container)
        if container == "TIFF" and (told := tiff_header(path)) is not None:
            return Header(*told, container)
    except UnsupportedPixelsError as error:
        raise UnreadableImageError(path, str(error)) from error
    except OSError as error:
        raise UnreadableImageError(path, error.strerror or str(error)) from error
    with opened(path, stored=True) as image:
        channels = 3 if image.mode == "P" else len(image.getbands())
        return Header(*image.size, channels, _bits(image, path), image.format or "")


def read_grid(path: Path, side: int) -> Bytes:
    """(h, w, channels) of stored values at no more than side x side pixels of the picture, as they are: not mixed.

    Palettes are looked up; 16 bits stay 16. Raises UnreadableImageError for a file that cannot be decoded in full.
    """
    with opened(path, stored=True) as image:
        image.load()
        if image.mode == "P":
            image = image.convert("RGBA" if "transparency" in image.info else "RGB")
        values = np.asarray(image)
        rows, columns = (np.linspace(0, n - 1, min(n, side)).astype(int) for n in values.shape[:2])
        values = values[np.ix_(rows, columns)]
        return values[..., None] if values.ndim == 2 else values


def read_rgb(path: Path, max_side_px: int | None = None) -> Bytes:
    """(H, W, 3) uint8 RGB, upright.

    Grey, palette, CMYK and 16-bit pixels are converted, and by their colour profile to sRGB; 12 bits that are stored in
    16 have their own white. Transparent pixels are laid over black, the background that splat trainers assume unless
    told otherwise.

    With `max_side_px`, an image whose longer side exceeds it is reduced to exactly that side; JPEG is then decoded
    at reduced size, several times faster. The result always covers the whole image, so that
    `original_px = pixel * original_width / W` (and likewise with heights) holds exactly at corner origin.

    Raises UnreadableImageError for a file that cannot be decoded in full.
    """
    with opened(path) as image:
        if max_side_px is None:
            return np.array(upright_rgb(image))
        if image.format in DRAFTED:
            full = image.size
            image.draft(image.mode, _fitted(full, max_side_px))
        else:
            image.load()  # TIFF and HEIF turn themselves upright here
            full = image.size
        reduction = max(1, round(full[0] / image.size[0]))
        box = (0.0, 0.0, full[0] / reduction, full[1] / reduction)
        return np.array(upright_rgb(image, _fitted(full, max_side_px), box))


def _fitted(size: tuple[int, int], max_side_px: int) -> tuple[int, int]:
    scale = min(1.0, max_side_px / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _bits(image: Image.Image, path: Path) -> int:
    if image.format == "PNG":  # of colour of 16 bits, too, Pillow says that it is RGB
        with open(path, "rb") as file:
            return file.read(25)[24]
    return 16 if image.mode.startswith("I;16") else 32 if image.mode in ("I", "F") else 8
