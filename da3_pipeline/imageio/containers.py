"""What kind of image file it is, by its first bytes, and the file opened; everything that goes wrong by one name."""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError, features

__all__ = [
    "DRAFTED",
    "LOSSY",
    "ORIENTATION",
    "RAW_SUFFIXES",
    "UnreadableImageError",
    "one_line",
    "opened",
    "sniff_format",
]

ORIENTATION = 0x0112
DRAFTED = ("JPEG", "MPO")  # decoded at reduced size where that is enough
LOSSY = ("JPEG", "HEIF", "AVIF", "WEBP")
_RAW = "dng cr2 cr3 crw nef nrw arw srf sr2 raf rw2 orf pef srw x3f 3fr iiq"
RAW_SUFFIXES = frozenset(f".{word}" for word in _RAW.split(" "))
"""Of camera raw formats: most of them are TIFF by their first bytes, so that here the name has to tell."""

_MAX_MEGAPIXELS = 400  # a 28,000 x 14,000 panorama; 1.2 GB as RGB
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")
_heif_lock = threading.Lock()

# Pillow's own limit guards web servers against 90-megapixel bombs; panoramas are larger than that.
Image.MAX_IMAGE_PIXELS = _MAX_MEGAPIXELS * 1_000_000


class UnreadableImageError(OSError):
    """A file that cannot be decoded in full. `reason` is one clause without the path."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


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


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
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
        raise UnreadableImageError(path, f"truncated or damaged ({one_line(error)})") from error


def one_line(error: Exception) -> str:
    """What an error says, short and without line breaks."""
    return " ".join(str(error).split())[:120] or type(error).__name__


def _not_an_image(path: Path) -> str:
    if path.stat().st_size == 0:
        return "the file is empty"
    return "not an image: its content is none of JPEG, PNG, TIFF, HEIC, WebP, AVIF, BMP"


def _register(container: str, path: Path) -> None:
    """Make Pillow able to open the format; pillow-heif is imported when the first HEIC file turns up."""
    if container == "HEIF":
        with _heif_lock:
            import pillow_heif

            if "HEIF" not in Image.OPEN:
                pillow_heif.register_heif_opener()
    elif container == "AVIF" and not features.check("avif"):
        raise UnreadableImageError(path, "AVIF needs Pillow 11.3 or newer: pip install -U pillow")
