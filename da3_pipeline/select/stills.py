"""The chosen frames of a video as JPEG files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import ExportError
from ..imageio import write_rgb
from ..types import VideoClip
from ..versions import STAGE_VERSIONS
from ..videoio import decode_frames

__all__ = ["still_path", "write_stills"]

_QUALITY = 96


def still_path(clip: VideoClip, index: int, stills: Path) -> Path:
    """Where the still of a frame lies, in a folder named by all that decides it: what is there is the right one."""
    return stills / f"{clip.fingerprint[:16]}-{STAGE_VERSIONS['select']}" / f"{index:06d}.jpg"


def write_stills(clip: VideoClip, indices: Sequence[int], stills: Path, heard: Callable[[int], None]) -> None:
    """Decode the clip again as far as needed and write the frames `indices` upright; stills that exist are kept.

    `heard` is told of each frame as its still exists. Raises ExportError where they cannot be written,
    UnreadableVideoError when the file can no longer be opened.
    """
    missing = {index for index in indices if not still_path(clip, index, stills).exists()}
    for index in indices:
        if index not in missing:
            heard(index)
    if not missing:
        return
    for frame in decode_frames(clip.path, clip.times_s):
        if frame.index in missing:
            path = still_path(clip, frame.index, stills)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_rgb(path, frame.fitted(clip.width, clip.height).rgb(), _QUALITY)
            except OSError as error:
                why = error.strerror or error
                raise ExportError(
                    f"{path}: cannot write this video frame ({why}); free or choose another disk"
                ) from error
            heard(frame.index)
            missing.remove(frame.index)
            if not missing:
                return
