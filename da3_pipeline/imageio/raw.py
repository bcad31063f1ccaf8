"""Camera raw, developed by LibRaw: white balance as shot, the same exposure for every picture."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

from PIL import Image

from .errors import UnsupportedPixelsError

__all__ = ["develop", "raw_size"]

_ORIENTATION = 0x0112


def develop(path: Path) -> Image.Image:
    """Upright 8-bit sRGB, with the EXIF of the embedded preview in `info`.

    Brightness is not adapted to the picture: a capture keeps one exposure throughout, darker than a camera's JPEG.
    Raises UnsupportedPixelsError where rawpy is missing or does not know the camera.
    """
    with _decoded(path) as raw:
        pixels = raw.postprocess(use_camera_wb=True, no_auto_bright=True, output_bps=8)
        image = Image.fromarray(pixels)
        image.info["parsed_exif"] = _exif(raw, path)
    image.info["pixels"] = ("developed from raw, without adapting brightness",)
    image.format = "RAW"
    return image


def raw_size(path: Path) -> tuple[int, int]:
    """Width and height of the upright picture, without developing it."""
    with _decoded(path) as raw:
        width, height = raw.sizes.width, raw.sizes.height
        return (height, width) if raw.sizes.flip in (5, 6) else (width, height)


@contextlib.contextmanager
def _decoded(path: Path) -> Any:
    try:
        import rawpy
    except ImportError as error:
        raise UnsupportedPixelsError(
            "raw photographs are read with an extra: pip install 'da3-pipeline[raw]', or develop it to JPEG or TIFF"
        ) from error
    try:
        with rawpy.imread(io.BytesIO(path.read_bytes())) as raw:
            yield raw
    except rawpy.LibRawError as error:
        said = " ".join(str(error).split())
        raise UnsupportedPixelsError(f"LibRaw cannot develop it ({said}); develop it to JPEG, PNG or TIFF") from error


def _exif(raw: Any, path: Path) -> Image.Exif:
    """Of the preview, or of the file where that is TIFF; empty where there is none. Its orientation is applied."""
    exif = Image.Exif()
    with contextlib.suppress(Exception):  # whatever there is, the picture does not depend on it
        with Image.open(io.BytesIO(raw.extract_thumb().data), formats=["JPEG"]) as preview:
            exif = preview.getexif()
        if not exif:
            exif = Image.Exif()
            exif.load_from_fp(io.BytesIO(path.read_bytes()))
        exif.pop(_ORIENTATION, None)
    return exif
