"""Which pairs of frames are worth matching: alike in appearance, near in time, near in the prior, linked by others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

from ...arrays import Bool, Float, Float32, Int
from ...geometry import centres
from ...types import Frame, Prediction
from ..config import PairConfig, RefineConfig
from .descriptors import matching_device
from .features import DESCRIPTOR_NORM, Features
from .verification import PairMatches

__all__ = [
    "Pair",
    "appearance_scores",
    "blocks",
    "components",
    "link_scores",
    "near_in_prior",
    "needy_frames",
    "prior_is_useful",
    "prior_scores",
    "propose",
    "sequence_scores",
    "sources_of",
    "weak_frames",
]

Pair = tuple[int, int]

_LLOYD_ROUNDS = 8  # of k-means: the words need not be final, only spread over the descriptors


def appearance_scores(features: Sequence[Features], plan: PairConfig, device: torch.device, seed: int) -> Float:
    """(N, N) mutual matches of the largest keypoints of two frames; -inf where not compared.

    Preemptive matching (Wu 2013): it foretells the verified matches better than global descriptors do.
    """
    count = len(features)
    probes = np.zeros((count, plan.probes, _dimension(features)), np.float32)
    for k, feature in enumerate(features):
        largest = np.argsort(-feature.scale_px, kind="stable")[: plan.probes]
        if len(largest):
            probes[k, : len(largest)] = feature.descriptors[largest]
    bank = torch.from_numpy(probes).to(device)
    everything = count <= plan.compare_all_up_to
    compare = np.triu(np.ones((count, count), bool) if everything else _shortlist(features, plan, seed), 1)
    scores = np.full((count, count), -np.inf)
    for i in range(count - 1):
        others = np.flatnonzero(compare[i])
        if len(others):
            scores[i, others] = scores[others, i] = _mutual_counts(bank[i], bank[others], plan.probe_ratio)
    return scores


def sources_of(prediction: Prediction, features: Sequence[Features], config: RefineConfig) -> list[Float]:
    """(N, N) scores that propose pairs: appearance, capture order, and the prior where it agrees with appearance."""
    plan = config.pairs
    appearance = appearance_scores(features, plan, matching_device(config.device), config.seed)
    prior = near_in_prior(prediction, plan)
    sources = [appearance, sequence_scores(prediction.frames.frames, plan.sequence_reach)]
    return [*sources, prior] if prior_is_useful(prior, appearance, plan) else sources


def near_in_prior(prediction: Prediction, plan: PairConfig) -> Float:
    """(N, N) `prior_scores` of the prediction's own poses."""
    return prior_scores(prediction.cam_from_world, plan.max_viewing_angle_deg)


def prior_scores(cam_from_world: Float, max_viewing_angle_deg: float) -> Float:
    """(N, N) nearness of camera centres: greater is nearer, -inf where viewing directions part too far."""
    centre = centres(cam_from_world)
    axis = cam_from_world[:, 2, :3]
    scores = -cdist(centre, centre)
    scores[axis @ axis.T <= np.cos(np.radians(max_viewing_angle_deg))] = -np.inf
    np.fill_diagonal(scores, -np.inf)
    return scores


def sequence_scores(frames: Sequence[Frame], reach: int) -> Float:
    """(N, N) nearness in capture order, within one video or among photographs; -inf beyond `reach` places."""
    scores = np.full((len(frames), len(frames)), -np.inf)
    source = np.array([frame.video or "" for frame in frames])
    for gap in range(1, min(reach, len(frames) - 1) + 1):
        early = np.flatnonzero(source[:-gap] == source[gap:])
        scores[early, early + gap] = scores[early + gap, early] = -gap
    return scores


