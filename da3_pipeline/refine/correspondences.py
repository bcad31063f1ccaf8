"""From photographs to a graph of geometrically verified matches."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from ..imageio import read_rgb
from ..progress import Progress
from ..types import Frame, Prediction
from .config import FeatureConfig, RefineConfig
from .features import Features, extract_features
from .matching import match_descriptors, matching_device
from .pairs import Pair, appearance_scores, prior_scores, sequence_scores
from .verification import PairMatches, verify_matches

__all__ = ["Correspondences", "Features", "PairMatches", "find_correspondences"]


@dataclass(frozen=True)
class Correspondences:
    """features: one per frame of the prediction, in its order. pairs: verified ones, sorted by (i, j)."""

    features: tuple[Features, ...]
    pairs: tuple[PairMatches, ...]


def find_correspondences(prediction: Prediction, config: RefineConfig, progress: Progress) -> Correspondences:
    """Features of every frame and the verified matches of a number of pairs that grows linearly with the frames."""
    frames = prediction.frames.frames
    threads = config.threads or os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        features = []
        for feature in pool.map(lambda frame: _read_features(frame, config.features), frames):
            features.append(feature)
            progress.step(len(features), len(frames), "features")
        n = len(frames)
        device = matching_device(config.device)
        if n <= config.pairs.exhaustive_up_to:
            pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
        else:
            chosen: set[Pair] = set()
            for scores in (
                prior_scores(prediction.cam_from_world, config.pairs.max_viewing_angle_deg),
                sequence_scores(frames, 2),
                appearance_scores(features, device),
            ):
                for i in range(n):
                    best = np.argsort(-scores[i], kind="stable")[: config.pairs.neighbours]
                    chosen |= {(min(i, int(j)), max(i, int(j))) for j in best if np.isfinite(scores[i, j])}
            pairs = sorted(chosen)
        sizes = [(frame.width, frame.height) for frame in frames]

        def check(pair: Pair) -> PairMatches | None:
            matches = match_descriptors(features[pair[0]], features[pair[1]], config.matching.ratio, device)
            return verify_matches(pair, features, sizes, matches, config.verification, config.seed)

        verified = [m for m in pool.map(check, pairs) if m is not None]
    return Correspondences(tuple(features), tuple(verified))


def _read_features(frame: Frame, config: FeatureConfig) -> Features:
    return extract_features(cv2.cvtColor(read_rgb(frame.path), cv2.COLOR_RGB2GRAY), config)
