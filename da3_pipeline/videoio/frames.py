"""Frames of video files, decoded one after another and converted when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from ..arrays import Bytes, Float
from .container import UnreadableVideoError, lacks_presentation_times, opened, packet_times, packets, unread_streams
from .deinterlace import WholeFrame, without_comb
from .display import Display, display_of
from .spherical import Spherical, spherical_of
from .tone_mapping import ToneMapper, hdr_kind

__all__ = ["DecodedFrame", "VideoInfo", "decode_frames", "probe_video"]

_UNSPECIFIED_COLORSPACE = 2
_BT709 = 1
_SAME_SHAPE = 0.01  # of the ratio of the sides: codecs want even sizes


@dataclass(frozen=True)
class VideoInfo:
    """`width` and `height` of the upright frame in square pixels, of the first one.

    rotation_deg: counter-clockwise, from the container, after left and right were swapped if it is `mirrored`.
    times_s (F,) presentation times on the container's clock, strictly increasing. `metadata` of container and stream.
    hdr: 'HLG' or 'PQ'. spherical: what the file says of video that shows all around. unread: what the other video
    streams are, by their number in the file.
    """

    width: int
    height: int
    rotation_deg: int
    times_s: Float
    metadata: dict[str, str]
    mirrored: bool = False
    hdr: str | None = None
    interlaced: bool = False
    spherical: Spherical | None = None
    unread: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DecodedFrame:
    """A decoded frame, not yet converted. `index` counts in display order, into `VideoInfo.times_s`.

    `width` and `height` are those of the upright frame in square pixels, to which it is converted.
    """

    index: int
    frame: av.VideoFrame
    width: int
    height: int
    display: Display
    deinterlaced: bool
    tones: ToneMapper

    def rgb(self) -> Bytes:
        """(H, W, 3) upright uint8 RGB, SDR."""
        return self._converted(1.0, "rgb24")

    def grey(self, max_side_px: int) -> Bytes:
        """(h, w) upright luma, the longer side at most `max_side_px`."""
        return self._converted(min(1.0, max_side_px / max(self.width, self.height)), "gray")

    def fitted(self, width: int, height: int) -> DecodedFrame:
        """The frame to be converted to another size of the same shape; as it is where its shape is another."""
        if abs(self.width * height / (self.height * width) - 1) > _SAME_SHAPE:
            return self
        return replace(self, width=width, height=height)

    def _converted(self, scale: float, pixel_format: str) -> Bytes:
        width, height = max(2, round(self.width * scale)), max(2, round(self.height * scale))
        if self.display.sideways:
            width, height = height, width
        smaller = scale < 1 or width * height < self.frame.width * self.frame.height
        interpolation = "AREA" if smaller else "BICUBIC"
        if hdr_kind(self.frame):
            frame = self.tones.sdr(self.frame, width, height, interpolation.lower())
            return self.display.upright(frame.reformat(format=pixel_format).to_ndarray())
        colorspace = None
        if self.frame.colorspace == _UNSPECIFIED_COLORSPACE and self.frame.height >= 720:
            colorspace = _BT709  # high-definition video that does not say is BT.709; swscale would take BT.601
        frame = self.frame.reformat(width, height, pixel_format, src_colorspace=colorspace, interpolation=interpolation)
        return self.display.upright(frame.to_ndarray())


def probe_video(path: Path) -> VideoInfo:
    """Size, rotation and every presentation time, by reading the packets and decoding one frame.

    Truncated files give the frames that are there. Raises UnreadableVideoError where no frame can be decoded.
    """
    with opened(path) as (container, stream):
        metadata = {**stream.metadata, **container.metadata}
        unread = unread_streams(container, stream)
        times_s = packet_times(container, stream)
    first = next(decode_frames(path, times_s), None)
    if first is None:
        raise UnreadableVideoError(path, "no frame of it can be decoded")
    return VideoInfo(
        first.width,
        first.height,
        first.display.rotation_deg,
        times_s,
        metadata,
        mirrored=first.display.mirrored,
        hdr=hdr_kind(first.frame),
        interlaced=first.deinterlaced,
        spherical=spherical_of(first.frame),
        unread=unread,
    )


def decode_frames(path: Path, times_s: Float) -> Iterator[DecodedFrame]:
    """The frames of a video in display order, decoded one after another; `times_s` as `probe_video` gives them.

    A damaged packet costs the frames up to the next key frame; the end of a truncated file is simply missing.
    Raises UnreadableVideoError when the file cannot be opened.
    """
    with opened(path) as (container, stream):
        stream.thread_type = "AUTO"
        counted = lacks_presentation_times(container)
        tones, last = ToneMapper(), -1
        for count, whole in enumerate(without_comb(_intact_frames(container, stream))):
            pts = whole.pts
            index = count if counted or pts is None else _nearest(times_s, float(pts * stream.time_base))
            if last < index < len(times_s):
                last = index
                yield _decoded(index, whole, stream.sample_aspect_ratio, tones)


def _intact_frames(container: Any, stream: Any) -> Iterator[av.VideoFrame]:
    """Decoded frames; after a damaged packet nothing is trusted before the next key frame."""
    broken = False
    for packet in packets(container, stream):
        try:
            frames = packet.decode()
        except (av.FFmpegError, OSError):
            broken = True
            continue
        for frame in frames:
            broken = frame.is_corrupt or (broken and not frame.key_frame)
            if not broken:
                yield frame


def _nearest(times_s: Float, time_s: float) -> int:
    right = int(np.searchsorted(times_s, time_s))
    if right == 0:
        return 0
    if right == len(times_s) or time_s - times_s[right - 1] <= times_s[right] - time_s:
        return right - 1
    return right


def _decoded(index: int, whole: WholeFrame, aspect: Fraction | None, tones: ToneMapper) -> DecodedFrame:
    """Turned and mirrored as the container's display matrix asks, anamorphic pixels widened as players do."""
    frame, display = whole.frame, display_of(whole.frame)
    width, height = round(frame.width * float(aspect or 1)), frame.height
    if display.sideways:
        width, height = height, width
    return DecodedFrame(index, frame, width, height, display, whole.deinterlaced, tones)
