"""Image files in, upright 8-bit RGB out; and back.

What a file holds is decided by its first bytes, never by its name. Every way of failing to read one is an
`UnreadableImageError`, an OSError whose `reason` is a clause fit for a report.
"""

from __future__ import annotations

import os
import shutil
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError, features

from .arrays import Bool, Bytes

__all__ = [
    "JPEG_QUALITY",
    "ImageInfo",
    "UnreadableImageError",
    "copy_upright",
    "probe_image",
    "read_mask",
    "read_rgb",
    "sniff_format",
    "upright_suffix",
    "write_mask",
    "write_rgb",
]

JPEG_QUALITY = 95
_MAX_MEGAPIXELS = 400  # a 28,000 x 14,000 panorama; 1.2 GB as RGB
_ORIENTATION = 0x0112
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")
_ALPHA_MODES = ("RGBA", "RGBa", "LA", "La", "PA")
_DRAFTED = ("JPEG", "MPO")  # decoded at reduced size where that is enough
_LOSSY = ("JPEG", "HEIF", "AVIF", "WEBP")
_MOST_STRETCH = 0.06  # of a mask of a few pixels, whose sides are rounded
_heif_lock = threading.Lock()

# Pillow's own limit guards web servers against 90-megapixel bombs; panoramas are larger than that.
Image.MAX_IMAGE_PIXELS = _MAX_MEGAPIXELS * 1_000_000


class UnreadableImageError(OSError):
    """A file that cannot be decoded in full. `reason` is one clause without the path."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


@dataclass(frozen=True)
class ImageInfo:
    """Size of the upright image in pixels, container format in Pillow's names, EXIF, and XMP as it is written."""

    width: int
    height: int
    format: str
    exif: Image.Exif
    xmp: bytes = b""


