"""A predictions file laid onto the frames of this run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

import numpy as np

from ..errors import InferenceError
from ..geometry import PixelMap
from ..types import Dropped, Frame
from .prediction_file import PredictionFile
from .views import RawViews

__all__ = ["assign", "rows_by_name", "views_from_file", "whole_image_map"]


def views_from_file(
    file: PredictionFile, frames: Sequence[Frame]
) -> tuple[tuple[Frame, ...], RawViews, tuple[PixelMap, ...], tuple[Dropped, ...]]:
    """The frames that the file knows, their views and pixel maps in the frames' order, and the frames it does not.

    Raises InferenceError where the file cannot be matched to the frames.
    """
    rows = assign(file, frames)
    kept = [index for index, row in enumerate(rows) if row is not None]
    taken = [row for row in rows if row is not None]
    height, width = file.views.depth.shape[1:]
    maps = tuple(
        file.pixel_maps[row] if file.pixel_maps is not None else whole_image_map(frames[index], width, height)
        for index, row in zip(kept, taken, strict=True)
    )
    dropped = tuple(
        Dropped(frame.name, f"is not in the predictions file {file.path.name}")
        for frame, row in zip(frames, rows, strict=True)
        if row is None
    )
    return tuple(frames[index] for index in kept), file.views.subset(taken), maps, dropped


def assign(file: PredictionFile, frames: Sequence[Frame]) -> list[int | None]:
    """For each frame the row of the file that speaks of it, or None.

    By the frame's name; else by the last part of the name, else by that without its suffix, where these are
    unique on both sides; a file without names goes by order and must have one row for each frame.
    """
    if file.names is None:
        if len(file.views) != len(frames):
            raise InferenceError(
                f"{file.path}: has {len(file.views)} frames without names, but {len(frames)} frames were selected; "
                "add an array 'names' with the frames' file names"
            )
        return list(range(len(frames)))
    rows = rows_by_name([frame.name for frame in frames], file.names)
    if all(row is None for row in rows):
        raise InferenceError(
            f"{file.path}: none of its names (such as {file.names[0]!r}) "
            f"is a selected frame (such as {frames[0].name!r})"
        )
    return rows


def rows_by_name(wanted: Sequence[str], offered: Sequence[str]) -> list[int | None]:
    """For each wanted name its place among the offered: of the same name, else of the same last part, else of that
    without its suffix, where these are unique on both sides."""
    ours, theirs = ([PurePosixPath(name.replace("\\", "/")) for name in names] for names in (wanted, offered))
    rows: list[int | None] = [None] * len(wanted)
    keys: tuple[Callable[[PurePosixPath], str], ...] = (str, lambda path: path.name, lambda path: path.stem)
    for key in keys:
        lookup = _unique([key(path) for path in theirs])
        for text, index in _unique([key(path) for path in ours]).items():
            row = lookup.get(text)
            if rows[index] is None and row is not None and row not in rows:
                rows[index] = row
    return rows


def whole_image_map(frame: Frame, width: int, height: int) -> PixelMap:
    """The map from a depth map of `width` x `height` px to its photograph, where the file does not tell it.

    A depth map of the photograph's shape covers it whole, whatever the rounding to multiples of 14; one of
    another shape is taken for a centred crop, which is what the published tools make of mixed captures.
    """
    scale = np.array([frame.width / width, frame.height / height])
    rounding = 7.5 / width + 7.5 / height
    if abs(np.log(scale[0] / scale[1])) <= rounding:
        return PixelMap((float(scale[0]), float(scale[1])), (0.0, 0.0))
    even = float(scale.min())
    return PixelMap((even, even), ((frame.width - even * width) / 2, (frame.height - even * height) / 2))


def _unique(texts: list[str]) -> dict[str, int]:
    """Text to index, for the texts that occur once."""
    counts = Counter(texts)
    return {text: index for index, text in enumerate(texts) if counts[text] == 1}
