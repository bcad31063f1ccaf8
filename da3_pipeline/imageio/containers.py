"""What kind of image file it is, by its first bytes, and the file opened; everything that goes wrong by one name."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError, features

from ..guard.limits import LIMITS
from .deep import deep_png, odd_tiff
from .errors import UnreadableImageError, UnsupportedPixelsError
from .raw import develop
from .scans import has_more_scans

__all__ = [
    "DRAFTED",
    "LOSSY",
    "ORIENTATION",
    "RAW_SUFFIXES",
    "exif_of",
    "one_line",
    "opened",
    "orientation_of",
    "sniff_format",
]

ORIENTATION = 0x0112
DRAFTED = ("JPEG", "MPO")  # decoded at reduced size where that is enough
LOSSY = ("JPEG", "HEIF", "AVIF", "WEBP", "JXL", "RAW")
_RAW = "dng cr2 cr3 crw nef nrw arw srf sr2 raf rw2 orf pef srw x3f 3fr iiq"
RAW_SUFFIXES = frozenset(f".{word}" for word in _RAW.split(" "))
"""Of camera raw formats: most of them are TIFF by their first bytes, so that here the name has to tell."""

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")
_heif_lock = threading.Lock()

# Pillow's own limit guards web servers against 90-megapixel bombs; panoramas are larger than that.
Image.MAX_IMAGE_PIXELS = LIMITS.megapixels * 1_000_000


def sniff_format(path: Path) -> str | None:
    """JPEG, PNG, TIFF, WEBP, BMP, HEIF, AVIF or JXL by the first bytes of the file; None for anything else.

    RAW by the name, where the bytes do not speak against it.
    """
    with open(path, "rb") as file:
        head = file.read(32)
    if head[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if head and path.suffix.lower() in RAW_SUFFIXES:
        return "RAW"
    if head[:2] == b"\xff\x0a" or head[:12] == b"\0\0\0\x0cJXL \r\n\x87\n":
        return "JXL"
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
def opened(path: Path, stored: bool = False) -> Iterator[Image.Image]:
    """The file as an undecoded Pillow image, or one in 8 bits; whatever goes wrong becomes UnreadableImageError.

    stored: as far as it goes with the values of the file, for masks.
    """
    # Of EXIF that is damaged Pillow warns and goes on; the picture is whole. (A filter that is there is not added.)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")
    try:
        container = sniff_format(path)
        if container is None:
            raise UnreadableImageError(path, _not_an_image(path))
        with _image(path, container, stored) as image:
            width, height = image.size
            if width * height > LIMITS.megapixels * 1_000_000:
                raise UnreadableImageError(path, f"{width} x {height} px is beyond {LIMITS.megapixels} megapixels")
            yield image
    except (UnreadableImageError, MemoryError):
        raise
    except UnsupportedPixelsError as error:
        raise UnreadableImageError(path, str(error)) from error
    except PermissionError as error:
        raise UnreadableImageError(path, "permission denied") from error
    except FileNotFoundError as error:
        raise UnreadableImageError(path, "no such file") from error
    except UnidentifiedImageError as error:
        raise UnreadableImageError(path, "damaged: its header cannot be read") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableImageError(path, f"beyond {LIMITS.megapixels} megapixels") from error
    except Exception as error:  # decoders raise anything on damaged files
        raise UnreadableImageError(path, f"truncated or damaged ({one_line(error)})") from error


def exif_of(image: Image.Image) -> Image.Exif:
    """What EXIF the picture has, empty where it cannot be read: nothing of it is worth a picture."""
    parsed = image.info.get("parsed_exif")
    if isinstance(parsed, Image.Exif):
        return parsed
    try:
        return image.getexif()
    except Exception:  # EXIF is written by anything
        return Image.Exif()


def orientation_of(image: Image.Image) -> int:
    """1 to 8; 1 where EXIF says anything else."""
    value = exif_of(image).get(ORIENTATION)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


@contextmanager
def _image(path: Path, container: str, stored: bool) -> Iterator[Image.Image]:
    if container == "RAW":
        yield develop(path)
        return
    if container == "TIFF" and (odd := odd_tiff(path, stored)) is not None:
        yield odd
        return
    _register(container, path)
    if container == "JPEG" and has_more_scans(path, LIMITS.jpeg_scans):
        raise UnreadableImageError(path, f"more than {LIMITS.jpeg_scans} scans over one picture; save it again")
    with Image.open(path, formats=[container]) as image:
        deep = deep_png(path, image) if container == "PNG" and not stored and _is_deep_png(path) else None
        yield image if deep is None else deep


def _is_deep_png(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(25)[24:] == b"\x10"


def one_line(error: Exception) -> str:
    """What an error says, short and without line breaks."""
    return " ".join(str(error).split())[:120] or type(error).__name__


def _not_an_image(path: Path) -> str:
    if path.stat().st_size == 0:
        return "the file is empty"
    return "not an image: its content is none of JPEG, PNG, TIFF, HEIC, WebP, AVIF, JPEG XL, BMP"


def _register(container: str, path: Path) -> None:
    """Make Pillow able to open the format; pillow-heif is imported when the first HEIC file turns up."""
    if container == "HEIF":
        with _heif_lock:
            import pillow_heif

            if "HEIF" not in Image.OPEN:
                pillow_heif.register_heif_opener()
    elif container == "JXL":
        try:
            import pillow_jxl  # noqa: F401 - it makes itself known to Pillow
        except ImportError as error:
            raise UnreadableImageError(
                path, "JPEG XL is read with an extra: pip install 'da3-pipeline[jxl]', or convert it to JPEG or PNG"
            ) from error
    elif container == "AVIF" and not features.check("avif"):
        raise UnreadableImageError(path, "AVIF needs Pillow 11.3 or newer: pip install -U pillow")
