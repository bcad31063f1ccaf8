"""Which pictures show all around: said by the user or their metadata, or else by how their edges meet."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ...arrays import Bytes, Float32
from ...geometry.equirectangular import Equirectangular, FisheyePair, Panorama
from ...imageio import ImageInfo, read_rgb
from ...videoio import Spherical, VideoInfo, decode_frames
from ..config import Asked, PanoramaSignsConfig
from .fisheye_pair import FisheyePairFile

__all__ = ["FLAT", "Recognised", "goes_round", "photo_panorama", "shows_two_circles", "video_panorama"]

_FIELD = r"""GPano:{}\s*(?:=\s*["']|>)\s*([^"'<]*)"""
_STITCH = "stitch it to one equirectangular picture first, with the maker's program"
_PAIR = "two fisheye pictures side by side, and nothing says where they look; give --dual-fisheye FILE, or "


@dataclass(frozen=True)
class Recognised:
    """What a picture is found to be. area: what of the sphere it shows where, None of a flat one. told_by: how that is
    known. refused: why it cannot be used (one clause), empty where it can."""

    area: Panorama | None = None
    told_by: str = ""
    refused: str = ""


FLAT = Recognised()
"""A picture that is no panorama."""


def photo_panorama(
    path: Path, image: ImageInfo, asked: Asked, config: PanoramaSignsConfig, pair: FisheyePairFile | None = None
) -> Recognised:
    """A photograph as `pair` says, by its GPano metadata, or by its pixels where it is twice as wide as high.

    Raises UnreadableImageError where pixels must be looked at and cannot be decoded.
    """
    size = (image.width, image.height)
    if asked == "no":
        return FLAT
    if (known := _of_pair(pair, size)) is not None:
        return known
    told = _told_by_gpano(image.xmp, size, config)
    if told is not None:
        return told
    if asked == "yes":
        return _whole(size, "as asked", config)
    if not _is_two_to_one(*size, config):
        return FLAT
    rgb = read_rgb(path, max_side_px=config.side_px)
    return _by_pixels(np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8), size, config)


def video_panorama(
    path: Path, info: VideoInfo, asked: Asked, config: PanoramaSignsConfig, pair: FisheyePairFile | None = None
) -> Recognised:
    """A video as `pair` says, by its spherical metadata, or where it is twice as wide as high by its first frames that
    tell."""
    size = (info.width, info.height)
    if asked == "no":
        return FLAT
    if (known := _of_pair(pair, size)) is not None:
        return known
    if info.spherical is not None:
        return _told_by_container(info.spherical, size, config)
    if asked == "yes":
        return _whole(size, "as asked", config)
    if not _is_two_to_one(*size, config):
        return FLAT
    found = FLAT
    for frame in decode_frames(path, info.times_s):
        found = _by_pixels(frame.grey(config.side_px), size, config)
        if found != FLAT or frame.index >= config.frames_looked_at:
            break
    return found


def goes_round(grey: Bytes, config: PanoramaSignsConfig) -> bool:
    """Whether (H, W) is as if it went round a sphere: its left and right edges continue each other, and its uppermost
    and lowest rows, which are one point each, hardly change.

    Skies, water and backdrops leave edges alike, too, so what goes on along the rows is taken off before they are
    compared; edges with little left, beside other columns, say nothing.
    """
    picture = grey.astype(np.float32)
    detail = _detail(picture)
    left, right = detail[:, 0], detail[:, -1]
    enough = max(config.least_detail, config.least_edge * float(np.median(detail.std(axis=0))))
    if min(left.std(), right.std()) < enough:
        return False
    alike = float(np.corrcoef(left, right)[0, 1])
    spread = picture.std(axis=1)
    usual = float(np.median(spread))
    ends = max(float(spread[0]), float(spread[-1]))
    return alike >= config.least_seam and ends <= config.most_pole * usual


def shows_two_circles(grey: Bytes, config: PanoramaSignsConfig) -> bool:
    """Whether (H, W) is black but for two discs side by side: what the two lenses of a camera saw, not stitched yet."""
    height, width = grey.shape
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    half = height / 2
    away = np.hypot(rows - half, columns % (width / 2) - width / 4) / half
    outside, inside = grey[away > config.circle + config.circle_margin], grey[away < config.circle - 0.1]
    return bool(
        len(outside)
        and np.quantile(outside, 0.9) <= config.black
        and np.quantile(inside, 0.5) > 2 * config.black
        and np.quantile(inside, 0.1) > 0
    )


def _detail(picture: Float32) -> Float32:
    """What a picture that goes round has beside the mean of a stretch of each row around."""
    margin = picture.shape[1] // 16
    around = np.concatenate([picture[:, -margin:], picture, picture[:, :margin]], axis=1)
    smooth = cv2.GaussianBlur(around, (0, 0), sigmaX=margin / 4, sigmaY=0.01)
    return np.asarray(picture - smooth[:, margin:-margin], np.float32)


def _by_pixels(grey: Bytes, size: tuple[int, int], config: PanoramaSignsConfig) -> Recognised:
    if shows_two_circles(grey, config):
        return Recognised(refused=_PAIR + _STITCH)
    if goes_round(grey, config):
        return Recognised(Equirectangular.whole(*size), "by how its edges meet")
    return FLAT


def _of_pair(file: FisheyePairFile | None, size: tuple[int, int]) -> Recognised | None:
    pair: FisheyePair | None = None if file is None else file.at(*size)
    return None if file is None or pair is None else Recognised(pair, f"by two fisheyes as {file.path.name} says")


def _whole(size: tuple[int, int], told_by: str, config: PanoramaSignsConfig) -> Recognised:
    if _is_two_to_one(*size, config):
        return Recognised(Equirectangular.whole(*size), told_by)
    shape = f"{size[0]} x {size[1]} px are not twice as wide as high"
    return Recognised(refused=f"no panorama of a whole sphere ({told_by}): {shape}; {_STITCH}")


def _is_two_to_one(width: int, height: int, config: PanoramaSignsConfig) -> bool:
    return abs(width / (2 * height) - 1) <= config.two_to_one


def _told_by_gpano(xmp: bytes, size: tuple[int, int], config: PanoramaSignsConfig) -> Recognised | None:
    """By Google's photo sphere XMP metadata; None where there is none. Its pixels are those of the picture as it was
    taken, which may have been resized since."""
    text = xmp.decode("utf-8", "replace")
    projection = _field(text, "ProjectionType").lower()
    if not projection:
        return None
    if projection != "equirectangular":
        return Recognised(refused=f"a {projection} panorama (by its GPano metadata) is not read; give single pictures")
    names = ("FullPanoWidthPixels", "FullPanoHeightPixels", "CroppedAreaImageWidthPixels", "CroppedAreaLeftPixels")
    full_width, full_height, cropped, left = (_number(text, name) for name in names)
    if not full_width or not full_height:
        return _whole(size, "by its GPano metadata", config)
    scale = size[0] / (cropped or full_width)
    area = Equirectangular(
        *size, full_width * scale, full_height * scale, left * scale, _number(text, "CroppedAreaTopPixels") * scale
    )
    return _of_area(area, "by its GPano metadata", config)


def _told_by_container(told: Spherical, size: tuple[int, int], config: PanoramaSignsConfig) -> Recognised:
    if told.stereo:
        return Recognised(refused="stereoscopic 360-degree video (by its metadata) is not read; export one eye of it")
    if not told.is_equirectangular:
        return Recognised(refused=f"360-degree video as {told.projection} (by its metadata) is not read; {_STITCH}")
    across, down = 1 - told.left - told.right, 1 - told.top - told.bottom
    if min(across, down) <= 0:
        return Recognised(refused="its 360-degree metadata leaves nothing of the sphere; export it again")
    full_width, full_height = size[0] / across, size[1] / down
    area = Equirectangular(*size, full_width, full_height, told.left * full_width, told.top * full_height)
    return _of_area(area, "by its metadata", config)


def _of_area(area: Equirectangular, told_by: str, config: PanoramaSignsConfig) -> Recognised:
    whole = (round(area.full_width), round(area.full_height))
    if not min(whole) > 0 or not _is_two_to_one(*whole, config):
        shape = f"a sphere of {whole[0]} x {whole[1]} px is not twice as wide as high"
        return Recognised(refused=f"no 360-degree picture of one eye ({told_by}): {shape}; {_STITCH}")
    return Recognised(area, told_by)


def _field(text: str, name: str) -> str:
    found = re.search(_FIELD.format(name), text)
    return found[1].strip() if found else ""


def _number(text: str, name: str) -> float:
    """0 where it is missing or no number."""
    try:
        value = float(_field(text, name) or 0)
    except ValueError:
        return 0.0
    return value if np.isfinite(value) else 0.0
