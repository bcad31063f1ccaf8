"""Where the prior sees sky: kept out of everything that becomes a point; and frames that show nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from scipy import ndimage

from ...arrays import Bool, read_entry
from ...types import Dropped, Prediction, Scene
from ..config import ExportConfig
from ..ignored import IgnoredPixels

__all__ = ["near_sky", "observed_in_sky", "sky_in_image", "sky_share", "without_bare_frames"]


_NEIGHBOURHOOD = np.ones((3, 3), bool)


def sky_in_image(prediction: Prediction, frame: int) -> Bool | None:
    """(height, width) of the original image, True where it shows sky; None where the prior saw none in it.

    The outline follows the depth map to its pixel, interpolated so that it has no steps. What the network did not
    see, because its view was cropped, counts as no sky.
    """
    if prediction.sky is None or not (sky := read_entry(prediction.sky, frame)).any():
        return None
    pixel_map = prediction.pixel_maps[frame]
    target = prediction.frames.frames[frame]
    scale, offset = np.array(pixel_map.scale), np.array(pixel_map.offset)
    # Indices are half a pixel from coordinates, on either side.
    into_map = np.column_stack([np.diag(1 / scale), (0.5 - offset) / scale - 0.5])
    share = cv2.warpAffine(
        sky.astype(np.float32),
        into_map,
        (target.width, target.height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    seen = np.zeros(share.shape, bool)
    height, width = sky.shape
    first, last = np.round(offset).astype(int), np.round(offset + scale * (width, height)).astype(int)
    seen[max(first[1], 0) : max(last[1], 0), max(first[0], 0) : max(last[0], 0)] = True
    return np.asarray((share > 0.5) & seen)


def near_sky(sky: Bool, margin: int) -> Bool:
    """(h, w) the sky of a depth map and a margin of so many pixels around it."""
    return np.asarray(ndimage.binary_dilation(sky, _NEIGHBOURHOOD, iterations=margin)) if margin else sky


def sky_share(prediction: Prediction, frames: Sequence[int]) -> float:
    """Mean share of sky in those frames; NaN where the prior does not say."""
    if prediction.sky is None or not len(frames):
        return float("nan")
    return float(np.mean([read_entry(prediction.sky, frame).mean() for frame in frames]))


def without_bare_frames(
    scene: Scene, frames: Sequence[int], ignored: IgnoredPixels, config: ExportConfig
) -> tuple[list[int], list[Dropped]]:
    """The frames that show something, and those that show nothing but sky, or what their masks ignore.

    A trainer learns nothing from the latter, and those that sample pixels stop at a mask that is black all over.
    """
    kept: list[int] = []
    dropped: list[Dropped] = []
    for frame in frames:
        reason = _why_bare(scene.prediction, frame, ignored, config.bare_share)
        if reason:
            dropped.append(Dropped(scene.frames[frame].name, reason))
        else:
            kept.append(frame)
    return kept, dropped


def _why_bare(prediction: Prediction, frame: int, ignored: IgnoredPixels, bare_share: float) -> str:
    if ignored.share.get(frame, 0) >= bare_share:
        return "its mask leaves nothing of it"
    if prediction.sky is None:
        return ""
    sky, masked = read_entry(prediction.sky, frame), ignored.masked(frame)
    if sky.mean() >= bare_share:
        return "it shows nothing but sky"
    both = masked is not None and (sky | masked).mean() >= bare_share
    return "it shows nothing but sky beside what its mask ignores" if both else ""


def observed_in_sky(scene: Scene) -> Bool:
    """(K,) whether an observation of the scene's tracks lies in the sky."""
    tracks, sky = scene.tracks, scene.prediction.sky
    inside = np.zeros(len(tracks.observation_frame), bool)
    if sky is None:
        return inside
    height, width = sky.shape[1:]
    by_frame = tracks.by_frame(len(scene.frames))
    for frame in by_frame.filled:
        mine = by_frame[frame]
        pixels = scene.prediction.pixel_maps[frame].to_network(tracks.observation_xy[mine])
        column, row = np.floor(pixels).astype(np.intp).T
        seen = (column >= 0) & (row >= 0) & (column < width) & (row < height)
        inside[mine[seen]] = read_entry(sky, frame)[row[seen], column[seen]]
    return inside
