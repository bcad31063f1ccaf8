"""What a photograph's EXIF says about the camera: device, lens, focal length in pixels, position."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from ..types import Exposure, GpsPosition

__all__ = ["CameraFacts", "focal_px_from_35mm", "read_camera_facts", "read_exposure", "read_gps"]

_MAKE, _MODEL, _EXIF_IFD, _GPS_IFD = 0x010F, 0x0110, 0x8769, 0x8825
_FOCAL_MM, _FOCAL_35MM, _DIGITAL_ZOOM = 0x920A, 0xA405, 0xA404
_WIDTH, _HEIGHT, _PLANE_X_RESOLUTION, _PLANE_UNIT = 0xA002, 0xA003, 0xA20E, 0xA210
_POSITIONING_ERROR = 0x001F  # GPSHPositioningError, metres; some write the 95 % radius, some one sigma
_EXPOSURE_S, _F_NUMBER, _ISO = 0x829A, 0x829D, 0x8827
_SERIAL, _LENS_MAKE, _LENS_MODEL = 0xA431, 0xA433, 0xA434
_MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}  # inch, cm, mm, µm
_DIAGONAL_35MM = math.hypot(36.0, 24.0)
_WIDEST_ASPECT = 2.2  # of a single exposure
_SHORTEST, _LONGEST = 0.2, 50.0  # focal lengths that there are, in longer sides: 136 degrees to 1.1
_AGREEMENT = 0.15  # FocalLengthIn35mmFilm is a whole number and some cameras' focal plane tags are nonsense


@dataclass(frozen=True)
class CameraFacts:
    """The camera as EXIF tells it; empty strings and None where it does not.

    `focal_px` is in pixels of the upright image as it is stored now, whatever size the camera took it at. `zoom` is
    the digital one, 1 without any.
    """

    make: str = ""
    model: str = ""
    serial: str = ""
    lens: str = ""
    focal_mm: float | None = None
    focal_35mm: float | None = None
    focal_px: float | None = None
    zoom: float = 1.0

    @property
    def device(self) -> str:
        """Make and model, without the make twice."""
        if self.model.lower().startswith(self.make.lower()):
            return self.model
        return f"{self.make} {self.model}"


def read_camera_facts(exif: Image.Exif, width: int, height: int) -> CameraFacts:
    """Device, lens and focal length; `width` and `height` are those of the upright image."""
    tags = {**_readable(exif), **_readable(exif, _EXIF_IFD)}
    focal_mm, focal_35mm = _positive(tags, _FOCAL_MM), _positive(tags, _FOCAL_35MM)
    if focal_35mm and not _there_is(focal_px_from_35mm(focal_35mm, width, height), width, height):
        focal_35mm = None  # 65535 and 1 are how some say that they do not know
    return CameraFacts(
        make=_text(tags, _MAKE),
        model=_text(tags, _MODEL),
        serial=_text(tags, _SERIAL),
        lens=" ".join(part for part in (_text(tags, _LENS_MAKE), _text(tags, _LENS_MODEL)) if part),
        focal_mm=focal_mm,
        focal_35mm=focal_35mm,
        focal_px=_focal_px(tags, focal_mm, focal_35mm, (width, height)),
        zoom=_zoom(tags),
    )


def focal_px_from_35mm(focal_35mm: float, width: int, height: int) -> float:
    """Focal length in pixels from the 35 mm equivalent, which compares diagonals (CIPA DCG-001).

    Pictures wider than 3:2 come from phones and drones, whose equivalent is told for the whole 4:3 sensor of which they
    keep the width.
    """
    long_side, short_side = float(max(width, height)), float(min(width, height))
    if long_side / short_side > 1.55:
        short_side = long_side * 3 / 4
    return focal_35mm * math.hypot(long_side, short_side) / _DIAGONAL_35MM


def read_exposure(exif: Image.Exif) -> Exposure | None:
    """Exposure time, ISO and aperture; None where EXIF has none of them."""
    tags = _readable(exif, _EXIF_IFD)
    found = [_positive(tags, tag) for tag in (_EXPOSURE_S, _ISO, _F_NUMBER)]
    if not any(found):
        return None
    return Exposure(time_s=found[0], iso=found[1], f_number=found[2])


def read_gps(exif: Image.Exif) -> GpsPosition | None:
    """WGS84 position, None where it is missing, out of range, or the (0, 0) of a receiver without a fix."""
    tags = _readable(exif, _GPS_IFD)
    latitude, longitude = _degrees(tags.get(2), tags.get(1), "S"), _degrees(tags.get(4), tags.get(3), "W")
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return None
    if latitude == 0 and longitude == 0:
        return None
    altitude = _number(tags.get(6))
    if altitude is not None and tags.get(5) in (1, b"\x01"):
        altitude = -altitude
    error = _number(tags.get(_POSITIONING_ERROR))
    return GpsPosition(latitude, longitude, altitude, error if error is not None and error > 0 else None)


def _readable(exif: Image.Exif, ifd: int | None = None) -> dict[int, Any]:
    """The tags of the main directory, or of another one, that can be decoded."""
    tags: dict[int, Any] = {}
    try:
        directory: Any = exif if ifd is None else exif.get_ifd(ifd)
        numbers = list(directory)
    except Exception:  # EXIF is written by anything
        return tags
    for number in numbers:
        with contextlib.suppress(Exception):
            tags[number] = directory[number]
    return tags


def _focal_px(
    tags: Mapping[int, Any], focal_mm: float | None, focal_35mm: float | None, size: tuple[int, int]
) -> float | None:
    """From the sensor's pixel pitch where it agrees with the 35 mm equivalent (it is finer), else from the latter.

    None when the picture was cropped after it was taken, which its EXIF size gives away, and for stitched panoramas:
    then neither applies.
    """
    long_side, short_side = max(size), min(size)
    if long_side / short_side > _WIDEST_ASPECT:
        return None
    taken = sorted((_positive(tags, _WIDTH) or long_side, _positive(tags, _HEIGHT) or short_side))
    if abs(taken[1] / taken[0] * short_side / long_side - 1) > 0.02:
        return None
    pitch_px = None
    per_unit, unit_mm = _positive(tags, _PLANE_X_RESOLUTION), _MM_PER_UNIT.get(int(_positive(tags, _PLANE_UNIT) or 2))
    if focal_mm and per_unit and unit_mm:
        pitch_px = focal_mm * _zoom(tags) * per_unit / unit_mm * long_side / taken[1]
    if focal_35mm is None:
        return pitch_px if pitch_px and _there_is(pitch_px, *size) else None
    equivalent_px = focal_px_from_35mm(focal_35mm, *size)
    if pitch_px and abs(pitch_px / equivalent_px - 1) < _AGREEMENT:
        return pitch_px
    return equivalent_px


def _there_is(focal_px: float, width: int, height: int) -> bool:
    """Whether a lens may have such a focal length at all."""
    return _SHORTEST < focal_px / max(width, height) < _LONGEST


def _zoom(tags: Mapping[int, Any]) -> float:
    return max(_positive(tags, _DIGITAL_ZOOM) or 1.0, 1.0)


def _text(tags: Mapping[int, Any], tag: int) -> str:
    value = tags.get(tag, "")
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return " ".join(str(value).replace("\0", " ").split())


def _number(value: Any) -> float | None:
    """A finite float from whatever EXIF readers give (rationals with zero below included), else None."""
    try:
        number = float(value[0] if isinstance(value, tuple) and len(value) == 1 else value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _positive(tags: Mapping[int, Any], tag: int) -> float | None:
    number = _number(tags.get(tag))
    return number if number is not None and number > 0 else None


def _degrees(value: Any, reference: Any, negative: str) -> float | None:
    if not isinstance(value, tuple) or len(value) != 3:
        return None
    parts = [_number(part) for part in value]
    if parts[0] is None:
        return None
    degrees = parts[0] + (parts[1] or 0.0) / 60 + (parts[2] or 0.0) / 3600
    letter = reference.decode("ascii", "replace") if isinstance(reference, bytes) else str(reference or "")
    return -degrees if letter.strip("\0 ").upper() == negative else degrees
