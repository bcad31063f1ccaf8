"""Videos of Gaussians: rendered frame by frame, encoded as H.264 on the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from ..arrays import Bytes, Float
from ..errors import ExportError
from ..geometry import Camera
from ..progress import Progress
from .rendering import Picture, Renderer

__all__ = ["VideoStyle", "encode_video", "render_video"]

_ENCODERS = ("libx264", "libopenh264", "mpeg4")
_BT709 = 1
_LIMITED_RANGE = 1


@dataclass(frozen=True)
class VideoStyle:
    """background: colour behind the Gaussians. depth: whether depth in false colours stands to the right."""

    background: tuple[float, float, float] = (1.0, 1.0, 1.0)
    depth: bool = False
    fps: int = 24


def render_video(
    path: Path,
    renderer: Renderer,
    camera: Camera,
    poses: Float,
    progress: Progress,
    style: VideoStyle | None = None,
) -> None:
    """Write an mp4 of what `renderer` draws along (F, 3, 4) cam_from_world poses, through an undistorted camera.

    Raises ExportError where the file cannot be written, UsageError for a camera without focal length.
    """
    style = style or VideoStyle()
    encode_video(path, _frames(renderer, camera, poses, progress, style), style.fps)


def encode_video(path: Path, frames: Iterable[Bytes], fps: int = 24) -> None:
    """Encode (H, W, 3) RGB pictures of one size as H.264 in 4:2:0, playable everywhere; odd sizes lose a row or column.

    Raises ExportError for no frame at all, and where the file cannot be written.
    """
    remaining = iter(frames)
    first = next(remaining, None)
    if first is None:
        raise ExportError(f"{path}: a video needs at least one frame")
    height, width = first.shape[0] // 2 * 2, first.shape[1] // 2 * 2
    try:
        with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
            stream = _stream(container, width, height, fps)
            for picture in _chain(first, remaining):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), format="rgb24")
                container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace=_BT709)))
            container.mux(stream.encode())
    except (av.FFmpegError, OSError) as error:
        raise ExportError(
            f"{path}: the video cannot be written ({error}); free some space, or choose another"
        ) from error


def _chain(first: Bytes, rest: Iterator[Bytes]) -> Iterator[Bytes]:
    yield first
    yield from rest


def _stream(container: Any, width: int, height: int, fps: int) -> Any:
    """A stream of the first encoder that this build of FFmpeg has, tagged with the colours that are put into it."""
    encoder = next(name for name in _ENCODERS if name in av.codecs_available)
    stream = container.add_stream(encoder, rate=Fraction(fps))
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    context = stream.codec_context
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    context.color_range = _LIMITED_RANGE
    if encoder == "libx264":
        stream.options = {"crf": "20", "preset": "medium"}
    return stream


def _frames(renderer: Renderer, camera: Camera, poses: Float, progress: Progress, style: VideoStyle) -> Iterator[Bytes]:
    span: tuple[float, float] | None = None
    for index, pose in enumerate(poses):
        picture = renderer(camera, pose, style.background)
        frame = np.asarray(np.clip(picture.image * 255 + 0.5, 0, 255), np.uint8)
        if style.depth:
            span = span or _inverse_depth_span(picture)
            frame = np.concatenate([frame, _coloured_depth(picture, span)], axis=1)
        progress.step(index + 1, len(poses), "video frames")
        yield frame


def _inverse_depth_span(picture: Picture) -> tuple[float, float]:
    """Second and 98th percentile of the inverse depth of what is seen: the colours' ends in the whole video."""
    seen = picture.depth[picture.alpha > 0.5]
    if not len(seen):
        return 0.0, 1.0
    low, high = np.percentile(1 / np.maximum(seen, 1e-6), [2, 98])
    return float(low), float(max(high, low + 1e-9))


def _coloured_depth(picture: Picture, span: tuple[float, float]) -> Bytes:
    """(H, W, 3): near is red, far is blue, as opaque as the picture, over black."""
    inverse = 1 / np.maximum(picture.depth, 1e-6)
    level = np.clip((inverse - span[0]) / (span[1] - span[0]), 0, 1) * 255
    colours = cv2.applyColorMap(level.astype(np.uint8), cv2.COLORMAP_TURBO)[:, :, ::-1]
    return np.asarray(colours * picture.alpha[..., None], np.uint8)
