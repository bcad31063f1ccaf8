"""The container: which of its streams is the film, its packets and their times."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition

from ..arrays import Float

__all__ = ["UnreadableVideoError", "lacks_presentation_times", "opened", "packet_times", "packets", "unread_streams"]


class UnreadableVideoError(OSError):
    """A file from which no frame can be decoded. `reason` is one clause without the path."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.reason = reason


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container and the one of its video streams that is read."""
    try:
        container = av.open(str(path))
    except PermissionError as error:
        raise UnreadableVideoError(path, "permission denied") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = (
            "the file is empty"
            if path.exists() and path.stat().st_size == 0
            else f"not a readable video ({_why(error)})"
        )
        raise UnreadableVideoError(path, reason) from error
    with container:
        films = _films(container)
        if not films:
            covered = " beside its cover picture" if container.streams.video else ""
            raise UnreadableVideoError(path, f"it holds no video stream{covered}")
        readable = [stream for stream in films if stream.codec_context is not None]
        if not readable:
            raise UnreadableVideoError(path, "its codec cannot be decoded")
        yield container, readable[0]


def unread_streams(container: Any, read: Any) -> dict[int, str]:
    """The other video streams that are no cover pictures: what each is, by its index in the container."""
    return {stream.index: _described(stream) for stream in _films(container) if stream.index != read.index}


def _films(container: Any) -> list[Any]:
    """Video streams without cover pictures, first the one that FFmpeg holds for the best.

    FFmpeg goes by the default flag, then by frames and bit rate: so a preview or a depth map does not come first.
    """
    best = container.streams.best("video")
    films = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    return sorted(films, key=lambda stream: best is None or stream.index != best.index)


def _described(stream: Any) -> str:
    codec = stream.codec_context
    return "a codec that cannot be decoded" if codec is None else f"{codec.width} x {codec.height} px, {codec.name}"


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def packets(container: Any, stream: Any) -> Iterator[Any]:
    """Packets up to the end of the file or to where it can no longer be read."""
    try:
        yield from container.demux(stream)
    except (av.FFmpegError, OSError):
        return


def packet_times(container: Any, stream: Any) -> Float:
    """Increasing presentation times in seconds; packets are let go of as they pass."""
    timed = not lacks_presentation_times(container)
    ticks = []
    count = 0
    for packet in packets(container, stream):
        if packet.size and not packet.is_discard:
            count += 1
            if timed and packet.pts is not None:
                ticks.append(packet.pts)
    if ticks:
        return np.unique([float(tick * stream.time_base) for tick in ticks])
    return np.arange(count) / float(stream.average_rate or stream.guessed_rate or Fraction(25))


def lacks_presentation_times(container: Any) -> bool:
    """AVI stores packets in decoding order without times; FFmpeg's guesses are out of order with B-frames."""
    return "avi" in str(container.format.name).split(",")
