"""Pictures of more than 8 bits, and TIFF that Pillow does not decode, or decodes as noise: as values, then as 8 bits.

tifffile reads what TIFF can hold and says how it is laid out, in 0.25 MB of Python; compressions beyond deflate are its
extra's (`imagecodecs`, 26 MB), for which OpenCV, which is there, stands in where planes are not apart. OpenCV reads PNG
of 16 bits, of which Pillow keeps the upper eight.
"""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from PIL import Image

from .errors import UnsupportedPixelsError

__all__ = ["deep_png", "odd_tiff", "tiff_header"]

_RGB, _WHITE_IS_ZERO, _BLACK_IS_ZERO, _PALETTE, _SEPARATED, _YCBCR, _LAB = 2, 0, 1, 3, 5, 6, 8
_PILLOW_READS = (_RGB, _WHITE_IS_ZERO, _BLACK_IS_ZERO, _PALETTE, _SEPARATED, _YCBCR, _LAB)
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_MAX_SAMPLE_VALUE, _XMP, _ICC = 281, 700, 34675
_ALPHA = (1, 2)  # of ExtraSamples
_WHITES = (255, 1023, 4095)  # of 8, 10 and 12 bits, which cameras store in 16 as they are
_ROUNDING = 0.01  # what resampling leaves of floats beyond 0..1
_EXIF_KEY = "parsed_exif"

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it tells oddities of files that it reads all the same


@dataclass(frozen=True)
class _Values:
    """(H, W, C) values with the layout that a file states; `white` is the value of white where that is told."""

    values: Any
    photometric: int
    alpha: bool = False
    white: int | None = None
    info: dict[str, Any] = field(default_factory=dict)


def odd_tiff(path: Path, stored: bool) -> Image.Image | None:
    """The first picture of a TIFF file in 8 bits, where Pillow does not give it as it is; else None.

    stored: only where Pillow cannot, and with whatever is not zero left above zero, as masks need it. EXIF is in
    `info`, orientation not applied. Raises UnsupportedPixelsError where no picture can be made of the pixels.
    """
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            if not isinstance(page, tifffile.TiffPage) or _is_for_pillow(page, stored):
                return None
            found = _read_page(page, path)
    except (tifffile.TiffFileError, IndexError, KeyError, TypeError):
        return None
    image = _image(found, stored)
    image.info.update(found.info)
    exif = Image.Exif()
    with open(path, "rb") as stream:
        exif.load_from_fp(io.BytesIO(stream.read()))
    image.info[_EXIF_KEY] = exif
    image.format = "TIFF"
    return image


def tiff_header(path: Path) -> tuple[int, int, int, int] | None:
    """Width, height, channels and bits of the first picture of a TIFF file; None where it cannot be told."""
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            if isinstance(page, tifffile.TiffPage):
                channels = 3 if page.photometric == _PALETTE else page.samplesperpixel
                return page.imagewidth, page.imagelength, channels, _bits(page)
    except (tifffile.TiffFileError, IndexError, KeyError, TypeError, ValueError):
        pass
    return None


def deep_png(path: Path, plain: Image.Image) -> Image.Image | None:
    """A PNG file of 16 bits a channel in 8 bits, with what Pillow read beside the pixels; None for any other."""
    data = path.read_bytes()
    if data[24] != 16:
        return None
    if b"IEND" not in data[-16:]:
        raise ValueError("the file ends too early")
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise ValueError("its pixels cannot be read")
    values = values[..., None] if values.ndim == 2 else values
    channels = values.shape[2]
    if channels >= 3:
        values = values[..., [2, 1, 0, 3][:channels]]
    image = _image(_Values(values, _RGB if channels >= 3 else _BLACK_IS_ZERO, alpha=channels == 4), stored=False)
    image.info.update({key: value for key, value in plain.info.items() if key in ("icc_profile", "exif", "xmp")})
    image.format = "PNG"
    return image


def _is_for_pillow(page: tifffile.TiffPage, stored: bool) -> bool:
    known = page.photometric in _PILLOW_READS and page.sampleformat == _UNSIGNED
    few = page.samplesperpixel <= 4 or page.photometric == _RGB
    if not (known and few):
        return False
    apart = page.samplesperpixel > 1 and page.planarconfig == 2
    if _bits(page) == 16 and stored:
        return not apart
    return _bits(page) <= 8


def _bits(page: tifffile.TiffPage) -> int:
    bits = page.bitspersample
    return int(bits) if isinstance(bits, int) else int(max(bits))


