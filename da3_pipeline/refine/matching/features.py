"""SIFT keypoints and RootSIFT descriptors of one photograph (Lowe 2004; Arandjelovic and Zisserman 2012).

OpenCV's SIFT, because it searches the image at double size for about the processor time that COLMAP's takes at
single size (0.3 s for 1024x683; COLMAP's at double size 1.2 s). Measured on castle-P19: three times the keypoints
to choose from, and AUC@3 of the adjusted poses 98 instead of 93.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ...arrays import Bool, Bytes, Float, Float32, Int
from ..config import FeatureConfig

__all__ = ["DESCRIPTOR_NORM", "Features", "extract_features", "is_used"]


DESCRIPTOR_NORM = 512.0  # RootSIFT is kept in bytes at this length

_LEAST_SIDE_PX = 16


@dataclass(frozen=True)
class Features:
    """Keypoints of one image; K = 0 is legal.

    xy (K, 2) original pixels, corner origin. scale_px (K,) Gaussian scale in original pixels.
    descriptors (K, D) of length DESCRIPTOR_NORM: float32, or uint8 up to rounding (RootSIFT, D = 128), whose dot
    products are exact in float32.
    """

    xy: Float32
    scale_px: Float32
    descriptors: Bytes | Float32

    @classmethod
    def empty(cls) -> Features:
        return cls(np.zeros((0, 2), np.float32), np.zeros(0, np.float32), np.zeros((0, 128), np.uint8))

    def __len__(self) -> int:
        return len(self.xy)

    def with_more(self, others: Features) -> Features:
        """These, under their numbers, and after them those of the others that are not among them."""
        known = {row.tobytes() for row in self._rows()}
        new = np.array([row.tobytes() not in known for row in others._rows()], bool)
        return Features(
            np.concatenate([self.xy, others.xy[new]]),
            np.concatenate([self.scale_px, others.scale_px[new]]),
            np.concatenate([self.descriptors, others.descriptors[new]]),
        )

    def with_places(self, others: Features) -> Features:
        """These, and after them the places of another matcher's, whose descriptors mean nothing here.

        They get zeros, which are alike to all descriptors and so distinct from none: no match is made of them.
        """
        width = self.descriptors.shape[1]
        return Features(
            np.concatenate([self.xy, others.xy]),
            np.concatenate([self.scale_px, others.scale_px]),
            np.concatenate([self.descriptors, np.zeros((len(others), width), self.descriptors.dtype)]),
        )

    def _rows(self) -> Bytes:
        """(K, B) what tells keypoints apart: place, scale and descriptor."""
        parts = (self.xy, self.scale_px[:, None], self.descriptors)
        return np.hstack([np.ascontiguousarray(part).view(np.uint8) for part in parts])


def extract_features(grey: Bytes, config: FeatureConfig, used: Bool | None = None) -> Features:
    """Keypoints of a (H, W) grey image, spread over it, at most `config.max_features` of them.

    Larger images are reduced to `config.max_long_side_px` first; coordinates come back in the pixels of `grey`.
    None lies where `used` (H, W) is False, and the budget goes to the rest.
    """
    working = _reduced(grey, config.max_long_side_px)
    if min(working.shape) < _LEAST_SIDE_PX:
        return Features.empty()
    scale = np.array(grey.shape[::-1]) / np.array(working.shape[::-1])
    keypoints = _detect(working, scale, config, used)
    if not keypoints:
        return Features.empty()
    # Described after the choice: only then is the cost the same for every image.
    spread = [keypoints[k] for k in _spread(keypoints, working.shape, config)]
    chosen, descriptors = _detector(config.contrast).compute(working, spread)
    places = np.array([keypoint.pt for keypoint in chosen]) + 0.5  # OpenCV's origin is the centre of a pixel
    sigma = np.array([keypoint.size / 2 for keypoint in chosen]) * np.sqrt(scale.prod())
    return Features((places * scale).astype(np.float32), sigma.astype(np.float32), _root_sift(descriptors))


def is_used(xy: NDArray[np.floating], used: Bool | None) -> Bool:
    """(K,) whether places (K, 2), corner origin, lie on pixels that are `used` (H, W); all where there is no mask."""
    if used is None:
        return np.ones(len(xy), bool)
    height, width = used.shape
    column, row = np.clip(np.floor(xy).astype(np.int64), 0, [width - 1, height - 1]).T
    return used[row, column]


def _detect(working: Bytes, scale: Float, config: FeatureConfig, used: Bool | None) -> Sequence[cv2.KeyPoint]:
    """Keypoints that are `used`: those of contrast where there are enough, else the faint ones as well.

    One search finds both, and takes no longer for it: the scale space is what costs.
    """
    keypoints: Sequence[cv2.KeyPoint] = _detector(config.faint_contrast).detect(working)
    if used is not None and keypoints:
        inside = is_used((np.array([keypoint.pt for keypoint in keypoints]) + 0.5) * scale, used)
        keypoints = [keypoint for keypoint, keep in zip(keypoints, inside, strict=True) if keep]
    layers = _detector(config.contrast).getNOctaveLayers()
    clear = [keypoint for keypoint in keypoints if keypoint.response * layers >= config.contrast]
    return clear if len(clear) >= config.max_features else keypoints


def _reduced(grey: Bytes, long_side_px: int) -> Bytes:
    height, width = grey.shape
    reduction = long_side_px / max(height, width)
    if reduction >= 1:
        return grey
    size = (max(1, round(width * reduction)), max(1, round(height * reduction)))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def _detector(contrast: float) -> cv2.SIFT:
    # Without the precise upscale keypoints are a quarter of a pixel off.
    return cv2.SIFT.create(contrastThreshold=contrast, enable_precise_upscale=True)


def _root_sift(descriptors: Float32) -> Bytes:
    """(K, 128) square roots of the L1-normalised descriptors, at length DESCRIPTOR_NORM, in bytes."""
    total = np.maximum(descriptors.sum(1, keepdims=True), 1e-6)
    return np.minimum(np.rint(np.sqrt(descriptors / total) * DESCRIPTOR_NORM), 255).astype(np.uint8)


def _spread(keypoints: Sequence[cv2.KeyPoint], shape: tuple[int, ...], config: FeatureConfig) -> Int:
    """Indices of at most `max_features` keypoints: round by round the largest left in each cell of a grid."""
    places = np.array([keypoint.pt for keypoint in keypoints])
    size = np.array([keypoint.size for keypoint in keypoints])
    column, row = (places // (max(shape) / config.grid_cells)).astype(np.int64).T
    cell = row * (config.grid_cells + 1) + column
    order = np.lexsort((-size, cell))
    starts = np.flatnonzero(np.r_[True, np.diff(cell[order]) != 0])
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    chosen = np.lexsort((-size[order], rank))[: config.max_features]
    return np.sort(order[chosen])
