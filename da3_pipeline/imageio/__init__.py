"""Image files in, upright 8-bit RGB out; and back.

What a file holds is decided by its first bytes, never by its name. Every way of failing to read one is an
`UnreadableImageError`, an OSError whose `reason` is a clause fit for a report.
"""

from __future__ import annotations

from .containers import RAW_SUFFIXES, sniff_format
from .errors import UnreadableImageError
from .masks import read_mask, write_mask
from .reading import Header, ImageInfo, probe_image, read_grid, read_header, read_rgb
from .writing import JPEG_QUALITY, copy_upright, upright_suffix, write_rgb

__all__ = [
    "JPEG_QUALITY",
    "RAW_SUFFIXES",
    "Header",
    "ImageInfo",
    "UnreadableImageError",
    "copy_upright",
    "probe_image",
    "read_grid",
    "read_header",
    "read_mask",
    "read_rgb",
    "sniff_format",
    "upright_suffix",
    "write_mask",
    "write_rgb",
]