def probe_image(path: Path) -> ImageInfo:
    """Decode the file once, as coarsely as its format allows, to learn its upright size and that it is whole.

    JPEG is decoded at an eighth of its size, which still reads every byte, at a tenth of the cost.
    """
    with _opened(path) as image:
        width, height = image.size
        container = image.format or ""
        image.draft(image.mode, (max(1, width // 8), max(1, height // 8)))
        image.load()
        exif = image.getexif()
        if container not in _DRAFTED:
            width, height = image.size  # TIFF and HEIF turn themselves upright while loading
        if exif.get(_ORIENTATION, 1) in (5, 6, 7, 8):
            width, height = height, width
        xmp = image.info.get("xmp", b"")
        return ImageInfo(width, height, container, exif, xmp if isinstance(xmp, bytes) else b"")


def read_rgb(path: Path, max_side_px: int | None = None) -> Bytes:
    """(H, W, 3) uint8 RGB, upright.

    Grey, palette, CMYK and 16-bit pixels are converted (16 bits scaled by 255/65535). Transparent pixels are
    laid over black, the background that splat trainers assume unless told otherwise.

    With `max_side_px`, an image whose longer side exceeds it is reduced to exactly that side; JPEG is then decoded
    at reduced size, several times faster. The result always covers the whole image, so that
    `original_px = pixel * original_width / W` (and likewise with heights) holds exactly at corner origin.

    Raises UnreadableImageError for a file that cannot be decoded in full.
    """
    with _opened(path) as image:
        if max_side_px is None:
            return np.array(_upright_rgb(image))
        if image.format in _DRAFTED:
            full = image.size
            image.draft(image.mode, _fitted(full, max_side_px))
        else:
            image.load()  # TIFF and HEIF turn themselves upright here
            full = image.size
        reduction = max(1, round(full[0] / image.size[0]))
        box = (0.0, 0.0, full[0] / reduction, full[1] / reduction)
        return np.array(_upright_rgb(image, _fitted(full, max_side_px), box))


def write_rgb(path: Path, rgb: Bytes, quality: int = JPEG_QUALITY) -> None:
    """Write (H, W, 3) uint8 as PNG or JPEG (4:4:4) by the suffix; the file appears complete or not at all."""
    _save(Image.fromarray(rgb), path, quality)


def read_mask(path: Path, width: int, height: int) -> Bool:
    """(height, width) of an upright picture: True where the mask says that its pixels are used.

    Nonzero is used and zero is ignored, as in COLMAP and nerfstudio, whatever the kind of pixels: 1, 8 or 16 bits,
    grey, palette or colour. Where a file has transparency, that is the mask and its colours are not looked at. In
    lossy formats black is not exactly zero: there the upper half of the range is used. EXIF orientation is applied.
    A mask of another size is enlarged by the nearest pixel, or reduced by the majority of the area.
    Raises UnreadableImageError for a file that cannot be decoded in full, or of another shape than width x height.
    """
    with _opened(path) as image:
        used = Image.fromarray(_used_pixels(image).astype(np.uint8) * 255)
        used.getexif()[_ORIENTATION] = image.getexif().get(_ORIENTATION, 1)
        used = ImageOps.exif_transpose(used)
    if not _same_shape(used.size, (width, height)):
        shape = f"{used.width} x {used.height} px, another shape than the picture's {width} x {height}"
        raise UnreadableImageError(path, shape)
    if used.size != (width, height):
        smaller = used.width > width and used.height > height
        used = used.resize((width, height), Image.Resampling.BOX if smaller else Image.Resampling.NEAREST)
    return np.asarray(used) > 127


def write_mask(path: Path, used: Bool) -> None:
    """Write (H, W) as a grey PNG, white where True; folders are made, the file appears complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _appearing(path) as partial:
        Image.fromarray(used.astype(np.uint8) * 255).save(partial, format="PNG", compress_level=1)


def upright_suffix(source: Path) -> str:
    """The suffix that `copy_upright` will give to a copy of `source`: '.png' for lossless files, otherwise '.jpg'.

    The source's own suffix, whatever its case, where that already says so.
    """
    suffixes = _suffixes(source)
    return source.suffix if source.suffix.lower() in suffixes else suffixes[0]


def copy_upright(source: Path, destination: Path) -> Path:
    """Put an upright 8-bit RGB JPEG or PNG of `source` at `destination`, whose suffix is made to say which.

    A file that is one already is copied byte for byte (of a multi-picture JPEG, as phones and drones write, the bytes
    of its first picture); the rest (turned by EXIF, grey, CMYK, 16-bit, alpha, palette, TIFF, HEIC, WebP) is decoded
    as `read_rgb` does and written at quality 95 or as PNG. The size is the one `probe_image` reports.
    Folders are made as needed. Returns the path written: `destination` where its suffix fits (see `upright_suffix`).
    """
    suffixes = _suffixes(source)
    if destination.suffix.lower() not in suffixes:
        destination = destination.with_suffix(suffixes[0])
    destination.parent.mkdir(parents=True, exist_ok=True)
    with _opened(source) as image:
        plain = _is_plain(image, source)
        turned = None if plain else _upright_rgb(image)
        picture = _first_picture(image, source.read_bytes()) if plain and image.format == "MPO" else None
    if turned is not None:
        _save(turned, destination, JPEG_QUALITY)
        return destination
    with _appearing(destination) as partial:
        if picture is not None:
            partial.write_bytes(picture)
        else:
            shutil.copyfile(source, partial)
    return destination


def sniff_format(path: Path) -> str | None:
    """JPEG, PNG, TIFF, WEBP, BMP, HEIF or AVIF by the first bytes of the file; None for anything else."""
    with open(path, "rb") as file:
        head = file.read(32)
    if head[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:2] == b"BM" and len(head) > 26:
        return "BMP"
    if head[4:8] == b"ftyp":
        if head[8:12] in _AVIF_BRANDS:
            return "AVIF"
        if head[8:12] in _HEIF_BRANDS:
            return "HEIF"
    return None


def _suffixes(source: Path) -> tuple[str, ...]:
    try:
        return (".jpg", ".jpeg") if sniff_format(source) in _LOSSY else (".png",)
    except OSError as error:
        raise UnreadableImageError(source, error.strerror or _one_line(error)) from error


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The file as an undecoded Pillow image; turns everything that Pillow raises into UnreadableImageError."""
    try:
        container = sniff_format(path)
        if container is None:
            raise UnreadableImageError(path, _not_an_image(path))
        _register(container, path)
        with Image.open(path, formats=[container]) as image:
            width, height = image.size
            if width * height > _MAX_MEGAPIXELS * 1_000_000:
                raise UnreadableImageError(path, f"{width} x {height} px is beyond {_MAX_MEGAPIXELS} megapixels")
            yield image
    except UnreadableImageError:
        raise
    except PermissionError as error:
        raise UnreadableImageError(path, "permission denied") from error
    except FileNotFoundError as error:
        raise UnreadableImageError(path, "no such file") from error
    except UnidentifiedImageError as error:
        raise UnreadableImageError(path, "damaged: its header cannot be read") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableImageError(path, f"beyond {_MAX_MEGAPIXELS} megapixels") from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error, RuntimeError) as error:
        raise UnreadableImageError(path, f"truncated or damaged ({_one_line(error)})") from error


def _not_an_image(path: Path) -> str:
    if path.stat().st_size == 0:
        return "the file is empty"
    return "not an image: its content is none of JPEG, PNG, TIFF, HEIC, WebP, AVIF, BMP"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def _register(container: str, path: Path) -> None:
    """Make Pillow able to open the format; pillow-heif is imported when the first HEIC file turns up."""
    if container == "HEIF":
        with _heif_lock:
            import pillow_heif

            if "HEIF" not in Image.OPEN:
                pillow_heif.register_heif_opener()
    elif container == "AVIF" and not features.check("avif"):
        raise UnreadableImageError(path, "AVIF needs Pillow 11.3 or newer: pip install -U pillow")


def _fitted(size: tuple[int, int], max_side_px: int) -> tuple[int, int]:
    scale = min(1.0, max_side_px / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _upright_rgb(
    image: Image.Image, size: tuple[int, int] | None = None, box: tuple[float, float, float, float] | None = None
) -> Image.Image:
    """8-bit RGB with EXIF orientation applied; `box` of the decoded pixels resampled to `size` before turning."""
    image.load()
    orientation = image.getexif().get(_ORIENTATION, 1)
    rgb = _to_rgb(image)
    if size is not None and size != rgb.size:
        rgb = rgb.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
    if orientation != 1:
        rgb.getexif()[_ORIENTATION] = orientation
        rgb = ImageOps.exif_transpose(rgb)
    return rgb


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode to 8-bit RGB; alpha over black. Raises ValueError for pixels that are no photograph's."""
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
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


def _used_pixels(image: Image.Image) -> Bool:
    """(h, w) as stored: transparency where there is any, otherwise whether any channel is above zero."""
    image.load()
    lossy = image.format in _LOSSY
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        if alpha.getextrema() != (255, 255):
            return np.asarray(alpha) > 0
    values = np.asarray(image.convert("RGB") if len(image.getbands()) > 1 or image.mode == "P" else image)
    used = np.asarray(values >= 128 if lossy else values != 0)
    return used if used.ndim == 2 else np.asarray(used.any(axis=2))


def _same_shape(size: tuple[int, int], target: tuple[int, int]) -> bool:
    """Whether the sides are in the same proportion, but for the rounding of one of them."""
    width, height = target[0] * size[1] / target[1], target[1] * size[0] / target[0]
    rounded = min(abs(size[0] - width), abs(size[1] - height)) <= 1
    return rounded and abs(size[0] / width - 1) <= _MOST_STRETCH


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
    elif image.format not in _DRAFTED:
        return False
    image.load()
    return bool(image.getexif().get(_ORIENTATION, 1) == 1)


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
    with _appearing(path) as partial:
        if path.suffix.lower() == ".png":
            image.save(partial, format="PNG", compress_level=4)
        else:
            image.save(partial, format="JPEG", quality=quality, subsampling=0)


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """A file to write beside `path`, which takes its place when the block ends well and vanishes otherwise."""
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
