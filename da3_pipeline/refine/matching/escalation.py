"""What is done for frames that hang on little: a closer look with SIFT first, then a learned matcher.

Both leave what holds together alone, and cost nothing where everything does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from ...arrays import Bool, Int
from ...progress import Progress
from ...types import Prediction
from ..config import FeatureConfig, RefineConfig
from .descriptors import matching_device
from .features import Features
from .matchers import Matcher, make_matcher
from .pairs import Pair, appearance_scores, blocks, propose, sources_of, weak_frames
from .two_views import all_features, checker, pair_seed
from .verification import PairMatches, verify_matches

__all__ = ["Escalation", "escalated", "left_weak", "looked_closer"]


@dataclass(frozen=True)
class Escalation:
    """That a learned matcher took part.

    matcher: what reports call it. own (N,): keypoints of each frame that are SIFT's; the others come after them.
    """

    matcher: str
    own: Int

    def by_sift(self, pair: PairMatches) -> Bool:
        """(M,) matches of a pair between keypoints of SIFT's."""
        return np.asarray((pair.matches < [self.own[pair.i], self.own[pair.j]]).all(axis=1))


def looked_closer(
    prediction: Prediction,
    features: tuple[Features, ...],
    pairs: list[PairMatches],
    config: RefineConfig,
    pool: Executor,
    progress: Progress,
) -> tuple[tuple[Features, ...], list[PairMatches]]:
    """With many more keypoints where frames hang on few matches, or are few, and their pairs with those most like them
    anew.

    What was matched stays: a pair is replaced where the closer look verifies more of it. Wide baselines leave few of
    any number of keypoints, so that how many are looked for decides what holds together.
    """
    plan, count = config.pairs, len(features)
    weak = weak_frames(count, pairs, plan.weak_matches) | (count <= plan.closer_up_to)
    if not (plan.weak_matches and weak.any()):
        return features, pairs
    appearance = appearance_scores(features, plan, matching_device(config.device), config.seed)
    linked = [(pair.i, pair.j) for pair in pairs if weak[[pair.i, pair.j]].any()]
    wanted = sorted({*linked, *propose([appearance], plan.closer_partners, weak, [])})
    many = config.features.max_features * config.features.closer_factor
    matcher = make_matcher(config.model_copy(update={"features": _with_most(config.features, many)}))
    found = _features_of(prediction, wanted, matcher, pool, progress)
    features = tuple(few.with_more(found[k]) if k in found else few for k, few in enumerate(features))
    best = {(pair.i, pair.j): pair for pair in pairs}
    for matched in pool.map(checker(prediction, features, matcher, config), wanted):
        if matched is not None and len(matched) > len(best.get((matched.i, matched.j), ())):
            best[matched.i, matched.j] = matched
    return features, list(best.values())


def left_weak(count: int, pairs: Sequence[PairMatches], config: RefineConfig) -> Bool:
    """(N,) frames that hang on little, or that at most one frame joins to the most of them."""
    least = config.pairs.weak_matches
    return weak_frames(count, pairs, least) | _apart(count, pairs, least) if least else np.zeros(count, bool)


def escalated(
    prediction: Prediction,
    features: tuple[Features, ...],
    pairs: Sequence[PairMatches],
    weak: Bool,
    named: tuple[str, Matcher],
    config: RefineConfig,
    pool: Executor,
    progress: Progress,
) -> tuple[tuple[Features, ...], list[PairMatches], Escalation]:
    """With the matches of a learned matcher, `named` for reports, of `weak` (N,) frames and across blocks.

    Weak frames are matched with those that each source of pairs finds nearest, and the frames that they are joined to
    with one another: a track of two frames would tell nothing of the distance to the others. A pair's learned matches
    must pass verification alone; SIFT's are kept beside them where one geometry explains both.
    """
    (label, matcher), count = named, len(features)
    joined: dict[Pair, PairMatches] = {}
    learned: dict[int, Features] = {}

    def match(wanted: Sequence[Pair]) -> None:
        learned.update(_features_of(prediction, wanted, matcher, pool, progress, learned))
        at_hand = [learned.get(k, Features.empty()) for k in range(count)]
        for number, matched in enumerate(pool.map(checker(prediction, at_hand, matcher, config), wanted), start=1):
            joined.update({} if matched is None else {(matched.i, matched.j): matched})
            progress.step(number, len(wanted), "weak pairs")

    first = _likely(prediction, features, pairs, weak, config)
    match(first)
    match(sorted(_among_partners(joined, weak, config.pairs.escalated_partners) - set(first)))
    own = np.array([len(found) for found in features], np.int64)
    ends = {frame for pair in joined for frame in pair}
    features = tuple(few.with_places(learned[k]) if k in ends else few for k, few in enumerate(features))
    best = {(pair.i, pair.j): pair for pair in pairs}
    merge = _merger(prediction, features, own, best, config)
    best |= {(pair.i, pair.j): pair for pair in pool.map(merge, joined.values())}
    return features, list(best.values()), Escalation(label, own)


