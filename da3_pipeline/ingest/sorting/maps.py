"""Depth, confidence and normals beside photographs: pictures by their format, measurements by their content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..scan import FoundFile
from .remaining import Remaining, spread
from .roles import says_only, words

__all__ = ["confidence_maps", "depth_maps", "normal_maps", "unnamed_maps"]

_SAMPLE = 4
_COLOURED = words("vis viz visualization coloured colored colormap turbo jet png map maps pred prediction")
_UNIT = 0.1  # how far from 1 the length of a normal may be, as 8 bits and JPEG leave it
_MOSTLY = 0.8
_SAME = 0.9


def depth_maps(left: Remaining) -> Mapping[FoundFile, str]:
    """Called depth, and of one channel beside photographs or a video; or coloured, where the name says nothing else."""
    return _called("depth", left)


def confidence_maps(left: Remaining) -> Mapping[FoundFile, str]:
    """Called confidence, as `depth_maps`."""
    return _called("confidence", left)


def normal_maps(left: Remaining) -> Mapping[FoundFile, str]:
    """Called normals, beside photographs of the same names, and with colours that are directions."""
    found: dict[FoundFile, str] = {}
    for group in left.called("normals"):
        if all(_is_directions(left, file) for file in spread(group, _SAMPLE)):
            found |= _with_partners(left, group, "normals")
    return found


def unnamed_maps(left: Remaining) -> Mapping[FoundFile, str]:
    """Of one channel of 16 bits or more, most of them called as photographs beside that are not, and show otherwise."""
    deep = [file for file in left.pictures if _may_be_deep(file) and _is_deep(left, file)]
    if not deep or len(deep) == len(left.pictures):
        return {}
    others = left.without(frozenset(deep))
    found: dict[FoundFile, str] = {}
    for group in left.by_folder(deep):
        partners = {file: other for file in group if (other := others.partner(file, None)) is not None}
        if len(partners) < _MOSTLY * len(group):
            continue
        pairs = spread(list(partners.items()), _SAMPLE)
        if not any(left.contents.same_view(file, other, _SAME) for file, other in pairs):
            found |= {file: other.name for file, other in partners.items()}
    return found


def _called(role: str, left: Remaining) -> Mapping[FoundFile, str]:
    found: dict[FoundFile, str] = {}
    for group in left.called(role):
        headers = [left.contents.header(file) for file in spread(group, _SAMPLE)]
        grey = all(header is not None and header.channels <= 2 for header in headers)
        if grey or says_only(group[0].below or "", role, _COLOURED):
            found |= _with_partners(left, group, role, videos=grey)
    return found


def _with_partners(
    left: Remaining, group: Sequence[FoundFile], role: str, videos: bool = False
) -> dict[FoundFile, str]:
    found: dict[FoundFile, str] = {}
    for file in group:
        other = left.partner(file, role) or (left.video(file, role) if videos else None)
        if other is not None:
            found[file] = other.name
    if len(found) >= _MOSTLY * len(group):  # what is left has lost its photograph
        found |= {file: next(iter(found.values())) for file in group if file not in found}
    return found


def _is_directions(left: Remaining, file: FoundFile) -> bool:
    header, grid = left.contents.header(file), left.contents.grid(file)
    if header is None or grid is None or grid.shape[2] < 3 or grid.dtype.kind != "u":
        return False
    length = np.linalg.norm(grid[..., :3] / np.iinfo(grid.dtype).max * 2 - 1, axis=2)
    black = grid[..., :3].max(axis=2) == 0
    return bool((np.abs(length - 1) < _UNIT)[~black].mean() >= _MOSTLY) if (~black).any() else False


def _may_be_deep(file: FoundFile) -> bool:
    return file.path.suffix.lower() in (".png", ".tif", ".tiff")


def _is_deep(left: Remaining, file: FoundFile) -> bool:
    header = left.contents.header(file)
    return header is not None and header.channels == 1 and header.bits >= 16
