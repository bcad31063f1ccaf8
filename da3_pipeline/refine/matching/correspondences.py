"""From photographs to a graph of geometrically verified matches, grown until it holds together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch

from ...arrays import Bool, Float, Int
from ...progress import Progress
from ...types import Prediction
from ..config import PairConfig, RefineConfig
from .escalation import Escalation, escalated, looked_closer
from .features import Features
from .matchers import Matcher, make_matcher
from .pairs import (
    Pair,
    blocks,
    link_scores,
    near_in_prior,
    needy_frames,
    propose,
    sequence_scores,
    sources_of,
)
from .sweeps import thin_cuts
from .two_views import all_features, checker
from .verification import PairMatches

__all__ = ["Correspondences", "Features", "PairMatches", "escalate", "find_correspondences", "find_where_expected"]

_MOST_THREADS = 8  # each holds the scale space of one image


@dataclass(frozen=True)
class Correspondences:
    """features: one per frame of the prediction, in its order. pairs: verified ones, sorted by (i, j).

    escalation: of the learned matcher that took part beside SIFT; None where none did.
    """

    features: tuple[Features, ...]
    pairs: tuple[PairMatches, ...]
    escalation: Escalation | None = None

    def where(self, keep: Bool) -> Correspondences:
        """Those whose matches are kept, of all matches pair after pair; pairs without any vanish."""
        ends = np.cumsum([len(pair) for pair in self.pairs])
        parts = np.split(keep, ends[:-1]) if len(ends) else []
        kept = [replace(pair, matches=pair.matches[part]) for pair, part in zip(self.pairs, parts, strict=True)]
        return replace(self, pairs=tuple(pair for pair in kept if len(pair)))

    def among(self, frames: Int) -> Correspondences:
        """Those of these frames (K,), rising, alone, as if there were no others."""
        number = {frame: k for k, frame in enumerate(frames.tolist())}
        pairs = [pair for pair in self.pairs if pair.i in number and pair.j in number]
        escalation = self.escalation and replace(self.escalation, own=self.escalation.own[frames])
        return Correspondences(
            tuple(self.features[frame] for frame in number),
            tuple(replace(pair, i=number[pair.i], j=number[pair.j]) for pair in pairs),
            escalation,
        )


def find_correspondences(prediction: Prediction, config: RefineConfig, progress: Progress) -> Correspondences:
    """Features of every frame, and the verified matches of pairs whose number grows linearly with the frames.

    The prior only suggests pairs: what is verified, and how, does not depend on it. The result is the same for
    the same input, seed and libraries, whatever the number of threads.
    """
    threads = config.threads or min(_MOST_THREADS, os.cpu_count() or 1)
    with _one_thread_each(), ThreadPoolExecutor(threads) as pool:
        matcher = make_matcher(config)
        features = all_features(prediction.frames.frames, matcher, pool, progress)
        pairs = _grow(prediction, features, matcher, config, pool, progress)
        if config.matcher in ("auto", "sift"):
            features, pairs = looked_closer(prediction, features, pairs, config, pool, progress)
    return Correspondences(features, _sorted(pairs))


def find_where_expected(
    prediction: Prediction, features: tuple[Features, ...], radius: float, config: RefineConfig, progress: Progress
) -> Correspondences:
    """Matches of features that are there already, each sought only where the prior expects it.

    radius: how far from there, as a share of the second image's longer side. Pairs are those near in the prior.
    """
    threads = config.threads or min(_MOST_THREADS, os.cpu_count() or 1)
    with _one_thread_each(), ThreadPoolExecutor(threads) as pool:
        pairs = _grow(prediction, features, make_matcher(config), config, pool, progress, radius)
    return Correspondences(features, _sorted(pairs))


def escalate(
    prediction: Prediction,
    found: Correspondences,
    weak: Bool,
    named: tuple[str, Matcher],
    config: RefineConfig,
    progress: Progress,
) -> Correspondences:
    """What SIFT found, and what a learned matcher, `named` for reports, finds where frames are `weak` (N,)."""
    threads = config.threads or min(_MOST_THREADS, os.cpu_count() or 1)
    with _one_thread_each(), ThreadPoolExecutor(threads) as pool:
        features, pairs, how = escalated(prediction, found.features, found.pairs, weak, named, config, pool, progress)
    return Correspondences(features, _sorted(pairs), how)


def _sorted(pairs: Iterable[PairMatches]) -> tuple[PairMatches, ...]:
    return tuple(sorted(pairs, key=lambda matched: (matched.i, matched.j)))


def _grow(
    prediction: Prediction,
    features: tuple[Features, ...],
    matcher: Matcher,
    config: RefineConfig,
    pool: Executor,
    progress: Progress,
    radius: float | None = None,
) -> list[PairMatches]:
    """Matches the likeliest pairs first, then more for frames that are left alone and where the graph is thin."""
    frames, plan = prediction.frames.frames, config.pairs
    count = len(frames)
    check = checker(prediction, features, matcher, config, radius)
    if radius is None:
        sources = sources_of(prediction, features, config)
    else:
        sources = [near_in_prior(prediction, plan), sequence_scores(frames, plan.sequence_reach)]
    batch = _first_batch(count, sources, plan)
    most = max(len(batch), count * plan.max_pairs_per_image)
    tried: list[Pair] = []
    verified: list[PairMatches] = []
    for _ in range(1 + plan.growth_rounds):
        for number, matched in enumerate(pool.map(check, batch), start=1):
            verified += [matched] if matched else []
            progress.step(len(tried) + number, len(tried) + len(batch), "pairs")
        tried += batch
        batch = _next_batch(count, sources, verified, tried, plan)[: most - len(tried)]
        if not batch:
            break
    return verified


def _first_batch(count: int, sources: Sequence[Float], plan: PairConfig) -> list[Pair]:
    if count <= plan.exhaustive_up_to:
        return [(i, j) for i in range(count) for j in range(i + 1, count)]
    return propose(sources, plan.neighbours, np.ones(count, bool), [])


def _next_batch(
    count: int, sources: Sequence[Float], verified: Sequence[PairMatches], tried: Sequence[Pair], plan: PairConfig
) -> list[Pair]:
    """Further pairs for the needy, and across thin cuts.

    Frames apart from the largest block look across to other blocks first: what a single frame joins bends with the
    pose of that frame, however many partners those on either side have. So does what few matches join.
    """
    pairs = [(matched.i, matched.j) for matched in verified]
    labels = blocks(count, pairs)
    degree = np.bincount(np.array(pairs, np.int64).ravel(), minlength=count)
    needy = needy_frames(labels, degree, plan.least_partners)
    linked = [*sources, link_scores(count, pairs)]
    batch: set[Pair] = set()
    if needy.any():
        apart = labels != np.bincount(labels).argmax()
        batch |= {*propose(sources, plan.neighbours, apart, tried, labels)}
        batch |= {*propose(linked, plan.neighbours, needy & ~apart, tried)}
    for cut in thin_cuts(count, pairs, [len(matched) for matched in verified], plan):
        batch |= {*propose(linked, plan.neighbours, cut.beside, tried, cut.far)} | (cut.across() - {*tried})
    return sorted(batch)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Lets torch use one thread an operation while a pool keeps the processor busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
