"""SIFT keypoints and RootSIFT descriptors of one photograph (Lowe 2004; Arandjelovic and Zisserman 2012)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pycolmap
from numpy.typing import NDArray

from .config import FeatureConfig

__all__ = ["DESCRIPTOR_NORM", "Features", "extract_features"]

Image = NDArray[np.uint8]

DESCRIPTOR_NORM = 512.0  # RootSIFT is kept in bytes at this length

_SPARSE_PEAK = 0.25  # of the usual contrast threshold, where an image gives few keypoints
_GRID_CELLS = 12  # along the longer side: the budget is shared evenly between them


@dataclass(frozen=True)
class Features:
    """Keypoints of one image; K = 0 is legal.

    xy (K, 2) original pixels, corner origin. scale_px (K,) Gaussian scale in original pixels.
    descriptors (K, 128) uint8: RootSIFT at length DESCRIPTOR_NORM, up to rounding; dot products are exact in float32.
    """

    xy: NDArray[np.float32]
    scale_px: NDArray[np.float32]
    descriptors: NDArray[np.uint8]

    @classmethod
    def empty(cls) -> Features:
        return cls(np.zeros((0, 2), np.float32), np.zeros(0, np.float32), np.zeros((0, 128), np.uint8))

    def __len__(self) -> int:
        return len(self.xy)


def extract_features(grey: Image, config: FeatureConfig) -> Features:
    """Keypoints of a (H, W) grey image, spread over it, at most `config.max_features` of them.

    Larger images are reduced to `config.max_long_side_px` first; coordinates come back in the pixels of `grey`.
    """
    height, width = grey.shape
    if min(height, width) < 16:
        return Features.empty()
    reduction = min(1.0, config.max_long_side_px / max(height, width))
    working = grey
    if reduction < 1:
        size = (max(16, round(width * reduction)), max(16, round(height * reduction)))
        working = np.ascontiguousarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))
    keypoints, descriptors = _detect(working, config, peak=1.0)
    if len(keypoints) < config.max_features // 4:
        keypoints, descriptors = _detect(working, config, peak=_SPARSE_PEAK)
    if len(keypoints) == 0:
        return Features.empty()
    scale = np.array([width / working.shape[1], height / working.shape[0]], np.float32)
    kept = _spread(keypoints[:, :2], keypoints[:, 2], working.shape, config.max_features)
    xy, sigma = keypoints[kept, :2] * scale, keypoints[kept, 2] * np.sqrt(scale.prod())
    quantised = np.clip(np.rint(descriptors[kept] * DESCRIPTOR_NORM), 0, 255).astype(np.uint8)
    return Features(xy, sigma.astype(np.float32), quantised)


def _detect(grey: Image, config: FeatureConfig, peak: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Keypoints (K, 4) of x, y, sigma, orientation in pixels of `grey`, and unit RootSIFT descriptors (K, 128)."""
    options = pycolmap.FeatureExtractionOptions()
    options.use_gpu, options.num_threads = False, 1
    options.sift.first_octave = -1 if max(grey.shape) < config.upsample_below_px else 0
    options.sift.max_num_features = 4 * config.max_features
    options.sift.peak_threshold *= peak
    keypoints, descriptors = pycolmap.Sift(options, pycolmap.Device.cpu).extract(grey)
    return np.asarray(keypoints), np.asarray(descriptors)


def _spread(
    xy: NDArray[np.float32], strength: NDArray[np.float32], shape: tuple[int, ...], budget: int
) -> NDArray[np.intp]:
    """Indices of at most `budget` keypoints: round by round the strongest left in each cell of a grid."""
    cell_px = max(shape) / _GRID_CELLS
    cell = (xy[:, 1] // cell_px).astype(np.int64) * (_GRID_CELLS + 1) + (xy[:, 0] // cell_px).astype(np.int64)
    order = np.lexsort((-strength, cell))
    starts = np.flatnonzero(np.r_[True, np.diff(cell[order]) != 0])
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    chosen = np.lexsort((-strength[order], rank))[:budget]
    return np.sort(order[chosen])
