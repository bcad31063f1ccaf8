"""Lay the user's masks over a capture: one image for everything, or a folder matched by name."""

from __future__ import annotations

import logging
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ..errors import CaptureError
from ..guard.limits import LIMITS
from ..imageio import sniff_format
from ..types import Capture, VideoClip
from .names import natural_key
from .projects.name_matching import match_names

__all__ = ["with_masks"]

logger = logging.getLogger(__name__)

_PICTURE_SUFFIXES = frozenset([".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".heic", ".heif", ".avif"])
_VIDEO_SUFFIXES = frozenset([".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mts", ".m2ts", ".mpg", ".mpeg", ".3gp"])
_LAST_NUMBER = re.compile(r"([0-9]+)$")
_CALLED_MASK = re.compile(r"^masks?[-_. ]+(?=.)|(?<=.)[-_. ]+masks?$", re.IGNORECASE)


def with_masks(capture: Capture, masks: Path | None) -> Capture:
    """The capture with the mask of every photograph and video frame that has one.

    A file is the mask of everything. In a folder, that of a photograph is NAME.png or, as COLMAP has it, NAME.jpg.png,
    matched as known cameras are: by path, then by name, then by stem, where unique; what then has none, without the
    word that tools add: NAME_mask.png, NAME.mask.png, mask_NAME.png. Those of a video are in a folder of its name, each
    with the number of its frame, or one for all frames has the name of the video.
    The masks are not opened here. Raises CaptureError where there is no such file, or nothing in it fits the capture.
    """
    if masks is None:
        return capture
    if masks.is_dir():
        return _from_folder(capture, masks.absolute())
    if not masks.is_file():
        raise CaptureError(f"{masks}: no such file or folder; --masks takes an image, or a folder of them")
    if sniff_format(masks) is None:
        raise CaptureError(f"{masks}: not an image; --masks takes an image, or a folder of them")
    mask = masks.absolute()
    return replace(
        capture,
        photos=tuple(replace(photo, mask=mask) for photo in capture.photos),
        videos=tuple(replace(clip, mask=mask) for clip in capture.videos),
    )


def _from_folder(capture: Capture, folder: Path) -> Capture:
    masks = _listed(folder)
    if not masks:
        raise CaptureError(f"{folder}: holds no images; --masks takes an image, or a folder of them")
    ours = [photo.name for photo in capture.photos] + [clip.name for clip in capture.videos]
    numbered = {clip.name: _numbered(clip, names) for clip, names in _sequences(capture.videos, list(masks))}
    in_sequences = {name for numbers in numbered.values() for name in numbers.values()}
    pictured = {_pictured(name): name for name in masks if name not in in_sequences}
    single = {name: pictured[known] for name, known in match_names(ours, list(pictured)).items()}
    left = {_pictured(_bare(own)): own for own in pictured.values() if own not in single.values()}
    single |= {
        name: left[known]
        for name, known in match_names([name for name in ours if name not in single], list(left)).items()
    }
    if not single and not in_sequences and len(ours) == len(capture.videos) == 1:
        # Of one video alone, the masks may lie in the folder itself.
        numbered = {ours[0]: _numbered(capture.videos[0], list(masks))}
        in_sequences = set(numbered[ours[0]].values())
    used = len(single) + len(in_sequences)
    if not used:
        raise CaptureError(
            f"{folder}: none of its {len(masks)} masks has the name of a photograph or video of the capture "
            f"({next(iter(masks))} there, {ours[0]} here); call them NAME.png or NAME.jpg.png, those of a video "
            "VIDEO/FRAME NUMBER.png"
        )
    if used < len(masks):
        logger.warning("%s: %d of %d masks fit nothing in the capture", folder, len(masks) - used, len(masks))
    mask = {name: masks[own] for name, own in single.items()}
    of_frames = {name: {k: masks[own] for k, own in numbers.items()} for name, numbers in numbered.items()}
    return replace(
        capture,
        photos=tuple(replace(photo, mask=mask.get(photo.name)) for photo in capture.photos),
        videos=tuple(
            replace(clip, mask=mask.get(clip.name), frame_masks=of_frames.get(clip.name, {})) for clip in capture.videos
        ),
    )


def _listed(folder: Path) -> dict[str, Path]:
    """The images below a folder by their posix path in it, in natural order; hidden ones are passed over."""
    found: dict[str, Path] = {}
    entered: set[Path] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        place = Path(parent).resolve()
        if place in entered or len(place.parts) - len(folder.resolve().parts) > LIMITS.folders_deep:
            folders.clear()
            continue
        entered.add(place)
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(parent, name) for name in names if not name.startswith("."))
        found |= {p.relative_to(folder).as_posix(): p for p in paths if p.suffix.lower() in _PICTURE_SUFFIXES}
    return {name: found[name] for name in sorted(found, key=natural_key)}


def _bare(mask: str) -> str:
    """The name without the word for it: a/1.png for OpenDroneMap's a/1_mask.png and openMVS' a/1.mask.png."""
    path = PurePosixPath(mask)
    return str(path.with_name(_CALLED_MASK.sub("", path.stem) + path.suffix))


def _pictured(mask: str) -> str:
    """The name of the picture that a mask is of, as far as the mask's name tells: a/1.jpg for a/1.jpg.png."""
    inner = PurePosixPath(mask).with_suffix("")
    return str(inner) if inner.suffix.lower() in _PICTURE_SUFFIXES | _VIDEO_SUFFIXES else mask


def _sequences(clips: Sequence[VideoClip], masks: Sequence[str]) -> Iterator[tuple[VideoClip, list[str]]]:
    """The videos that have a folder of masks under their name, and what is in it."""
    folders: dict[str, list[str]] = defaultdict(list)
    for name in masks:
        parent = PurePosixPath(name).parent
        # Names are compared without their suffix, too; what follows a dot in the name of a folder is none.
        folders[str(parent) if parent.suffix.lower() in _VIDEO_SUFFIXES else f"{parent}.folder"].append(name)
    matched = match_names([clip.name for clip in clips], list(folders))
    yield from ((clip, folders[matched[clip.name]]) for clip in clips if clip.name in matched)


def _numbered(clip: VideoClip, masks: Sequence[str]) -> dict[int, str]:
    """Masks by the frame of the video that they are of.

    Numbers begin at 0, as those of frame names, or at 1, as FFmpeg's, where the last one shows it.
    """
    numbers: dict[int, str] = {}
    for name in masks:
        if found := _LAST_NUMBER.search(PurePosixPath(_pictured(name)).stem):
            numbers.setdefault(int(found[1]), name)
    total = len(clip.times_s)
    first = 1 if total in numbers and 0 not in numbers else 0
    return {number - first: name for number, name in numbers.items() if 0 <= number - first < total}
