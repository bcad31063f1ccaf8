"""Video files in, upright frames out, one at a time; timestamps without decoding.

Frames are numbered in display order. Times are real presentation times, whatever the frame rate does.
PyAV speaks for FFmpeg; every way of failing is an `UnreadableVideoError`, an OSError with a `reason`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from .arrays import Bytes, Float

__all__ = ["DecodedFrame", "UnreadableVideoError", "VideoInfo", "decode_frames", "probe_video"]

_UNSPECIFIED_COLORSPACE = 2
_BT709 = 1


class UnreadableVideoError(OSError):
    """A file from which no frame can be decoded. `reason` is one clause without the path."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class VideoInfo:
    """`width` and `height` of the upright frame in square pixels; `rotation_deg` counter-clockwise, from the container.

    times_s (F,) presentation times on the container's clock, strictly increasing. `metadata` of container and stream.
    """

    width: int
    height: int
    rotation_deg: int
    times_s: Float
    metadata: dict[str, str]


@dataclass(frozen=True)
class DecodedFrame:
    """A decoded frame, not yet converted. `index` counts in display order, into `VideoInfo.times_s`.

    `width` and `height` are those of the upright frame in square pixels.
    """

    index: int
    frame: av.VideoFrame
    width: int
    height: int
    rotation_deg: int

    def rgb(self) -> Bytes:
        """(H, W, 3) upright uint8 RGB."""
        return self._converted(1.0, "rgb24")

    def grey(self, max_side_px: int) -> Bytes:
        """(h, w) upright luma, the longer side at most `max_side_px`."""
        return self._converted(min(1.0, max_side_px / max(self.width, self.height)), "gray")

    def _converted(self, scale: float, pixel_format: str) -> Bytes:
        colorspace = None
        if self.frame.colorspace == _UNSPECIFIED_COLORSPACE and self.frame.height >= 720:
            colorspace = _BT709  # high-definition video that does not say is BT.709; swscale would take BT.601
        width, height = max(2, round(self.width * scale)), max(2, round(self.height * scale))
        if self.rotation_deg in (90, 270):
            width, height = height, width
        converted = self.frame.reformat(
            width, height, pixel_format, src_colorspace=colorspace, interpolation="AREA" if scale < 1 else "BICUBIC"
        )
        return np.ascontiguousarray(np.rot90(converted.to_ndarray(), self.rotation_deg // 90))


def probe_video(path: Path) -> VideoInfo:
    """Size, rotation and every presentation time, by reading the packets and decoding one frame.

    Truncated files give the frames that are there. Raises UnreadableVideoError where no frame can be decoded.
    """
    with _opened(path) as (container, stream):
        metadata = {**stream.metadata, **container.metadata}
        times_s = _packet_times(container, stream)
    first = next(decode_frames(path, times_s), None)
    if first is None:
        raise UnreadableVideoError(path, "no frame of it can be decoded")
    return VideoInfo(first.width, first.height, first.rotation_deg, times_s, metadata)


def decode_frames(path: Path, times_s: Float) -> Iterator[DecodedFrame]:
    """The frames of a video in display order, decoded one after another; `times_s` as `probe_video` gives them.

    A damaged packet costs the frames up to the next key frame; the end of a truncated file is simply missing.
    Raises UnreadableVideoError when the file cannot be opened.
    """
    with _opened(path) as (container, stream):
        stream.thread_type = "AUTO"
        counted = _lacks_presentation_times(container)
        last = -1
        for count, frame in enumerate(_intact_frames(container, stream)):
            index = count if counted or frame.pts is None else _nearest(times_s, float(frame.pts * stream.time_base))
            if last < index < len(times_s):
                last = index
                yield _decoded(index, frame, stream.sample_aspect_ratio)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container and its first video stream that is not a cover picture."""
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
        streams = [stream for stream in container.streams.video if "attached_pic" not in _disposition(stream)]
        if not streams:
            raise UnreadableVideoError(path, "it holds no video stream")
        if streams[0].codec_context is None:
            raise UnreadableVideoError(path, "its codec cannot be decoded")
        yield container, streams[0]


def _disposition(stream: Any) -> str:
    return str(getattr(stream, "disposition", ""))


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """Packets up to the end of the file or to where it can no longer be read."""
    try:
        yield from container.demux(stream)
    except (av.FFmpegError, OSError):
        return


def _intact_frames(container: Any, stream: Any) -> Iterator[av.VideoFrame]:
    """Decoded frames; after a damaged packet nothing is trusted before the next key frame."""
    broken = False
    for packet in _packets(container, stream):
        try:
            frames = packet.decode()
        except (av.FFmpegError, OSError):
            broken = True
            continue
        for frame in frames:
            broken = frame.is_corrupt or (broken and not frame.key_frame)
            if not broken:
                yield frame


def _packet_times(container: Any, stream: Any) -> Float:
    """Increasing presentation times in seconds; packets are let go of as they pass."""
    timed = not _lacks_presentation_times(container)
    ticks = []
    count = 0
    for packet in _packets(container, stream):
        if packet.size and not packet.is_discard:
            count += 1
            if timed and packet.pts is not None:
                ticks.append(packet.pts)
    if ticks:
        return np.unique([float(tick * stream.time_base) for tick in ticks])
    return np.arange(count) / float(stream.average_rate or stream.guessed_rate or Fraction(25))


def _lacks_presentation_times(container: Any) -> bool:
    """AVI stores packets in decoding order without times; FFmpeg's guesses are out of order with B-frames."""
    return "avi" in str(container.format.name).split(",")


def _nearest(times_s: Float, time_s: float) -> int:
    right = int(np.searchsorted(times_s, time_s))
    if right == 0:
        return 0
    if right == len(times_s) or time_s - times_s[right - 1] <= times_s[right] - time_s:
        return right - 1
    return right


def _decoded(index: int, frame: av.VideoFrame, aspect: Fraction | None) -> DecodedFrame:
    """With quarter turns as the container's display matrix asks, and anamorphic pixels widened as players do."""
    rotation_deg = round(frame.rotation / 90) * 90 % 360
    width, height = round(frame.width * float(aspect or 1)), frame.height
    if rotation_deg in (90, 270):
        width, height = height, width
    return DecodedFrame(index, frame, width, height, rotation_deg)
