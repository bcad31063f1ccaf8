"""Which pairs are proposed, from which evidence."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from da3_pipeline.geometry import identity
from da3_pipeline.refine.config import PairConfig
from da3_pipeline.refine.matching import correspondences
from da3_pipeline.refine.matching import pairs as module
from da3_pipeline.refine.matching.features import Features
from da3_pipeline.refine.matching.pairs import (
    appearance_scores,
    blocks,
    components,
    link_scores,
    needy_frames,
    prior_is_useful,
    prior_scores,
    propose,
    sequence_scores,
)
from da3_pipeline.refine.matching.verification import PairMatches
from da3_pipeline.types import Frame

Float = NDArray[np.float64]
CPU = torch.device("cpu")
PLAN = PairConfig()


def ring(count: int) -> Float:
    """Cameras on a circle that look to its centre."""
    angle = np.arange(count) * 2 * np.pi / count
    rotation = Rotation.from_euler("y", angle[:, None]).as_matrix()
    centre = -3 * rotation[:, 2]
    return np.concatenate([rotation, -(rotation @ centre[:, :, None])], axis=2)


def around(count: int, reach: int, seed: int = 0) -> list[Features]:
    """Frame k shares its keypoints with the next frames of a ring, ever fewer over `reach` places."""
    rng = np.random.default_rng(seed)
    bank = rng.exponential(size=(count, 40, 128))
    found = []
    for k in range(count):
        vectors = np.concatenate([bank[(k + step) % count] for step in range(reach)])
        vectors = vectors + rng.normal(scale=0.05, size=vectors.shape).clip(-0.2, 0.2)
        vectors = np.abs(vectors) / np.linalg.norm(vectors, axis=1, keepdims=True)
        n = len(vectors)
        found.append(
            Features(np.zeros((n, 2), np.float32), np.ones(n, np.float32), np.rint(vectors * 512).astype(np.uint8))
        )
    return found


def frames(videos: list[str | None]) -> list[Frame]:
    return [Frame(f"{k}", Path(f"{k}"), 8, 8, "c", f"{k}", video=video) for k, video in enumerate(videos)]


def gaps(pairs: list[tuple[int, int]], count: int) -> NDArray[np.int64]:
    difference = np.array([abs(i - j) for i, j in pairs])
    return np.minimum(difference, count - difference)


def test_the_prior_proposes_neighbours_on_a_ring() -> None:
    proposed = propose([prior_scores(ring(24), 75.0)], 4, np.ones(24, bool), [])
    assert gaps(proposed, 24).max() == 2
    assert len(proposed) == 48


def test_views_that_look_apart_are_not_proposed_by_the_prior() -> None:
    scores = prior_scores(ring(8), 75.0)
    assert np.isfinite(scores[0, 1])
    assert scores[0, 4] == -np.inf
    assert (np.diag(scores) == -np.inf).all()


def test_sequences_stay_within_one_video() -> None:
    scores = sequence_scores(frames(["a", "a", "a", "b", "b", None, None]), 2)
    linked = {(int(i), int(j)) for i, j in np.argwhere(np.isfinite(scores)) if i < j}
    assert linked == {(0, 1), (0, 2), (1, 2), (3, 4), (5, 6)}
    assert scores[0, 1] > scores[0, 2]


def test_appearance_ranks_shared_keypoints_first() -> None:
    scores = appearance_scores(around(16, 4), PLAN, CPU, seed=0)
    proposed = propose([scores], 2, np.ones(16, bool), [])
    assert gaps(proposed, 16).max() == 1
    assert scores[0, 1] > scores[0, 2] > scores[0, 3] > scores[0, 8]


def test_frames_without_keypoints_match_nothing() -> None:
    scores = appearance_scores([Features.empty(), *around(4, 2), Features.empty()], PLAN, CPU, seed=0)
    assert scores[0, 1:].max() == 0
    assert scores[1, 2] > 20


def test_large_captures_are_compared_on_a_shortlist() -> None:
    """Linear work beyond a size, and the true neighbours are still there."""
    count = 60
    scores = appearance_scores(around(count, 3), PairConfig(compare_all_up_to=20, shortlist=8), CPU, seed=0)
    assert np.isfinite(scores).sum() <= 2 * 8 * count
    neighbour = [(k, (k + 1) % count) for k in range(count)]
    assert np.mean([scores[pair] > 20 for pair in neighbour]) > 0.95
    np.testing.assert_array_equal(scores, scores.T)


@pytest.mark.parametrize("shortlist", [2, 40])
def test_a_shortlist_of_blank_frames_ends_without_an_error(shortlist: int) -> None:
    plan = PairConfig(compare_all_up_to=4, shortlist=shortlist)
    assert appearance_scores([Features.empty()] * 6, plan, CPU, seed=0).max() == 0


def test_the_vocabulary_follows_the_seed() -> None:
    """What the shortlist was made with can be made again, and another seed is another draw."""
    features = around(12, 3)
    one, again, other = (module._vocabulary(features, PLAN, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, again)
    assert not np.isin(other, one).all()


def test_a_prior_is_used_only_where_appearance_agrees() -> None:
    count = 40
    appearance = appearance_scores(around(count, 5), PLAN, CPU, seed=0)
    rng = np.random.default_rng(3)
    random = np.concatenate([Rotation.random(count, rng).as_matrix(), rng.normal(size=(count, 3, 1))], axis=2)
    rough = ring(count).copy()
    rough[:, :, 3] += rng.normal(scale=0.15, size=(count, 3))
    assert prior_is_useful(prior_scores(ring(count), 75.0), appearance, PLAN)
    assert prior_is_useful(prior_scores(rough, 75.0), appearance, PLAN)
    assert not prior_is_useful(prior_scores(random, 75.0), appearance, PLAN)
    assert not prior_is_useful(prior_scores(identity(count), 75.0), appearance, PLAN)


def test_proposals_leave_out_what_was_tried_and_what_is_not_wanted() -> None:
    scores = np.array([[-np.inf, 3, 2, 1], [3, -np.inf, 5, 4], [2, 5, -np.inf, 6], [1, 4, 6, -np.inf]])
    only_first = np.array([True, False, False, False])
    assert propose([scores], 1, only_first, []) == [(0, 1)]
    assert propose([scores], 1, only_first, [(0, 1)]) == [(0, 2)]
    reverse = np.where(np.isfinite(scores), -scores, -np.inf)
    assert propose([scores, reverse], 1, only_first, []) == [(0, 1), (0, 3)]
    assert propose([scores], 9, only_first, [(0, 1), (0, 2), (0, 3)]) == []


def test_proposals_grow_linearly() -> None:
    rng = np.random.default_rng(4)
    scores = rng.normal(size=(200, 200))
    assert len(propose([scores + scores.T], 5, np.ones(200, bool), [])) <= 5 * 200


def test_links_join_the_partners_of_one_frame() -> None:
    scores = link_scores(5, [(0, 1), (1, 2), (2, 3)])
    assert scores[0, 2] == scores[1, 3] == 1
    assert scores[0, 1] == scores[0, 3] == scores[0, 0] == scores[0, 4] == -np.inf


def test_proposals_can_be_kept_to_other_components() -> None:
    scores = np.array([[-np.inf, 3, 2, 1], [3, -np.inf, 5, 4], [2, 5, -np.inf, 6], [1, 4, 6, -np.inf]])
    labels = np.array([0, 0, 0, 1])
    assert propose([scores], 1, np.ones(4, bool), [], labels) == [(0, 3), (1, 3), (2, 3)]
    assert propose([scores], 1, np.ones(4, bool), [(2, 3)], labels) == [(0, 3), (1, 3)]


def test_scores_of_a_thousand_frames_take_the_room_of_a_few_matrices() -> None:
    count = 1000
    chain = [(k, k + 1) for k in range(count - 1)]
    cameras, names = ring(count), frames([None] * count)
    for scores in (
        lambda: prior_scores(cameras, 75.0),
        lambda: sequence_scores(names, 2),
        lambda: link_scores(count, chain),
        lambda: propose([np.zeros((count, count))], 5, np.ones(count, bool), chain),
    ):
        tracemalloc.start()
        scores()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3 * count * count * 8


def test_needy_frames_are_apart_or_have_few_partners() -> None:
    verified = [(0, 1), (0, 2), (1, 2), (2, 3), (4, 5)]
    labels = components(7, verified)
    assert len(set(labels.tolist())) == 3
    degree = np.bincount(np.ravel(verified), minlength=7)
    assert needy_frames(labels, degree, 2).tolist() == [False, False, False, True, True, True, True]
    assert len(set(components(3, []).tolist())) == 3


def test_no_frame_takes_a_place_on_its_own_shortlist() -> None:
    """With room for one, it is the neighbour on the ring."""
    count = 24
    chosen = module._shortlist(around(count, 3), PairConfig(shortlist=1), 0)
    assert not np.diag(chosen).any()
    for k in range(count):
        assert set(np.flatnonzero(chosen[k])) <= {(k - 1) % count, (k + 1) % count}
    assert chosen.any(axis=1).all()


def test_residuals_are_those_to_the_nearest_word() -> None:
    """Two descriptors lie beside one word, on either side of a third direction, and one beside the other."""
    words = np.zeros((2, 128), np.float32)
    words[0, 0] = words[1, 1] = 100.0
    values = np.zeros((3, 128), np.uint8)
    values[:2, 0], values[0, 2], values[1, 3] = 100, 30, 40
    values[2, 1], values[2, 4] = 100, 7
    np.testing.assert_array_equal(module._nearest_word(values.astype(np.float32), words), [0, 0, 1])
    found = module._vlad(Features(np.zeros((3, 2), np.float32), np.ones(3, np.float32), values), words).reshape(2, 128)
    expected = np.zeros((2, 128))
    expected[0, 2:4], expected[1, 4] = [0.6, 0.8], 1.0
    np.testing.assert_allclose(found, expected / np.sqrt(2), atol=1e-6)


def clique(members: range) -> list[tuple[int, int]]:
    return [(i, j) for i in members for j in members if i < j]


@pytest.mark.parametrize("seed", range(8))
def test_blocks_are_what_no_single_frame_tears(seed: int) -> None:
    """Against taking each frame away in turn, on sparse random graphs."""
    rng = np.random.default_rng(seed)
    count = 14
    joined = [(i, j) for i in range(count) for j in range(i + 1, count) if rng.random() < 0.17]
    labels, whole = blocks(count, joined), components(count, joined)
    torn = np.zeros((count, count), bool)
    bridge = np.zeros(count, bool)
    for gone in range(count):
        parts = components(count, [pair for pair in joined if gone not in pair])
        apart = (parts[:, None] != parts) & (whole[:, None] == whole)
        apart[gone] = apart[:, gone] = False
        torn |= apart
        bridge[gone] = apart.any()
    together = (whole[:, None] == whole) & ~torn
    plain = ~bridge[:, None] & ~bridge
    np.testing.assert_array_equal((labels[:, None] == labels)[plain], together[plain])
    sizes = np.bincount(labels)
    assert bridge.any() and not bridge.all() and sizes.sum() == count


def test_a_frame_between_blocks_is_in_the_greater_one() -> None:
    labels = blocks(9, [*clique(range(5)), *clique(range(4, 7)), (7, 8)])
    assert len(set(labels[:5].tolist())) == 1 and labels[5] == labels[6] != labels[4]
    assert labels[7] == labels[8] not in labels[:7].tolist()
    assert blocks(3, []).tolist() == [0, 1, 2]


def test_long_chains_and_rings_are_no_recursion() -> None:
    chain = [(k, k + 1) for k in range(4999)]
    assert len(set(blocks(5000, chain).tolist())) == 4999
    assert len(set(blocks(5000, [*chain, (0, 4999)]).tolist())) == 1


def test_pairs_are_sought_across_a_bridge_of_one_frame() -> None:
    """Two groups, all of whose frames have partners enough, share frame 9 alone."""
    verified = [*clique(range(10)), *clique(range(9, 16))]
    alike = np.where(np.eye(16, dtype=bool), -np.inf, 1.0)
    alike[8, 10] = alike[10, 8] = 9.0
    batch = correspondences._next_batch(16, [alike], strong(verified), verified, PairConfig(neighbours=2))
    assert (8, 10) in batch and all(i < 9 < j for i, j in batch)
    assert len(batch) <= 2 * 6
    held = [*verified, (8, 10), (7, 11)]
    assert correspondences._next_batch(16, [alike], strong(held), held, PairConfig(neighbours=2)) == []


def test_pairs_are_sought_across_a_thin_cut() -> None:
    """Two groups, all of whose frames have partners enough, share two pairs of few matches and no frame."""
    groups = [*clique(range(10)), *clique(range(10, 20))]
    alike = np.where(np.eye(20, dtype=bool), -np.inf, 1.0)
    alike[0, 19] = alike[19, 0] = 9.0
    weak = [*strong(groups), matched(9, 10, 20), matched(8, 11, 20)]
    tried = [(pair.i, pair.j) for pair in weak]
    batch = correspondences._next_batch(20, [alike], weak, tried, PairConfig(neighbours=2))
    assert batch and all(i < 10 <= j for i, j in batch)
    assert not {*batch} & {*tried}
    assert {(8, 10), (9, 11)} <= {*batch}, "between the frames that the weak pairs join"
    assert len(batch) <= 25 + 2 * 10 * 2
    held = [*strong(groups), matched(9, 10, 400), matched(8, 11, 400), matched(7, 12, 400)]
    assert correspondences._next_batch(20, [alike], held, tried, PairConfig(neighbours=2)) == []
    blind = PairConfig(neighbours=2, thin_share=0)
    assert correspondences._next_batch(20, [alike], weak, tried, blind) == []


def matched(i: int, j: int, count: int) -> PairMatches:
    return PairMatches(i, j, np.zeros((count, 2), np.int32), np.eye(3), 0.0, count)


def strong(pairs: list[tuple[int, int]]) -> list[PairMatches]:
    return [matched(i, j, 200) for i, j in pairs]
