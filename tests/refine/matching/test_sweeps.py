"""Graphs of matches show where they are thin, whatever they are thick with."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from da3_pipeline.refine.config import PairConfig
from da3_pipeline.refine.matching.sweeps import ThinCut, thin_cuts

PLAN = PairConfig()
Graph = dict[tuple[int, int], int]


def cuts(graph: Graph, count: int, plan: PairConfig = PLAN) -> list[ThinCut]:
    return thin_cuts(count, list(graph), list(graph.values()), plan)


def chain(frames: range, reach: int, matches: int) -> Graph:
    return {(i, j): matches for i in frames for j in frames if 0 < j - i <= reach}


def parts(cut: ThinCut) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(side).tolist()) for side in (cut.far, ~cut.far)}


@pytest.mark.parametrize("reach", [2, 4, 9])
@pytest.mark.parametrize("matches", [20, 500])
def test_what_is_alike_all_along_has_no_thin_place(reach: int, matches: int) -> None:
    for count in (3, 4, 9, 80, 400):
        assert cuts(chain(range(count), reach, matches), count) == []
    assert cuts(chain(range(40), 40, matches), 40) == [], "everything with everything"


@pytest.mark.parametrize("weak", [16, 60])
def test_a_weak_joint_is_found_with_the_frames_beside_it(weak: int) -> None:
    """Under whatever numbers the frames go."""
    joint = {(29, 30): weak, (28, 31): weak}
    graph = chain(range(30), 4, 300) | chain(range(30, 70), 4, 300) | joint
    number = np.random.default_rng(1).permutation(70)
    renamed = {tuple(sorted((int(number[i]), int(number[j])))): many for (i, j), many in graph.items()}
    (cut,) = cuts(renamed, 70)
    assert parts(cut) == {frozenset(number[:30].tolist()), frozenset(number[30:].tolist())}
    assert set(np.flatnonzero(cut.beside)) == set(number[25:35].tolist())
    assert cut.across() == {
        tuple(sorted((int(number[i]), int(number[j])))) for i in range(25, 30) for j in range(30, 35)
    }


def test_a_joint_of_many_weak_pairs_is_as_thin_as_one_of_few() -> None:
    graph = chain(range(12), 11, 300) | chain(range(12, 24), 11, 300)
    assert len(cuts(graph | {(k, 12 + k): 20 for k in range(4)}, 24)) == 1
    assert cuts(graph | {(k, 12 + k): 400 for k in range(4)}, 24) == []


def test_each_of_several_joints_is_found_and_what_nothing_joins_is_none() -> None:
    graph: Graph = {(19, 20): 15, (39, 40): 15}
    for start in (0, 20, 40, 60):
        graph |= chain(range(start, start + 20), 3, 200)
    found = cuts(graph, 80)
    assert sorted(min(len(part) for part in parts(cut)) for cut in found) == [20, 40]
    assert all(cut.beside.sum() == 10 for cut in found)
    assert cuts(graph, 80, PairConfig(thin_share=0)) == []
    assert cuts({}, 80) == []


def test_a_thousand_frames_take_no_full_matrix() -> None:
    graph = chain(range(700), 4, 300) | chain(range(700, 1500), 4, 300) | {(699, 700): 30}
    tracemalloc.start()
    (cut,) = cuts(graph, 1500)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert parts(cut) == {frozenset(range(700)), frozenset(range(700, 1500))}
    assert peak < 1500 * 1500 * 8  # bytes, of one such matrix
