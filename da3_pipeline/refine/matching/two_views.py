"""Keypoints of frames and verified matches of pairs, each by whichever matcher is handed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import numpy as np

from ...errors import RefinementError
from ...imageio import read_mask, read_rgb
from ...progress import Progress
from ...types import Frame, Prediction
from ..config import RefineConfig
from .features import Features
from .guided import Near, expected_xy
from .matchers import Matcher
from .pairs import Pair
from .verification import PairMatches, verify_matches

__all__ = ["all_features", "checker", "pair_seed"]


def all_features(frames: Sequence[Frame], matcher: Matcher, pool: Executor, progress: Progress) -> tuple[Features, ...]:
    """Features of each frame, in order. Raises RefinementError for a photograph that cannot be read any more."""
    features = []
    for found in pool.map(lambda frame: _features_of(frame, matcher), frames):
        features.append(found)
        progress.step(len(features), len(frames), "features")
    return tuple(features)


def checker(
    prediction: Prediction,
    features: Sequence[Features],
    matcher: Matcher,
    config: RefineConfig,
    radius: float | None = None,
) -> Callable[[Pair], PairMatches | None]:
    """What matches and verifies a pair; with `radius`, near where the prior expects its matches."""
    sizes = [(frame.width, frame.height) for frame in prediction.frames.frames]

    def check(pair: Pair) -> PairMatches | None:
        i, j = pair
        near = None
        if radius is not None:
            near = Near(expected_xy(prediction, i, j, features[i].xy), radius * max(sizes[j]))
        matches = matcher.match(features[i], features[j], (sizes[i], sizes[j]), near)
        return verify_matches(pair, features, sizes, matches, config.verification, pair_seed(config, pair))

    return check


def pair_seed(config: RefineConfig, pair: Pair) -> int:
    """Of what is drawn at random for a pair: the same whatever else is matched, and in which order."""
    return int(np.random.SeedSequence([config.seed, *pair]).generate_state(1)[0] >> 1)


def _features_of(frame: Frame, matcher: Matcher) -> Features:
    try:
        rgb = read_rgb(frame.path)
        used = None if frame.mask is None else read_mask(frame.mask, frame.width, frame.height)
    except OSError as error:
        raise RefinementError(f"{frame.name}: {frame.path} cannot be read any more ({error}); restore it") from error
    return matcher.detect(rgb, used)
