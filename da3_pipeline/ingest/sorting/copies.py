"""One view in two files: smaller, undistorted, edited, or in another format."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from ..scan import FoundFile
from .remaining import Remaining, spread
from .roles import core, tokens, words

__all__ = [
    "edited_copies",
    "inputs",
    "other_formats",
    "previews",
    "raws",
    "reduced_copies",
    "thumbnails",
    "undistorted_copies",
]

_SAMPLE = 4
_SAME = 0.9  # correlation of small grey pictures: of one view at two sizes .99 and more, but for icons
_WARPED = 0.8  # the same through another lens
_FEW = 3
_USUAL = 20  # photographs that tell the usual sizes
_SHOW_NAMES = words("thumbnail thumb preview cover poster screenshot contact sheet contactsheet icon")
_ORDER = ("JPEG", "MPO", "HEIF", "PNG", "TIFF", "AVIF", "WEBP", "BMP")


def thumbnails(left: Remaining) -> Mapping[FoundFile, str]:
    """Called so, smaller than a photograph of that name, and showing the same."""
    return _smaller(left, "thumbnail")


def reduced_copies(left: Remaining) -> Mapping[FoundFile, str]:
    """In a folder `images_4` or `images_4_png`, beside one of `images` of the same name that shows the same."""
    return _smaller(left, "reduced")


def inputs(left: Remaining) -> Mapping[FoundFile, str]:
    """In `input` beside `images` of the same names, where 3DGS's converter put the undistorted ones."""
    return _same_views(left, "input", _WARPED)


def undistorted_copies(left: Remaining) -> Mapping[FoundFile, str]:
    """In a folder called undistorted, or COLMAP's dense workspace, beside the photographs that they were made from."""
    return _same_views(left, "undistorted", _WARPED)


def edited_copies(left: Remaining) -> Mapping[FoundFile, str]:
    """Called edited (IMG_E1234, 1234-edited), beside the photograph as it was taken: edits crop and retouch."""
    found: dict[FoundFile, str] = {}
    for file in (file for group in left.called("edited") for file in group):
        other = left.partner(file, "edited")
        if other is not None and other.path.parent == file.path.parent:
            found[file] = other.name
    return found


def other_formats(left: Remaining) -> Mapping[FoundFile, str]:
    """Of one name and folder but for the suffix, and showing the same: the larger one stays, or the plainer format."""
    views: dict[tuple[object, str], list[FoundFile]] = defaultdict(list)
    for file in left.pictures:
        views[file.path.parent, core(file.path.stem, None)].append(file)
    pairs: dict[tuple[str, str], list[tuple[FoundFile, FoundFile]]] = defaultdict(list)
    for files in views.values():
        if len({file.path.suffix.lower() for file in files}) > 1:
            ranked = sorted(files, key=lambda file: _rank(left, file))
            for other in ranked[1:]:
                pairs[ranked[0].path.suffix.lower(), other.path.suffix.lower()].append((ranked[0], other))
    found: dict[FoundFile, str] = {}
    for alike in pairs.values():
        sure = all(_shows(left, other, kept) for kept, other in spread(alike, 2 * _SAMPLE))
        found |= {other: kept.name for kept, other in alike if sure or _shows(left, other, kept)}
    return found


def raws(left: Remaining) -> Mapping[FoundFile, str]:
    """Raw photographs that the camera developed, too."""
    developed: dict[tuple[object, str], FoundFile] = {}
    for file in left.pictures:
        if not file.raw:
            developed[file.path.parent, file.path.stem.lower()] = file
            developed.setdefault((file.source, file.path.stem.lower()), file)
    found: dict[FoundFile, str] = {}
    for file in left.pictures:
        stem = file.path.stem.lower()
        if file.raw and (other := developed.get((file.path.parent, stem)) or developed.get((file.source, stem))):
            found[file] = other.name
    return found


def previews(left: Remaining) -> Mapping[FoundFile, str]:
    """Single pictures called preview, cover or the like, of another size than the photographs beside them have."""
    others = spread([file for file in left.pictures if not _is_show_name(file)], _USUAL)
    sizes = [(h.width, h.height) for file in others if (h := left.contents.header(file)) is not None]
    if len(sizes) < _FEW:
        return {}
    found: dict[FoundFile, str] = {}
    for group in left.by_folder(file for file in left.pictures if _is_show_name(file)):
        for file in group if len(group) < _FEW else ():
            header = left.contents.header(file)
            if header is not None and (header.width, header.height) not in sizes:
                found[file] = others[0].name
    return found


def _smaller(left: Remaining, role: str) -> Mapping[FoundFile, str]:
    def smaller(file: FoundFile, other: FoundFile) -> bool:
        one, whole = left.contents.header(file), left.contents.header(other)
        return one is not None and whole is not None and one.width * one.height < whole.width * whole.height

    found: dict[FoundFile, str] = {}
    for group in left.called(role):
        pairs = [
            (file, other) for file in group if (other := left.partner(file, role)) is not None and smaller(file, other)
        ]
        if pairs and all(_shows(left, file, other) for file, other in spread(pairs, _SAMPLE)):
            found |= {file: other.name for file, other in pairs}
    return found


def _same_views(left: Remaining, role: str, least: float) -> Mapping[FoundFile, str]:
    found: dict[FoundFile, str] = {}
    for group in left.called(role):
        pairs = [(file, other) for file in group if (other := left.partner(file, role)) is not None]
        if pairs and all(left.contents.same_view(file, other, least) for file, other in spread(pairs, _SAMPLE)):
            found |= {file: other.name for file, other in pairs}
    return found


def _shows(left: Remaining, file: FoundFile, other: FoundFile) -> bool:
    return left.contents.same_view(file, other, _SAME)


def _rank(left: Remaining, file: FoundFile) -> tuple[int, int, str]:
    header = left.contents.header(file)
    if header is None:
        return (0, len(_ORDER), file.name)
    order = _ORDER.index(header.format) if header.format in _ORDER else len(_ORDER)
    return (-header.width * header.height, order, file.name)


def _is_show_name(file: FoundFile) -> bool:
    spoken = [word for word in tokens(file.path.stem) if not word.isdigit()]
    return bool(spoken) and all(word in _SHOW_NAMES for word in spoken)
