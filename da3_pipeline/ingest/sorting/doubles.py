"""The same picture saved again, at another size or quality, under a name that does not tell."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ...arrays import Float
from ...imageio import UnreadableImageError, read_rgb
from ...types import Dropped
from ..photos import Photo

__all__ = ["without_doubles"]

_CANDIDATE = 0.99  # correlation of thumbnails of 16 x 16; neighbours in a capture reach that, too
_SAME = 0.93  # correlation of fine detail: .94 and more when saved again, .9 for neighbours of a slow video
_SIDE = 320
_BLOCK = 256
_TRIED = 4
_MOST_STRETCH = 0.02


def without_doubles(photos: Sequence[Photo]) -> tuple[list[Photo], list[Dropped]]:
    """Photographs without those that are others saved again; the one of the most pixels stays, then the first.

    Thumbnails tell who may be alike, fine detail of both whether they are one exposure: it moves with the camera, and
    noise is another every time. Files of the same bytes are for the selection to leave out.
    """
    order = sorted(range(len(photos)), key=lambda k: (-photos[k].width * photos[k].height, k))
    if not photos:
        return [], []
    unit = _normalised([photos[k] for k in order])
    dropped: dict[int, Dropped] = {}
    for start in range(0, len(order), _BLOCK):
        block = slice(start, start + _BLOCK)
        for row, likeness in enumerate(unit[block] @ unit[: start + _BLOCK].T, start):
            earlier = likeness[:row]
            near = np.flatnonzero(earlier > _CANDIDATE)
            for other in near[np.argsort(-earlier[near])][:_TRIED]:
                one, kept = photos[order[row]], photos[order[other]]
                if order[other] not in dropped and _is_saved_again(one, kept):
                    dropped[order[row]] = Dropped(one.file.name, f"shows the same as {kept.file.name}, in every detail")
                    break
    return [photo for k, photo in enumerate(photos) if k not in dropped], list(dropped.values())


def _normalised(photos: Sequence[Photo]) -> Float:
    """(n, 256) thumbnails of mean 0 and length 1."""
    rows = np.array([photo.thumbnail.ravel() for photo in photos], np.float32).reshape(len(photos), -1)
    rows -= rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1.0))


def _is_saved_again(one: Photo, other: Photo) -> bool:
    if one.fingerprint == other.fingerprint:
        return False
    if abs(one.width / one.height * other.height / other.width - 1) > _MOST_STRETCH:
        return False
    width = min(_SIDE, one.width, other.width)
    size = (width, max(1, round(width * one.height / one.width)))
    try:
        a, b = (_detail(photo, size) for photo in (one, other))
    except UnreadableImageError:
        return False
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return scale > 0 and float((a * b).sum()) / scale > _SAME


def _detail(photo: Photo, size: tuple[int, int]) -> Float:
    """What is finer than some pixels of a picture reduced to `size`, its width and height."""
    longer = round(size[0] * max(1.0, photo.height / photo.width))
    grey = cv2.cvtColor(read_rgb(photo.file.path, max_side_px=longer), cv2.COLOR_RGB2GRAY).astype(np.float32)
    grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return np.asarray(grey - cv2.GaussianBlur(grey, (0, 0), 2.0))