def link_scores(count: int, verified: Iterable[Pair]) -> Float:
    """(N, N) number of frames that match both; -inf where none does."""
    ends = np.array(sorted(verified), np.int64).reshape(-1, 2)
    both = np.concatenate([ends, ends[:, ::-1]])
    linked = csr_matrix((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(count, count))
    shared = (linked @ linked).tocoo()
    scores = np.full((count, count), -np.inf)
    scores[shared.row, shared.col] = shared.data
    np.fill_diagonal(scores, -np.inf)
    return scores


def prior_is_useful(prior: Float, appearance: Float, plan: PairConfig) -> bool:
    """Whether frames that are near in the prior look more alike than frames at large, beyond chance.

    A prior of identical or random poses fails this, and costs no matching.
    """
    near = propose([prior], plan.neighbours, np.ones(len(prior), bool), set())
    alike = [appearance[pair] for pair in near if np.isfinite(appearance[pair])]
    if not alike:
        return False
    at_large = appearance[np.isfinite(appearance)]
    standard_error = at_large.std() / np.sqrt(len(alike))
    return bool(np.mean(alike) > at_large.mean() + plan.useful_sigmas * standard_error)


def propose(
    sources: Iterable[Float], each: int, wanted: Bool, tried: Collection[Pair], labels: Int | Bool | None = None
) -> list[Pair]:
    """For every `wanted` frame and source of (N, N) scores, the `each` best finite pairs not yet tried; sorted.

    With `labels` (N,) only pairs of frames whose labels differ.
    """
    untried = np.ones((len(wanted), len(wanted)), bool)
    for i, j in tried:
        untried[i, j] = untried[j, i] = False
    chosen: set[Pair] = set()
    for scores in sources:
        for frame in np.flatnonzero(wanted).tolist():
            possible = untried[frame] if labels is None else untried[frame] & (labels != labels[frame])
            row = np.where(possible, scores[frame], -np.inf)
            best = np.argsort(-row, kind="stable")[:each]
            chosen |= {(min(frame, j), max(frame, j)) for j in best[np.isfinite(row[best])].tolist()}
    return sorted(chosen)


def components(count: int, pairs: Sequence[Pair]) -> Int:
    """(count,) label of each frame's connected component."""
    ends = np.array(pairs, np.int64).reshape(-1, 2)
    graph = csr_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def blocks(count: int, pairs: Sequence[Pair]) -> Int:
    """(count,) label of each frame's block: frames that stay joined whichever single one of the others is taken away.

    A frame that joins several blocks is in the one of most frames. Frames that hang on a single frame are a block of
    their own; the search in depth is Hopcroft and Tarjan's (1973), linear in the pairs.
    """
    neighbours: list[list[int]] = [[] for _ in range(count)]
    for i, j in pairs:
        neighbours[i].append(j)
        neighbours[j].append(i)
    entered, lowest = np.full(count, -1), np.full(count, -1)
    found: list[list[int]] = []
    clock = 0
    for root in range(count):
        if entered[root] >= 0:
            continue
        entered[root] = lowest[root] = clock
        clock += 1
        path, trail, place = [(root, iter(neighbours[root]))], [root], {root: 0}
        while path:
            frame, rest = path[-1]
            other = next(rest, None)
            if other is None:
                path.pop()
                if not path:
                    continue
                parent = path[-1][0]
                lowest[parent] = min(lowest[parent], lowest[frame])
                if lowest[frame] >= entered[parent]:
                    found.append([parent, *trail[place[frame] :]])
                    del trail[place[frame] :]
            elif entered[other] < 0:
                entered[other] = lowest[other] = clock
                clock += 1
                path.append((other, iter(neighbours[other])))
                place[other] = len(trail)
                trail.append(other)
            else:
                lowest[frame] = min(lowest[frame], entered[other])
    labels = np.arange(len(found), len(found) + count)
    for number, members in sorted(enumerate(found), key=lambda block: len(block[1])):
        labels[members] = number
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def needy_frames(labels: Int, degree: Int, least_degree: int) -> Bool:
    """(N,) frames outside the largest block, or with fewer than `least_degree` verified partners."""
    return (labels != np.bincount(labels).argmax()) | (degree < least_degree)


def weak_frames(count: int, pairs: Sequence[PairMatches], least: int) -> Bool:
    """(N,) frames that no two others share `least` matches with: they hang on one frame, or on little."""
    ends = np.array([(pair.i, pair.j) for pair in pairs], np.int64).reshape(-1, 2)
    strong = np.array([len(pair) >= least for pair in pairs], bool)
    return np.bincount(ends[strong].ravel(), minlength=count) < 2


def _mutual_counts(probe: torch.Tensor, others: torch.Tensor, ratio: float) -> Float:
    """(M,) mutual nearest neighbours that pass the ratio test between (P, D) and each of (M, P, D)."""
    similarity = (others.reshape(-1, others.shape[-1]) @ probe.T).reshape(len(others), -1, len(probe))
    top, index = similarity.topk(2, dim=2)
    distance = 2 * (DESCRIPTOR_NORM**2 - top)
    mutual = top[:, :, 0] == torch.gather(similarity.amax(1), 1, index[:, :, 0])
    distinct = distance[:, :, 0] < ratio**2 * distance[:, :, 1]
    return (mutual & distinct & (top[:, :, 0] > 0)).sum(1).double().cpu().numpy()


def _shortlist(features: Sequence[Features], plan: PairConfig, seed: int) -> Bool:
    """(N, N) symmetric: pairs in which one is on the other's shortlist, most similar by VLAD (Jegou et al. 2010)."""
    words = _vocabulary(features, plan, seed)
    vectors = np.stack([_vlad(feature, words) for feature in features])
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    kept = min(plan.shortlist, len(features) - 1)
    nearest = np.argpartition(-similarity, kept, axis=1)[:, :kept]
    chosen = np.zeros(similarity.shape, bool)
    np.put_along_axis(chosen, nearest, True, axis=1)
    return chosen | chosen.T


def _vocabulary(features: Sequence[Features], plan: PairConfig, seed: int) -> Float32:
    """(W, D) k-means of the capture's own descriptors; the same for the same capture and seed."""
    rng = np.random.default_rng(seed)
    count, each = plan.vlad_words, max(1, plan.vlad_samples // len(features))
    drawn = [f.descriptors[rng.permutation(len(f))[:each]] for f in features]
    sample = np.concatenate([part for part in drawn if len(part)] or [np.zeros((0, 128), np.float32)]).astype(
        np.float32
    )
    if len(sample) < count:
        return np.zeros((count, _dimension(features)), np.float32)
    words = sample[rng.permutation(len(sample))[:count]]
    for _ in range(_LLOYD_ROUNDS):
        word = _nearest_word(sample, words)
        members = np.bincount(word, minlength=count)
        sums = np.zeros_like(words)
        np.add.at(sums, word, sample)
        words = np.where(members[:, None] > 0, sums / np.maximum(members, 1)[:, None], words).astype(np.float32)
    return words


def _dimension(features: Sequence[Features]) -> int:
    """Of the descriptors; those of images without keypoints do not count."""
    return next((feature.descriptors.shape[1] for feature in features if len(feature)), 128)


def _vlad(feature: Features, words: Float32) -> Float32:
    """(W * D,) unit vector: residuals to the nearest word, summed and normalised by word."""
    if not len(feature):
        return np.zeros(words.size, np.float32)
    values = feature.descriptors.astype(np.float32)
    word = _nearest_word(values, words)
    residual = np.zeros_like(words)
    np.add.at(residual, word, values - words[word])
    residual /= np.linalg.norm(residual, axis=1, keepdims=True) + 1e-6
    return residual.ravel() / (np.linalg.norm(residual) + 1e-6)


def _nearest_word(values: Float32, words: Float32) -> Int:
    return (values @ words.T - 0.5 * (words**2).sum(1)).argmax(1)
