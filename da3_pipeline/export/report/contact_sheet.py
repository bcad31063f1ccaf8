"""All images at a glance, in the order of the capture: what is used, and what is left out with the letter of why."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase

from ...imageio import read_rgb
from ...types import ExportResult, Frame, Scene
from .data_uri import data_uri
from .drawing import evenly
from .reading import ReasonGroup

__all__ = ["ContactSheet", "Thumbnail", "contact_sheet", "letter_of", "letters"]

_SIDE_PX = 112
_QUALITY = 70


@dataclass(frozen=True)
class Thumbnail:
    """A picture as a data URI, and the letter of the reason why it is left out, empty where it is used."""

    name: str
    image: str
    letter: str


@dataclass(frozen=True)
class ContactSheet:
    """Thumbnails in capture order; used, left_out: how many images there are, shown_*: how many of them are here.

    Left out count those alone that have a picture: frames of videos that were never taken have none.
    """

    thumbnails: tuple[Thumbnail, ...]
    used: int
    shown_used: int
    left_out: int
    shown_left_out: int


def letters(groups: Sequence[ReasonGroup]) -> dict[str, str]:
    """By the name of a file that is left out, the letter of its reason, see `letter_of`."""
    return {name: letter_of(number) for number, group in enumerate(groups) for name in group.members}


def letter_of(number: int) -> str:
    """A to Z, then AA, AB, ..."""
    larger, last = divmod(number, len(ascii_uppercase))
    return (ascii_uppercase[larger - 1] if larger else "") + ascii_uppercase[last]


def contact_sheet(
    scene: Scene, result: ExportResult | None, photos: Sequence[Frame], reasons: Mapping[str, str], limit: int
) -> ContactSheet:
    """Of the frames of a scene, and of `photos` that are left out before they became any.

    reasons: letters by the names of what is left out, see `letters`. limit: of the thumbnails of images that are used;
    half as many show such as are not. Where there are more, they are taken at equal steps. An image whose file is gone
    has none.
    """
    used = set(result.image_names) if result else set()
    chosen = {frame.name for frame in scene.frames}
    lost = [photo for photo in photos if photo.name not in chosen and photo.name in reasons]
    ordered = _in_order(scene.frames, lost, photos)
    kept = [frame for frame in ordered if frame.name in used]
    others = [frame for frame in ordered if frame.name not in used and frame.name in reasons]
    shown = {kept[k].name for k in evenly(len(kept), limit)} | {others[k].name for k in evenly(len(others), limit // 2)}
    thumbnails = []
    for frame in ordered:
        with contextlib.suppress(OSError):
            if frame.name in shown:
                letter = "" if frame.name in used else reasons[frame.name]
                thumbnails.append(Thumbnail(frame.name, _thumbnail(frame.path), letter))
    of_used = sum(not one.letter for one in thumbnails)
    return ContactSheet(tuple(thumbnails), len(kept), of_used, len(others), len(thumbnails) - of_used)


def _in_order(frames: Sequence[Frame], lost: Sequence[Frame], photos: Sequence[Frame]) -> list[Frame]:
    """Photographs as the capture has them, each that was left out between its neighbours; what else there is follows
    as it came."""
    place = {photo.name: number for number, photo in enumerate(photos)}
    return sorted((*frames, *lost), key=lambda frame: place.get(frame.name, len(place)))


def _thumbnail(path: Path) -> str:
    return data_uri(read_rgb(path, max_side_px=_SIDE_PX), _QUALITY)