def _apart(count: int, pairs: Sequence[PairMatches], least: int) -> Bool:
    """(N,) frames of a block, by pairs of `least` matches, that no two frames or more join to the largest one."""
    labels = blocks(count, _strong(pairs, least))
    sizes = np.bincount(labels)
    return (labels != sizes.argmax()) & (sizes[labels] > 1)


def _likely(
    prediction: Prediction,
    features: tuple[Features, ...],
    pairs: Sequence[PairMatches],
    weak: Bool,
    config: RefineConfig,
) -> list[Pair]:
    """Pairs of weak frames with the likeliest others, and of those of a block apart most like others' frames.

    Where many frames are weak each has fewer.
    """
    plan, count = config.pairs, len(features)
    matched = np.full((count, count), -np.inf)
    for pair in pairs:
        matched[pair.i, pair.j] = matched[pair.j, pair.i] = len(pair)
    sources = [*sources_of(prediction, features, config), matched]
    labels, across = blocks(count, _strong(pairs, plan.weak_matches)), np.zeros(count, bool)
    apart = _apart(count, pairs, plan.weak_matches) & ~weak
    for label in np.unique(labels[apart]).tolist():
        mine = labels == label
        likeness = np.where(mine & apart, sources[0][:, ~mine].max(axis=1, initial=-np.inf), -np.inf)
        across[np.argsort(-likeness, kind="stable")[: plan.escalated_partners]] = True
    wanted: list[Pair] = []
    for each in range(plan.escalated_partners, 0, -1):
        joining = propose(sources, each, across & apart, [], labels)
        wanted = sorted({*joining, *propose(sources, each, weak, [])})
        if len(wanted) <= plan.escalated_pairs:
            break
    return wanted


def _strong(pairs: Sequence[PairMatches], least: int) -> list[Pair]:
    return [(pair.i, pair.j) for pair in pairs if len(pair) >= least]


def _among_partners(joined: dict[Pair, PairMatches], weak: Bool, most: int) -> set[Pair]:
    """Pairs of the `most` frames that each weak frame shares most learned matches with."""
    partners: dict[int, list[tuple[int, int]]] = {}
    for (i, j), matched in joined.items():
        for frame, other in ((i, j), (j, i)):
            if weak[frame]:
                partners.setdefault(frame, []).append((-len(matched), other))
    return {
        pair
        for found in partners.values()
        for pair in combinations(sorted(other for _, other in sorted(found)[:most]), 2)
    }


def _merger(
    prediction: Prediction,
    features: tuple[Features, ...],
    own: Int,
    best: dict[Pair, PairMatches],
    config: RefineConfig,
) -> Callable[[PairMatches], PairMatches]:
    """What numbers a pair's learned matches after SIFT's keypoints, and joins them with SIFT's matches of the pair."""
    sizes = [(frame.width, frame.height) for frame in prediction.frames.frames]

    def merged(matched: PairMatches) -> PairMatches:
        pair = (matched.i, matched.j)
        numbered = replace(matched, matches=(matched.matches + own[list(pair)]).astype(np.int32))
        sift = best.get(pair)
        if sift is None:
            return numbered
        both = np.concatenate([sift.matches, numbered.matches])
        together = verify_matches(pair, features, sizes, both, config.verification, pair_seed(config, pair))
        return together if together is not None and len(together) > len(sift) else sift

    return merged


def _features_of(
    prediction: Prediction,
    pairs: Sequence[Pair],
    matcher: Matcher,
    pool: Executor,
    progress: Progress,
    known: Collection[int] = (),
) -> dict[int, Features]:
    """Features of the frames in any of the pairs, but of those that are known."""
    numbers = sorted({frame for pair in pairs for frame in pair} - set(known))
    frames = [prediction.frames.frames[number] for number in numbers]
    return dict(zip(numbers, all_features(frames, matcher, pool, progress), strict=True))


def _with_most(features: FeatureConfig, count: int) -> FeatureConfig:
    return features.model_copy(update={"max_features": count})