def _read_page(page: tifffile.TiffPage, path: Path) -> _Values:
    if page.photometric not in (_RGB, _WHITE_IS_ZERO, _BLACK_IS_ZERO, _SEPARATED):
        raise UnsupportedPixelsError(
            f"TIFF of {getattr(page.photometric, 'name', page.photometric)} pixels; save as RGB"
        )
    values = _page_values(page, path)
    samples = page.samplesperpixel
    colours = {_RGB: 3, _SEPARATED: 4}.get(page.photometric, 1)
    extra = tuple(page.extrasamples or ())
    if samples - len(extra) > colours or (samples > colours and not extra):
        raise UnsupportedPixelsError(f"{samples} bands, of which the file does not say which are red, green and blue")
    if colours == 1 and len(extra) > 1:
        raise UnsupportedPixelsError(f"{samples} bands that are no colours; export red, green and blue")
    alpha = samples > colours and int(extra[0]) in _ALPHA
    white = page.tags.valueof(_MAX_SAMPLE_VALUE)
    white = max(white) if isinstance(white, tuple) else white
    if _bits(page) not in (8, 16, 32, 64):
        white = 2 ** _bits(page) - 1
    told = {"icc_profile": page.tags.valueof(_ICC), "xmp": page.tags.valueof(_XMP)}
    return _Values(
        values[..., : colours + alpha],
        page.photometric,
        alpha,
        white if isinstance(white, int) else None,
        {key: bytes(value) for key, value in told.items() if isinstance(value, bytes)},
    )


def _page_values(page: tifffile.TiffPage, path: Path) -> Any:
    """(H, W, C) as they are stored."""
    try:
        values = page.asarray()
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        apart = page.samplesperpixel > 1 and page.planarconfig == 2
        values = None if apart else cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
        if values is None:
            how = getattr(page.compression, "name", page.compression)
            raise UnsupportedPixelsError(
                f"TIFF of this kind compressed by {how} is read with an extra: pip install 'da3-pipeline[tiff]', or "
                "save it without compression"
            ) from error
        if values.ndim == 3 and values.shape[2] >= 3:
            values = values[..., [2, 1, 0, 3][: values.shape[2]]]
        return values if values.ndim == 3 else values[..., None]
    if values.ndim == 2:
        return values[..., None]
    if values.ndim == 3 and page.axes in ("SYX", "YXS"):
        return np.moveaxis(values, 0, -1) if page.axes == "SYX" else values
    raise UnsupportedPixelsError(f"a TIFF volume of axes {page.axes}; export single pictures")


def _image(found: _Values, stored: bool) -> Image.Image:
    values, clause = _eight_bits(found, stored)
    colours = values[..., : values.shape[2] - found.alpha]
    if found.photometric == _WHITE_IS_ZERO:
        colours = 255 - colours
    if found.photometric == _SEPARATED:
        image = Image.fromarray(np.ascontiguousarray(colours), mode="CMYK")
    elif found.alpha:
        rgb = np.broadcast_to(colours, (*colours.shape[:2], 3))
        image = Image.fromarray(np.dstack([rgb, values[..., -1]]))
    else:
        image = Image.fromarray(np.ascontiguousarray(colours if colours.shape[2] == 3 else colours[..., 0]))
    if clause:
        image.info["pixels"] = (clause,)
    return image


def _eight_bits(found: _Values, stored: bool) -> tuple[Any, str]:
    """Values in 0..255, and what had to be supposed of them."""
    values = found.values
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or values.min() < -_ROUNDING or values.max() > 1 + _ROUNDING:
            raise UnsupportedPixelsError("floating-point pixels beyond 0..1; save it with 8 or 16 bits a channel")
        return np.rint(values.clip(0, 1) * 255).astype(np.uint8), "floating-point, 1 taken for white"
    if values.dtype.kind != "u" or values.dtype.itemsize > 2:
        kind = f"{'signed' if values.dtype.kind == 'i' else 'integer'} pixels of {8 * values.dtype.itemsize} bits"
        raise UnsupportedPixelsError(f"{kind}; save it with 8 or 16 bits a channel")
    if values.dtype == np.uint8:
        return values, ""
    colours = values[..., : values.shape[2] - found.alpha]
    white = _white(int(colours.max()), found.white)
    eight = ((values.astype(np.uint32) * 255 + white // 2) // white).clip(0, 255).astype(np.uint8)
    if found.alpha and white < 65535 and values[..., -1].max() > white:
        eight[..., -1] = values[..., -1] >> 8
    if stored:
        eight[(values > 0) & (eight == 0)] = 1
    return eight, f"{white.bit_length()} bits stored in 16" if white < 65535 else ""


def _white(brightest: int, told: int | None) -> int:
    """The value of white: as the file tells it, or of the fewest bits that hold the brightest value.

    A photograph of 16 bits whose brightest value is below a sixteenth of white would be as good as black.
    """
    if told is not None and brightest <= told and brightest > 0:
        return min(told, 65535)
    return next((white for white in _WHITES if brightest <= white), 65535)
