"""Images out: written anew, or copied where trainers read the file itself as the picture that `read_rgb` gives."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from ..arrays import Bytes
from .colour import is_srgb
from .containers import DRAFTED, LOSSY, one_line, opened, orientation_of, sniff_format
from .errors import UnreadableImageError
from .pixels import upright_rgb

__all__ = ["JPEG_QUALITY", "appearing", "copy_upright", "upright_suffix", "write_rgb"]

JPEG_QUALITY = 95


def write_rgb(path: Path, rgb: Bytes, quality: int = JPEG_QUALITY) -> None:
    """Write (H, W, 3) uint8 as PNG or JPEG (4:4:4) by the suffix; the file appears complete or not at all."""
    _save(Image.fromarray(rgb), path, quality)


def upright_suffix(source: Path) -> str:
    """The suffix that `copy_upright` will give to a copy of `source`: '.png' for lossless files, otherwise '.jpg'.

    The source's own suffix, whatever its case, where that already says so.
    """
    suffixes = _suffixes(source)
    return source.suffix if source.suffix.lower() in suffixes else suffixes[0]


def copy_upright(source: Path, destination: Path) -> Path:
    """Put an upright 8-bit RGB JPEG or PNG of `source` at `destination`, whose suffix is made to say which.

    A file that is one already is copied byte for byte (of a multi-picture JPEG, as phones and drones write, the bytes
    of its first picture); the rest (turned by EXIF, not sRGB, grey, CMYK, 16-bit, alpha, TIFF, HEIC, WebP) is decoded
    as `read_rgb` does and written at quality 95 or as PNG. The size is the one `probe_image` reports.
    Folders are made as needed. Returns the path written: `destination` where its suffix fits (see `upright_suffix`).
    """
    suffixes = _suffixes(source)
    if destination.suffix.lower() not in suffixes:
        destination = destination.with_suffix(suffixes[0])
    destination.parent.mkdir(parents=True, exist_ok=True)
    with opened(source) as image:
        plain = _is_plain(image, source)
        turned = None if plain else upright_rgb(image)
        picture = _first_picture(image, source.read_bytes()) if plain and image.format == "MPO" else None
    if turned is not None:
        _save(turned, destination, JPEG_QUALITY)
        return destination
    with appearing(destination) as partial:
        if picture is not None:
            partial.write_bytes(picture)
        else:
            shutil.copyfile(source, partial)
    return destination


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A file to write beside `path`, which takes its place when the block ends well and vanishes otherwise."""
    # Not made from the name, which may be as long as file systems allow; a thread writes one file at a time.
    partial = path.with_name(f".{os.getpid()}-{threading.get_ident()}.part")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _suffixes(source: Path) -> tuple[str, ...]:
    try:
        return (".jpg", ".jpeg") if sniff_format(source) in LOSSY else (".png",)
    except OSError as error:
        raise UnreadableImageError(source, error.strerror or one_line(error)) from error


def _is_plain(image: Image.Image, path: Path) -> bool:
    """Whether every trainer reads the file itself as the upright 8-bit RGB picture that `read_rgb` gives."""
    if image.mode != "RGB" or "transparency" in image.info:
        return False
    if image.format == "PNG":
        with open(path, "rb") as file:
            if file.read(25)[24] != 8:  # Pillow calls 16-bit colour RGB as well
                return False
        if getattr(image, "n_frames", 1) > 1:
            return False
    elif image.format not in DRAFTED:
        return False
    image.load()
    return orientation_of(image) == 1 and is_srgb(image)


def _first_picture(image: Image.Image, data: bytes) -> bytes:
    """The first JPEG of a multi-picture file without the index segment that makes readers see several (CIPA DC-007)."""
    size = int(image.mpinfo[0xB002][0]["Size"])  # type: ignore[attr-defined]
    if data[size - 2 : size] == b"\xff\xd9":
        data = data[:size]
    position = 2
    while data[position : position + 1] == b"\xff" and data[position + 1] != 0xDA:
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if data[position + 1] == 0xE2 and data[position + 4 : position + 8] == b"MPF\0":
            return data[:position] + data[end:]
        position = end
    return data


def _save(image: Image.Image, path: Path, quality: int) -> None:
    with appearing(path) as partial:
        if path.suffix.lower() == ".png":
            image.save(partial, format="PNG", compress_level=4, icc_profile=None)
        else:
            image.save(partial, format="JPEG", quality=quality, subsampling=0, icc_profile=None)
