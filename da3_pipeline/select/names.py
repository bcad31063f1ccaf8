"""What the frames of videos are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import PurePosixPath

from ..types import Capture

__all__ = ["frame_names"]


def frame_names(capture: Capture) -> dict[str, Callable[[int], str]]:
    """By the name of each video, what gives its frames' names by their numbers.

    VIDEO/000123.jpg without the suffix of the video, and with it where another video has the same name but for the
    suffix, or photographs lie in a folder of that name. Letters of either case are one: on many disks they are.
    """
    stems = Counter(_stem(clip.name).casefold() for clip in capture.videos)
    taken = {str(parent).casefold() for photo in capture.photos for parent in PurePosixPath(photo.name).parents}
    folders: dict[str, str] = {}
    for clip in capture.videos:
        stem = _stem(clip.name)
        folder = stem if stems[stem.casefold()] == 1 and stem.casefold() not in taken else clip.name
        while folder.casefold() in taken:
            folder += "_"
        taken.add(folder.casefold())
        folders[clip.name] = folder
    return {name: _namer(folder) for name, folder in folders.items()}


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _namer(folder: str) -> Callable[[int], str]:
    return lambda index: f"{folder}/{index:06d}.jpg"
