"""Does the score that needs no truth put candidates in the order of their true accuracy?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

__all__ = ["CandidateOrder", "CandidateResult", "candidate_order"]

_APART = 1.0  # points of AUC@5 under which two candidates are equally good


@dataclass(frozen=True)
class CandidateResult:
    """What a candidate scores without truth (`CandidateScore`), and its AUC@5 in percent."""

    name: str
    score: float
    precision: float
    median_error_px: float
    auc_5: float

    def __str__(self) -> str:
        return f"{self.name} {self.score:.3f} ({self.precision:.3f}) -> {self.auc_5:.1f}"


@dataclass(frozen=True)
class CandidateOrder:
    """pairs: of one contest, apart by more than a point of AUC@5; right_pairs: the better one has the higher rank.

    runs: contests of two candidates or more; right_runs: the winner is within a point of the best.
    """

    pairs: int
    right_pairs: int
    runs: int
    right_runs: int

    def __str__(self) -> str:
        pairs, runs = _share(self.right_pairs, self.pairs), _share(self.right_runs, self.runs)
        return f"candidates: {pairs} pairs in the right order, {runs} winners within a point of the best"


def candidate_order(contests: Iterable[Sequence[CandidateResult]]) -> CandidateOrder:
    """Counts over contests, each with its candidates as they were ranked, the winner first."""
    pairs = right_pairs = runs = right_runs = 0
    for ranked in contests:
        if len(ranked) < 2:
            continue
        runs += 1
        right_runs += ranked[0].auc_5 >= max(candidate.auc_5 for candidate in ranked) - _APART
        for upper, lower in combinations(ranked, 2):
            if abs(upper.auc_5 - lower.auc_5) > _APART:
                pairs += 1
                right_pairs += upper.auc_5 > lower.auc_5
    return CandidateOrder(pairs, right_pairs, runs, right_runs)


def _share(part: int, whole: int) -> str:
    percent = f" ({100 * part / whole:.1f} %)" if whole else ""
    return f"{part} of {whole}{percent}"
