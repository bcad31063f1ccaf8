"""Photographs: decoded once to prove them whole, hashed, and asked for their EXIF."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ..arrays import Bytes
from ..imageio import UnreadableImageError, probe_image
from ..types import Dropped, Exposure, GpsPosition
from .config import IngestConfig
from .exif import CameraFacts, read_camera_facts, read_exposure, read_gps
from .gimbal import read_up
from .panoramas import FLAT, FisheyePairFile, Recognised, photo_panorama, read_fisheye_pair
from .scan import FoundFile

__all__ = ["Photo", "content_hash", "read_photos"]

logger = logging.getLogger(__name__)

_ORIENTATION = 0x0112
_QUARTER_TURNS = {1: 0, 6: 1, 3: 2, 8: 3}  # clockwise, by orientation; the others are mirrored
_THREADS = min(8, os.cpu_count() or 1)
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Photo:
    """A photograph that can be decoded in full; `width` and `height` are those of the upright image.

    up: where up is in the camera by its gimbal; None where it has none or the picture is stored on its side.
    quarter_turns: see `Frame`. thumbnail, pixels: see `ImageInfo`. panorama: whether it is one.
    """

    file: FoundFile
    width: int
    height: int
    fingerprint: str
    facts: CameraFacts
    gps: GpsPosition | None
    exposure: Exposure | None
    thumbnail: Bytes
    up: tuple[float, float, float] | None = None
    quarter_turns: int | None = None
    pixels: tuple[str, ...] = ()
    panorama: Recognised = FLAT


def read_photos(files: Sequence[FoundFile], config: IngestConfig) -> Iterator[Photo | Dropped]:
    """One result a file, in their order, read by a few threads (Pillow decodes outside the interpreter lock)."""
    pair = None if config.dual_fisheye is None else read_fisheye_pair(config.dual_fisheye)
    with ThreadPoolExecutor(_THREADS) as pool:
        yield from pool.map(lambda file: _read_photo(file, config, pair), files)


def content_hash(path: Path) -> str:
    """BLAKE2b of the bytes of a file, 32 hexadecimal digits, read in blocks."""
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _read_photo(file: FoundFile, config: IngestConfig, pair: FisheyePairFile | None) -> Photo | Dropped:
    try:
        image = probe_image(file.path)
        fingerprint = content_hash(file.path)
        panorama = photo_panorama(file.path, image, config.panorama, config.panoramas, pair)
    except UnreadableImageError as error:
        return Dropped(file.name, error.reason)
    except OSError as error:
        return Dropped(file.name, error.strerror or str(error))
    except MemoryError:
        return Dropped(file.name, "too large for this machine's memory")
    if min(image.width, image.height) < config.min_side_px:
        return Dropped(file.name, f"{image.width} x {image.height} px: a side is shorter than {config.min_side_px} px")
    if panorama.refused:
        return Dropped(file.name, panorama.refused)
    facts, gps, exposure = _facts(file.name, image.exif, image.width, image.height)
    orientation = image.exif.get(_ORIENTATION)
    up = read_up(image.xmp) if orientation in (None, 1) else None
    turns = _QUARTER_TURNS.get(orientation) if isinstance(orientation, int) else None
    return Photo(
        file,
        image.width,
        image.height,
        fingerprint,
        facts,
        gps,
        exposure,
        image.thumbnail,
        up,
        turns,
        image.pixels,
        panorama,
    )


def _facts(
    name: str, exif: Image.Exif, width: int, height: int
) -> tuple[CameraFacts, GpsPosition | None, Exposure | None]:
    try:
        return read_camera_facts(exif, width, height), read_gps(exif), read_exposure(exif)
    except Exception:  # EXIF is written by anything; a broken block must not cost a good picture
        logger.warning("%s: its EXIF cannot be read and is ignored", name)
        return CameraFacts(), None, None
