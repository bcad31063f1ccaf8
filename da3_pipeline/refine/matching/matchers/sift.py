"""SIFT with mutual nearest neighbours under the ratio test: the default, on any machine."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ....arrays import Bool, Bytes
from ...config import FeatureConfig, MatchConfig
from ..descriptors import match_descriptors
from ..features import Features, extract_features
from ..guided import Near
from .protocol import Size

__all__ = ["SiftMatcher"]


class SiftMatcher:
    """See `extract_features` and `match_descriptors`."""

    def __init__(self, features: FeatureConfig, matching: MatchConfig, device: torch.device) -> None:
        self._features, self._ratio, self._device = features, matching.ratio, device

    def detect(self, rgb: Bytes, used: Bool | None) -> Features:
        grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
        return extract_features(grey, self._features, used)

    def match(
        self, first: Features, second: Features, sizes: tuple[Size, Size], near: Near | None = None
    ) -> NDArray[np.int32]:
        return match_descriptors(first, second, self._ratio, self._device, near)
