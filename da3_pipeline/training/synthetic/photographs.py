"""Photographic textures: crops of the pictures that happen to be installed. Never shipped, never required."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from ...arrays import Bytes
from .textures import SIZE

__all__ = ["DEBIAN_FOLDERS", "find_photographs", "photographic_textures"]

DEBIAN_FOLDERS = (Path("/usr/share/wallpapers"), Path("/usr/share/backgrounds"))
"""Where plasma-workspace-wallpapers, gnome-, mate-backgrounds and ukui-wallpapers put theirs."""

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
_LONGEST_PX = 2048
_TRIES = 4
_LEAST_GRADIENT = 6.0
_log = logging.getLogger(__name__)


def find_photographs(folders: Sequence[Path] = DEBIAN_FOLDERS) -> tuple[Path, ...]:
    """Picture files below the folders, the largest of each picture's sizes, and scikit-image's samples; sorted."""
    found: dict[str, Path] = {}
    for folder in (*folders, *_scikit_image_folder()):
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in _SUFFIXES or not path.is_file() or "screenshot" in path.stem:
                continue
            # KDE keeps one file for each screen size in <name>/contents/images/
            picture = str(path.parents[2]) if path.parent.name.startswith("images") else str(path)
            if picture not in found or path.stat().st_size > found[picture].stat().st_size:
                found[picture] = path
    return tuple(sorted(found.values()))


def photographic_textures(rng: np.random.Generator, paths: Sequence[Path], count: int) -> Iterator[Bytes]:
    """At most `count` square crops of random place and scale, spread evenly over the photographs.

    (SIZE, SIZE, 3) RGB. Crops with hardly any texture are left out.
    """
    for index, path in enumerate(paths):
        share = count * (index + 1) // len(paths) - count * index // len(paths)
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None or min(picture.shape[:2]) < 64:
            _log.info("no texture from %s: not a readable picture of 64 px or more", path)
            continue
        picture = _at_most(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), _LONGEST_PX)
        for _ in range(share):
            crops = (_crop(rng, picture) for _ in range(_TRIES))
            crop = next((crop for crop in crops if _is_textured(crop)), None)
            if crop is not None:
                yield crop


def _crop(rng: np.random.Generator, picture: Bytes) -> Bytes:
    height, width = picture.shape[:2]
    longest = min(height, width)
    side = int(np.exp(rng.uniform(np.log(min(SIZE * 0.7, longest)), np.log(longest))))
    top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
    crop = cv2.resize(picture[top : top + side, left : left + side], (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    crop = np.rot90(crop, int(rng.integers(0, 4)))
    return np.ascontiguousarray(crop[:, ::-1] if rng.random() < 0.5 else crop)


def _is_textured(crop: Bytes) -> bool:
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    slopes = [np.abs(np.diff(grey, axis=axis)).mean() for axis in (0, 1)]
    return float(sum(slopes)) > _LEAST_GRADIENT


def _at_most(picture: Bytes, longest_px: int) -> Bytes:
    factor = longest_px / max(picture.shape[:2])
    if factor >= 1:
        return picture
    return np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)


def _scikit_image_folder() -> tuple[Path, ...]:
    try:
        import skimage.data as samples
    except ImportError:
        return ()
    return (Path(samples.__file__).parent,)
