"""Videos: probed without decoding them, hashed, and asked for what the camera wrote into the container."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..types import Dropped, GpsPosition
from ..videoio import UnreadableVideoError, VideoInfo, probe_video
from .config import IngestConfig
from .exif import CameraFacts, focal_px_from_35mm
from .panoramas import FLAT, Recognised, read_fisheye_pair, video_panorama
from .photos import content_hash
from .scan import FoundFile

__all__ = ["Video", "other_streams", "pixels_of", "read_video"]

_ISO6709 = re.compile(r"([+-][0-9]+(?:\.[0-9]+)?)([+-][0-9]+(?:\.[0-9]+)?)([+-][0-9]+(?:\.[0-9]+)?)?")
_APPLE = "com.apple.quicktime."


@dataclass(frozen=True)
class Video:
    """A video of which at least one frame can be decoded."""

    file: FoundFile
    info: VideoInfo
    fingerprint: str
    facts: CameraFacts
    gps: GpsPosition | None
    panorama: Recognised = FLAT


def read_video(file: FoundFile, config: IngestConfig) -> Video | Dropped:
    """Probe one video; Dropped with the reason where no frame can be used."""
    pair = None if config.dual_fisheye is None else read_fisheye_pair(config.dual_fisheye)
    try:
        info = probe_video(file.path)
        fingerprint = content_hash(file.path)
        panorama = video_panorama(file.path, info, config.panorama, config.panoramas, pair)
    except UnreadableVideoError as error:
        return Dropped(file.name, error.reason)
    except OSError as error:
        return Dropped(file.name, error.strerror or str(error))
    if min(info.width, info.height) < config.min_side_px:
        return Dropped(file.name, f"{info.width} x {info.height} px: a side is shorter than {config.min_side_px} px")
    if panorama.refused:
        return Dropped(file.name, panorama.refused)
    facts = _camera_facts(info.metadata, info.width, info.height)
    return Video(file, info, fingerprint, facts, _position(info.metadata), panorama)


def other_streams(video: Video) -> list[Dropped]:
    """The video streams of the file that are not read, each named by its number in it."""
    why = "another video stream of a file of which the main one is read"
    return [
        Dropped(f"{video.file.name} (stream {number})", f"{why}: {what}") for number, what in video.info.unread.items()
    ]


def pixels_of(video: Video) -> tuple[str, ...]:
    """What is done to a video's pixels to show them as a player does, a clause each; see `Frame.pixels`."""
    info = video.info
    clauses = (
        (info.hdr, f"HDR ({info.hdr}), tone-mapped to SDR"),
        (info.interlaced, "interlaced, made whole from one field a frame"),
        (info.mirrored, "stored mirrored, mirrored back"),
        (video.panorama.area, f"360 degrees {video.panorama.told_by}, seen through pinhole views"),
    )
    return tuple(clause for applies, clause in clauses if applies)


def _camera_facts(metadata: Mapping[str, str], width: int, height: int) -> CameraFacts:
    """Device and lens as phones write them; the focal length is a start only, for video crops the sensor."""
    focal_35mm = _positive(metadata.get(f"{_APPLE}camera.focal_length.35mm_equivalent", ""))
    return CameraFacts(
        make=_first(metadata, f"{_APPLE}make", "com.android.manufacturer", "make"),
        model=_first(metadata, f"{_APPLE}model", "com.android.model", "model"),
        lens=_first(metadata, f"{_APPLE}camera.lens_model"),
        focal_35mm=focal_35mm,
        focal_px=focal_px_from_35mm(focal_35mm, width, height) if focal_35mm else None,
    )


def _position(metadata: Mapping[str, str]) -> GpsPosition | None:
    """Where the clip was begun: ISO 6709, degrees as +DD.DDDD+DDD.DDDD+AAA/."""
    match = _ISO6709.match(_first(metadata, f"{_APPLE}location.ISO6709", "location", "location-eng"))
    if match is None:
        return None
    latitude, longitude = float(match[1]), float(match[2])
    if abs(latitude) > 90 or abs(longitude) > 180 or (latitude == 0 and longitude == 0):
        return None
    return GpsPosition(latitude, longitude, float(match[3]) if match[3] else None)


def _first(metadata: Mapping[str, str], *keys: str) -> str:
    return next((metadata[key].strip() for key in keys if metadata.get(key, "").strip()), "")


def _positive(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
