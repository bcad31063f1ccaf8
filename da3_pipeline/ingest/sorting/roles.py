"""What names say: the part that a file plays beside photographs, and which names speak of one view."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from unicodedata import normalize

__all__ = ["core", "place", "roles_of", "says_only", "time_of", "tokens", "words"]


def words(text: str) -> frozenset[str]:
    """The words of a text, for a look-up."""
    return frozenset(text.split())


_WORDS = {
    "confidence": "confidence confidences conf confidencemap confidencemaps uncertainty",
    "mask": "mask masks matte mattes silhouette silhouettes seg segm segs segmentation segmentations segmentationmap "
    "segmentationmaps semantic semantics label labels labelmap labelmaps instance instances trimap "
    "maske masken masque masques máscara máscaras mascaras maschera maschere маска маски マスク 掩码 掩膜 遮罩 蒙版",
    "depth": "depth depths depthmap depthmaps depthimage depthimages disparity disparities disp "
    "tiefe tiefenbild tiefenbilder tiefenkarte tiefenkarten profondeur profondeurs profundidad глубина 深度 深度图",
    "normals": "normal normals normalmap normalmaps",
    "thumbnail": "thumb thumbs thumbnail thumbnails preview previews proxy proxies small lowres reduced resized",
    "edited": "edited edit",
    "undistorted": "undistorted undistort dense corrected",
    "input": "input",
}
"""Words that make a file more than a photograph, the more telling parts first."""

_PICTURE = words("color colour rgb image images img imgs photo photos frame frames picture pictures pic")
_ROLE = {word: role for role, listed in _WORDS.items() for word in listed.split()}
_SUFFIXES = re.compile(r"\.(jpe?g|jpe|jfif|png|tiff?|heic|heif|hif|webp|avif|bmp|jxl|mp4|mov)$", re.IGNORECASE)
_TOKEN = re.compile(r"[^\W\d_]+|[0-9]+")
_REDUCED = re.compile(r"(images?|imgs?|rgb|colou?r|frames?|photos?|input)[_-]([2-9]|1[0-9]|32)([_-](png|jpe?g))?")
_APPLE_EDIT = re.compile(r"img_e([0-9]{4,})")
_TIME = re.compile(r"[0-9]{9,}(\.[0-9]+)?|[0-9]+\.[0-9]{3,}")


def tokens(text: str) -> list[str]:
    """Words and numbers in lower case, numbers without leading zeros: 'frame_007Depth' is frame, 7, depth."""
    return [
        word.lstrip("0") or "0" if word.isdigit() else word for word in _TOKEN.findall(normalize("NFC", text.lower()))
    ]


def roles_of(folder: str, stem: str) -> tuple[str, ...]:
    """The parts that a file may play by its name and the folders below the source that it is in, the name's first.

    Empty for a photograph. A number behind `images` is how much smaller the pictures are, which trainers leave beside
    the whole ones.
    """
    if _APPLE_EDIT.fullmatch(stem.lower()):
        return ("edited",)
    found: list[str] = []
    folders = PurePosixPath(folder).parts
    for spoken in (tokens(_inner(stem)), *(tokens(part) for part in reversed(folders))):
        here = {_ROLE[word] for word in spoken if word in _ROLE}
        found += sorted(here.difference(found), key=list(_WORDS).index)
    if any(_REDUCED.fullmatch(part.lower()) for part in folders):
        found.append("reduced")
    return tuple(found)


def place(folder: str, role: str | None) -> tuple[str, ...]:
    """The folders below the source without the words that say what part, or that pictures, are in them.

    Equal for `cam0/rgb` and `depth/cam0`, `images` and `images_4`.
    """
    return tuple(part for part in (_plain(name, role) for name in PurePosixPath(folder).parts) if part)


def core(stem: str, role: str | None) -> str:
    """What of a name tells the view: equal for `frame000007`, `depth000007`, `7.color`, `7_mask` and `7.jpg` (.png)."""
    if match := _APPLE_EDIT.fullmatch(stem.lower()):
        stem = f"img_{match[1]}"
    return " ".join(_telling(tokens(_inner(stem)), role))


def says_only(folder: str, role: str, allowed: frozenset[str]) -> bool:
    """Whether the folder that gives a file its part has no other word: `depth_of_field` may well hold photographs."""
    parts = [tokens(part) for part in PurePosixPath(folder).parts]
    named = [part for part in parts if any(_ROLE.get(word) == role for word in part)]
    rest = (word for part in named for word in _telling(part, role) if not word.isdigit())
    return all(word in allowed for word in rest)


def time_of(stem: str) -> float | None:
    """The time that the name is, as sensors write it: seconds with decimals, or a long number of some unit."""
    return float(stem) if _TIME.fullmatch(stem) else None


def _plain(folder: str, role: str | None) -> str:
    if match := _REDUCED.fullmatch(folder.lower()):
        folder = match[1] if role == "reduced" else folder
    return " ".join(_telling(tokens(folder), role))


def _telling(spoken: list[str], role: str | None) -> Iterator[str]:
    return (word for word in spoken if word not in _PICTURE and (role is None or _ROLE.get(word) != role))


def _inner(stem: str) -> str:
    """The stem without a second suffix: COLMAP's mask of 7.jpg is 7.jpg.png, others write 7.jpg.mask.png."""
    while (shorter := _SUFFIXES.sub("", re.sub(r"\.mask$", "_mask", stem, flags=re.IGNORECASE))) != stem:
        stem = shorter
    return stem
