"""Pair statistics of candidates on contests with a known answer."""

from __future__ import annotations

from da3_pipeline.benchmark.refinement.candidate_order import CandidateOrder, CandidateResult, candidate_order


def ranked(*aucs: float) -> list[CandidateResult]:
    return [CandidateResult(f"c{k}", 1 - 0.1 * k, 0.9 - 0.1 * k, 0.5, auc) for k, auc in enumerate(aucs)]


def test_a_perfect_ranking() -> None:
    assert candidate_order([ranked(99, 50, 10)]) == CandidateOrder(3, 3, 1, 1)


def test_a_wrong_winner_is_two_wrong_pairs_of_three() -> None:
    assert candidate_order([ranked(50, 99, 80)]) == CandidateOrder(3, 1, 1, 0)


def test_equally_good_candidates_are_no_pair_and_either_may_win() -> None:
    assert candidate_order([ranked(98.5, 99.4, 10)]) == CandidateOrder(2, 2, 1, 1)


def test_contests_of_one_say_nothing() -> None:
    order = candidate_order([ranked(99), []])
    assert order == CandidateOrder(0, 0, 0, 0)
    assert str(order) == "candidates: 0 of 0 pairs in the right order, 0 of 0 winners within a point of the best"


def test_contests_add_up() -> None:
    order = candidate_order([ranked(99, 50), ranked(50, 99)])
    assert order == CandidateOrder(2, 1, 2, 1)
    assert "1 of 2 (50.0 %) pairs" in str(order)
