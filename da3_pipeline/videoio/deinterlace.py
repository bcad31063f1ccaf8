"""Frames of interlaced video made whole: each from one moment, without the comb."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import av
from av.filter import Graph

__all__ = ["WholeFrame", "without_comb"]


@dataclass(frozen=True)
class WholeFrame:
    """A frame as it was decoded, or `deinterlaced`: from that one and its neighbours. pts, key_frame: of the former."""

    frame: av.VideoFrame
    pts: int | None
    deinterlaced: bool = False


def without_comb(frames: Iterable[av.VideoFrame]) -> Iterator[WholeFrame]:
    """One for one, in order; of those that are flagged as interlaced one field is kept and the other made anew."""
    weaver: _Deinterlacer | None = None
    for frame in frames:
        if weaver is not None and not weaver.takes(frame):
            yield from weaver.rest()
            weaver = None
        if weaver is None and not frame.interlaced_frame:
            yield WholeFrame(frame, frame.pts)
            continue
        weaver = weaver or _Deinterlacer(frame)
        yield from weaver.push(frame)
    if weaver is not None:
        yield from weaver.rest()


class _Deinterlacer:
    """FFmpeg's bwdif, which looks at the fields before and after: it holds a frame back until the next is there."""

    def __init__(self, like: av.VideoFrame) -> None:
        self._form = (like.width, like.height, like.format.name)
        self._held: deque[WholeFrame] = deque()
        self._graph = Graph()
        source = self._graph.add(
            "buffer",
            video_size=f"{like.width}x{like.height}",
            pix_fmt=like.format.name,
            time_base="1/1",
            colorspace=str(like.colorspace),
            range=str(like.color_range),
        )
        nodes = (source, self._graph.add("bwdif", mode="send_frame", deint="interlaced"), self._graph.add("buffersink"))
        self._graph.link_nodes(*nodes)
        self._graph.configure()

    def takes(self, frame: av.VideoFrame) -> bool:
        return (frame.width, frame.height, frame.format.name) == self._form

    def push(self, frame: av.VideoFrame) -> Iterator[WholeFrame]:
        self._held.append(WholeFrame(frame, frame.pts, frame.interlaced_frame))
        self._graph.vpush(frame)
        yield from self._finished()

    def rest(self) -> Iterator[WholeFrame]:
        """The frames that are still held back."""
        self._graph.vpush(None)
        yield from self._finished()
        yield from self._held  # nothing is lost should the filter keep a frame to itself

    def _finished(self) -> Iterator[WholeFrame]:
        while self._held:
            try:
                frame = self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            held = self._held.popleft()
            yield WholeFrame(frame, held.pts, True) if held.deinterlaced else held
