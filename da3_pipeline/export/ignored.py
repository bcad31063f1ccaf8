"""What is left out of the frames: what their masks ignore, and what undistorting crops away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from ..arrays import Bool, Float
from ..errors import ExportError
from ..geometry import PixelMap
from ..imageio import UnreadableImageError, read_mask
from ..types import Scene
from .undistortion import Undistortion

__all__ = ["IgnoredPixels", "PixelSet"]


_WORKERS = 4


class PixelSet:
    """Some pixels of an (h, w) map, in a bit each: there is one for every frame of a long capture."""

    def __init__(self, mask: Bool) -> None:
        self.shape: tuple[int, int] = (mask.shape[0], mask.shape[1])
        self._bits = np.packbits(mask)

    def mask(self) -> Bool:
        """(h, w), True for the pixels."""
        return np.unpackbits(self._bits, count=self.shape[0] * self.shape[1]).view(bool).reshape(self.shape)


class IgnoredPixels:
    """The pixels of a scene's frames that are not to be used, in original images and in depth maps.

    share: by frame, that of the image which its mask ignores, for frames of which it ignores any. cropped: by frame,
    (h, w) of its depth map, True for pixels outside of the undistorted image.
    """

    def __init__(self, scene: Scene, frames: Sequence[int], lenses: Mapping[str, Undistortion]) -> None:
        """Reads every mask once. Raises ExportError for a mask that cannot be read any more."""
        self._scene = scene
        self._lenses = lenses
        with_mask = [frame for frame in frames if scene.frames[frame].mask is not None]
        with ThreadPoolExecutor(_WORKERS) as workers:
            read = dict(zip(with_mask, workers.map(self._survey, with_mask), strict=True))
        self.share = {frame: survey[0] for frame, survey in read.items() if survey}
        self._masked = {frame: survey[1] for frame, survey in read.items() if survey}
        self.cropped = self._cropped(frames)

    def in_image(self, frame: int) -> Bool | None:
        """(height, width) of the original image, True where the frame's mask ignores it; None where none does."""
        target = self._scene.frames[frame]
        if target.mask is None:
            return None
        try:
            ignored = ~read_mask(target.mask, target.width, target.height)
        except UnreadableImageError as error:
            raise ExportError(f"{error}; put the mask back and run the same command again") from error
        return ignored if ignored.any() else None

    def at(self, frame: int, pixels: Float) -> tuple[Bool, Bool]:
        """For (n, 2) original pixels of a frame: which its mask ignores, and which are cropped away."""
        masked = np.zeros(len(pixels), bool)
        if (ignored := self.in_image(frame)) is not None and len(pixels):
            height, width = ignored.shape
            column, row = np.clip(pixels.astype(np.intp), 0, (width - 1, height - 1)).T
            masked = ignored[row, column]
        lens = self._lenses.get(self._scene.frames[frame].camera_id)
        return masked, np.zeros(len(pixels), bool) if lens is None else ~lens.shows(pixels)

    def masked(self, frame: int) -> Bool | None:
        """(h, w) of a frame's depth map, True for pixels that show anything that its mask ignores; None without any."""
        return self._masked[frame].mask() if frame in self._masked else None

    def in_depth_map(self, frame: int) -> Bool:
        """(h, w) of a frame's depth map, True for pixels that are masked or cropped away."""
        nothing, masked = np.zeros(self._scene.prediction.depth.shape[1:], bool), self.masked(frame)
        return (nothing if masked is None else masked) | self.cropped.get(frame, nothing)

    def _survey(self, frame: int) -> tuple[float, PixelSet] | None:
        ignored, prediction = self.in_image(frame), self._scene.prediction
        if ignored is None:
            return None
        touched = _touched(ignored, prediction.pixel_maps[frame], prediction.depth.shape[1:])
        return float(ignored.mean()), PixelSet(touched)

    def _cropped(self, frames: Sequence[int]) -> dict[int, Bool]:
        """Frames of one camera and pixel map, nearly all of them, share their array."""
        height, width = self._scene.prediction.depth.shape[1:]
        rows, columns = np.indices((height, width))
        centres = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float64) + 0.5
        known: dict[tuple[str, PixelMap], Bool] = {}
        cropped: dict[int, Bool] = {}
        for frame in frames:
            key = (self._scene.frames[frame].camera_id, self._scene.prediction.pixel_maps[frame])
            lens = self._lenses.get(key[0])
            if lens is None or lens.is_identity:
                continue
            if key not in known:
                known[key] = ~lens.shows(key[1].to_original(centres)).reshape(height, width)
            cropped[frame] = known[key]
        return cropped


def _touched(ignored: Bool, pixel_map: PixelMap, shape: tuple[int, ...]) -> Bool:
    """(h, w) of a depth map, True for pixels that cover any True one of (height, width) in the original image."""
    counts = cv2.integral(ignored.astype(np.uint8))
    bounds = []
    for axis, (size, limit) in enumerate(zip(shape[::-1], ignored.shape[::-1], strict=True)):
        edges = np.arange(size + 1) * pixel_map.scale[axis] + pixel_map.offset[axis]
        first = np.clip(np.floor(edges[:-1] + 1e-6), 0, limit).astype(np.intp)
        last = np.clip(np.ceil(edges[1:] - 1e-6), 0, limit).astype(np.intp)
        bounds.append((first, last))
    (left, right), (top, bottom) = bounds
    inside = counts[np.ix_(bottom, right)] - counts[np.ix_(top, right)]
    inside = inside - counts[np.ix_(bottom, left)] + counts[np.ix_(top, left)]
    return np.asarray(inside > 0)
