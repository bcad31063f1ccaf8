"""Masks beside photographs, under any of the names that tools give them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..scan import FoundFile
from .contents import is_label_map, is_two_valued
from .remaining import Remaining, spread

__all__ = ["label_maps", "lone_masks", "masks", "video_masks"]

_SAMPLE = 4
_MOST_STRETCH = 0.06
_DOUBLE_SUFFIX = re.compile(r"\.(jpe?g|jpe|jfif|png|tiff?|heic|heif|webp|avif|bmp)$", re.IGNORECASE)


@dataclass(frozen=True)
class _Looks:
    """What a sample of the files of one kind in one folder shows."""

    two_valued: bool
    labels: bool
    grey: bool


def masks(left: Remaining) -> Mapping[FoundFile, str]:
    """Called masks, of two values, and of the shape of a photograph of the same name."""
    found: dict[FoundFile, str] = {}
    for group in _called_masks(left):
        if not _looks(left, group).two_valued:
            continue
        for file in group:
            other = left.partner(file, "mask")
            if other is not None and _same_shape(left, file, other):
                found[file] = other.name
    return found


def label_maps(left: Remaining) -> Mapping[FoundFile, str]:
    """Called masks, beside a photograph of the same name, but of another shape, or of more values than two."""
    found: dict[FoundFile, str] = {}
    for group in left.called("mask"):
        looks = _looks(left, group)
        for file in group:
            other = left.partner(file, "mask")
            if other is None:
                continue
            if looks.two_valued or looks.labels or (looks.grey and not _is_grey(left, other)):
                found[file] = other.name
    return found


def video_masks(left: Remaining) -> Mapping[FoundFile, str]:
    """Called masks, of two values, beside a video."""
    found: dict[FoundFile, str] = {}
    for group in _called_masks(left):
        clip = left.video(group[0], "mask")
        if clip is not None and _looks(left, group).two_valued:
            found |= {file: clip.name for file in group}
    return found


def lone_masks(left: Remaining) -> Mapping[FoundFile, str]:
    """Called masks, of two values, beside photographs of other names: one of all, or of ones that are not here."""
    others = [file for file in left.pictures if "mask" not in left.roles(file)]
    if not others:
        return {}
    groups = [group for group in left.called("mask") if _looks(left, group).two_valued]
    return {file: others[0].name for group in groups for file in group}


def _called_masks(left: Remaining) -> list[list[FoundFile]]:
    """By the names of files and folders; COLMAP's beside the photograph have its suffix and another."""
    doubled = (f for f in left.pictures if _DOUBLE_SUFFIX.search(f.path.stem) and left.roles(f)[:1] != ("mask",))
    return left.called("mask") + left.by_folder(doubled)


def _looks(left: Remaining, group: list[FoundFile]) -> _Looks:
    grids = [grid for file in spread(group, _SAMPLE) if (grid := left.contents.grid(file)) is not None]
    if not grids:
        return _Looks(False, False, False)
    return _Looks(
        all(is_two_valued(grid) for grid in grids),
        all(is_label_map(grid) for grid in grids),
        all(grid.shape[2] <= 2 for grid in grids),
    )


def _is_grey(left: Remaining, file: FoundFile) -> bool:
    header = left.contents.header(file)
    return header is not None and header.channels <= 2


def _same_shape(left: Remaining, mask: FoundFile, photo: FoundFile) -> bool:
    """As far as headers tell: EXIF may turn either of them. The stage that reads masks looks again."""
    one, other = left.contents.header(mask), left.contents.header(photo)
    if one is None or other is None:
        return False
    longest = [max(h.width, h.height) / min(h.width, h.height) for h in (one, other)]
    return max(longest) / min(longest) <= 1 + _MOST_STRETCH
