"""From photographs to a graph of geometrically verified matches, grown until it holds together."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch

from ...arrays import Bool, Float
from ...errors import RefinementError
from ...imageio import read_mask, read_rgb
from ...progress import Progress
from ...types import Frame, Prediction
from ..config import FeatureConfig, PairConfig, RefineConfig
from .descriptors import matching_device
from .features import Features
from .guided import Near, expected_xy
from .matchers import Matcher, make_matcher
from .pairs import (
    Pair,
    appearance_scores,
    components,
    link_scores,
    needy_frames,
    prior_is_useful,
    prior_scores,
    propose,
    sequence_scores,
    weak_frames,
)
from .verification import PairMatches, verify_matches

__all__ = ["Correspondences", "Features", "PairMatches", "find_correspondences", "find_where_expected"]

_MOST_THREADS = 8  # each holds the scale space of one image


@dataclass(frozen=True)
class Correspondences:
    """features: one per frame of the prediction, in its order. pairs: verified ones, sorted by (i, j)."""

    features: tuple[Features, ...]
    pairs: tuple[PairMatches, ...]

    def where(self, keep: Bool) -> Correspondences:
        """Those whose matches are kept, of all matches pair after pair; pairs without any vanish."""
        ends = np.cumsum([len(pair) for pair in self.pairs])
        parts = np.split(keep, ends[:-1]) if len(ends) else []
        kept = [replace(pair, matches=pair.matches[part]) for pair, part in zip(self.pairs, parts, strict=True)]
        return Correspondences(self.features, tuple(pair for pair in kept if len(pair)))


def find_correspondences(prediction: Prediction, config: RefineConfig, progress: Progress) -> Correspondences:
    """Features of every frame, and the verified matches of pairs whose number grows linearly with the frames.

    The prior only suggests pairs: what is verified, and how, does not depend on it. The result is the same for
    the same input, seed and libraries, whatever the number of threads.
    """
    threads = config.threads or min(_MOST_THREADS, os.cpu_count() or 1)
    with _one_thread_each(), ThreadPoolExecutor(threads) as pool:
        matcher = make_matcher(config)
        features = _all_features(prediction.frames.frames, matcher, pool, progress)
        pairs = _grow(prediction, features, matcher, config, pool, progress)
        features, pairs = _closer(prediction, features, pairs, config, pool, progress)
    return Correspondences(features, tuple(sorted(pairs, key=lambda matched: (matched.i, matched.j))))


def find_where_expected(
    prediction: Prediction, features: tuple[Features, ...], radius: float, config: RefineConfig, progress: Progress
) -> Correspondences:
    """Matches of features that are there already, each sought only where the prior expects it.

    radius: how far from there, as a share of the second image's longer side. Pairs are those near in the prior.
    """
    threads = config.threads or min(_MOST_THREADS, os.cpu_count() or 1)
    with _one_thread_each(), ThreadPoolExecutor(threads) as pool:
        pairs = _grow(prediction, features, make_matcher(config), config, pool, progress, radius)
    return Correspondences(features, tuple(sorted(pairs, key=lambda matched: (matched.i, matched.j))))


def _all_features(
    frames: Sequence[Frame], matcher: Matcher, pool: Executor, progress: Progress
) -> tuple[Features, ...]:
    features = []
    for found in pool.map(lambda frame: _features_of(frame, matcher), frames):
        features.append(found)
        progress.step(len(features), len(frames), "features")
    return tuple(features)


def _features_of(frame: Frame, matcher: Matcher) -> Features:
    try:
        rgb = read_rgb(frame.path)
        used = None if frame.mask is None else read_mask(frame.mask, frame.width, frame.height)
    except OSError as error:
        raise RefinementError(f"{frame.name}: {frame.path} cannot be read any more ({error}); restore it") from error
    return matcher.detect(rgb, used)


def _grow(
    prediction: Prediction,
    features: tuple[Features, ...],
    matcher: Matcher,
    config: RefineConfig,
    pool: Executor,
    progress: Progress,
    radius: float | None = None,
) -> list[PairMatches]:
    """Matches the likeliest pairs first, then more for frames that are left alone or have few partners."""
    frames, plan = prediction.frames.frames, config.pairs
    count = len(frames)
    check = _checker(prediction, features, matcher, config, radius)
    if radius is None:
        sources = _sources(prediction, features, config)
    else:
        sources = [_near_in_prior(prediction, plan), sequence_scores(frames, plan.sequence_reach)]
    batch = _first_batch(count, sources, plan)
    most = max(len(batch), count * plan.max_pairs_per_image)
    tried: list[Pair] = []
    verified: list[PairMatches] = []
    for _ in range(1 + plan.growth_rounds):
        for number, matched in enumerate(pool.map(check, batch), start=1):
            verified += [matched] if matched else []
            progress.step(len(tried) + number, len(tried) + len(batch), "pairs")
        tried += batch
        batch = _next_batch(count, sources, [(m.i, m.j) for m in verified], tried, plan)[: most - len(tried)]
        if not batch:
            break
    return verified


def _checker(
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
        seed = int(np.random.SeedSequence([config.seed, *pair]).generate_state(1)[0] >> 1)
        return verify_matches(pair, features, sizes, matches, config.verification, seed)

    return check


def _closer(
    prediction: Prediction,
    features: tuple[Features, ...],
    pairs: list[PairMatches],
    config: RefineConfig,
    pool: Executor,
    progress: Progress,
) -> tuple[tuple[Features, ...], list[PairMatches]]:
    """With many more keypoints where frames hang on few matches, and their pairs with the frames most like them anew.

    What was matched stays: a pair is replaced where the closer look verifies more of it. Wide baselines leave few of
    any number of keypoints, so that how many are looked for decides what holds together.
    """
    plan, count = config.pairs, len(features)
    weak = weak_frames(count, pairs, plan.weak_matches)
    if config.matcher != "sift" or not (plan.weak_matches and weak.any()):
        return features, pairs
    appearance = appearance_scores(features, plan, matching_device(config.device), config.seed)
    linked = [(pair.i, pair.j) for pair in pairs if weak[[pair.i, pair.j]].any()]
    wanted = sorted({*linked, *propose([appearance], plan.closer_partners, weak, [])})
    involved = np.zeros(count, bool)
    involved[np.array(wanted, np.int64).reshape(-1)] = True
    many = config.features.max_features * config.features.closer_factor
    matcher = make_matcher(config.model_copy(update={"features": _with_most(config.features, many)}))
    frames = [prediction.frames.frames[k] for k in np.flatnonzero(involved).tolist()]
    found = dict(zip(np.flatnonzero(involved).tolist(), _all_features(frames, matcher, pool, progress), strict=True))
    features = tuple(few.with_more(found[k]) if k in found else few for k, few in enumerate(features))
    best = {(pair.i, pair.j): pair for pair in pairs}
    for matched in pool.map(_checker(prediction, features, matcher, config), wanted):
        if matched is not None and len(matched) > len(best.get((matched.i, matched.j), ())):
            best[matched.i, matched.j] = matched
    return features, list(best.values())


def _with_most(features: FeatureConfig, count: int) -> FeatureConfig:
    return features.model_copy(update={"max_features": count})


def _sources(prediction: Prediction, features: tuple[Features, ...], config: RefineConfig) -> list[Float]:
    """Score matrices that propose pairs; the prior's only when it agrees with appearance."""
    plan = config.pairs
    appearance = appearance_scores(features, plan, matching_device(config.device), config.seed)
    prior = _near_in_prior(prediction, plan)
    sources = [appearance, sequence_scores(prediction.frames.frames, plan.sequence_reach)]
    return [*sources, prior] if prior_is_useful(prior, appearance, plan) else sources


def _near_in_prior(prediction: Prediction, plan: PairConfig) -> Float:
    return prior_scores(prediction.cam_from_world, plan.max_viewing_angle_deg)


def _first_batch(count: int, sources: Sequence[Float], plan: PairConfig) -> list[Pair]:
    if count <= plan.exhaustive_up_to:
        return [(i, j) for i in range(count) for j in range(i + 1, count)]
    return propose(sources, plan.neighbours, np.ones(count, bool), [])


def _next_batch(
    count: int, sources: Sequence[Float], verified: Sequence[Pair], tried: Sequence[Pair], plan: PairConfig
) -> list[Pair]:
    """Further pairs for the needy: frames apart from the largest component look across to other components first."""
    labels = components(count, verified)
    degree = np.bincount(np.array(verified, np.int64).ravel(), minlength=count)
    needy = needy_frames(labels, degree, plan.least_partners)
    if not needy.any():
        return []
    apart = labels != np.bincount(labels).argmax()
    joining = propose(sources, plan.neighbours, apart, tried, labels)
    return sorted(
        {*joining, *propose([*sources, link_scores(count, verified)], plan.neighbours, needy & ~apart, tried)}
    )


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Lets torch use one thread an operation while a pool keeps the processor busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
