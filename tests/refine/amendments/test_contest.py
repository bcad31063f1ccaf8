"""The contest is held again on other terms while matches are left unexplained, and what is clearly more exact stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scenes import Make, Synthetic

from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine.amendments import contest
from da3_pipeline.refine.amendments.contest import solved
from da3_pipeline.refine.amendments.solution import Solution
from da3_pipeline.refine.config import RefineConfig
from da3_pipeline.refine.initialisation.candidates import Candidate
from da3_pipeline.refine.solve.problem import Problem
from da3_pipeline.refine.solve.rounds import Fit
from da3_pipeline.types import CandidateScore

CONFIG = RefineConfig()
GAIN, CONVINCING = CONFIG.solve.other_terms_gain, CONFIG.solve.convincing_score
Scores = dict[str, tuple[float, float] | None]


class Contest:
    """Problems are told apart by a camera of that name; scores, precisions: of what each brings, None for nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capture: Synthetic, brings: Scores) -> None:
        self._brings, self._capture = brings, capture
        self.held: list[str] = []
        monkeypatch.setattr(contest, "compete", self._compete)
        for terms in ("_apart", "_without_exif", "with_lenses_apart"):
            monkeypatch.setattr(contest, terms, self._on(terms))

    def _on(self, terms: str):  # type: ignore[no-untyped-def]
        def other(best: Solution, *_: object) -> Iterator[Solution]:
            if terms in self._brings:
                yield replace(best, problem=replace(best.problem, centred=frozenset({terms})))

        return other

    def _compete(self, problem: Problem, *_: object) -> tuple[Candidate, ...]:
        (name,) = problem.centred or {"first"}
        self.held.append(name)
        brought = self._brings[name]
        if brought is None:
            return ()
        score, precision = brought
        fit = Fit(self._capture.truth, np.zeros((0, 3)), np.zeros(0), np.zeros(0, bool), 1.0)
        return (Candidate(fit, CandidateScore(name, score, precision, 4, 1.0, 0.0), score),)

    def winner(self, given: bool = False) -> str | None:
        problem = replace(self._capture.problem(), given_poses=given)
        best = solved(
            Solution(self._capture.prediction, self._capture.correspondences, problem), CONFIG, SilentProgress()
        )
        return best.winner.score.name if best.candidates else None


@pytest.mark.parametrize(
    ("brings", "winner", "held"),
    [
        ({"first": (CONVINCING, 0.5), "_apart": (1.0, 1.0)}, "first", ["first"]),
        ({"first": (0.9, 0.5), "_apart": (0.9, 0.5 + 2 * GAIN)}, "_apart", ["first", "_apart"]),
        ({"first": (0.9, 0.5), "_apart": (0.95, 0.5 + GAIN / 2)}, "first", ["first", "_apart"]),
        ({"first": (0.9, 0.5), "_without_exif": None}, "first", ["first", "_without_exif"]),
        ({"first": None, "_apart": (1.0, 1.0)}, None, ["first"]),
        (
            {"first": (0.8, 0.5), "_apart": (0.9, 0.6), "_without_exif": (0.9, 0.55), "with_lenses_apart": (0.9, 0.7)},
            "with_lenses_apart",
            ["first", "_apart", "_without_exif", "with_lenses_apart"],
        ),
        (
            {"first": (0.8, 0.5), "_apart": (CONVINCING, 0.6), "with_lenses_apart": (1.0, 1.0)},
            "_apart",
            ["first", "_apart"],
        ),
    ],
)
def test_other_terms_are_tried_until_one_convinces_and_the_most_exact_wins(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch, brings: Scores, winner: str | None, held: list[str]
) -> None:
    tried = Contest(monkeypatch, make_capture(frames=3, points=60), brings)
    assert tried.winner() == winner
    assert tried.held == held


def test_poses_that_are_given_are_held_to_their_terms(make_capture: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = Contest(monkeypatch, make_capture(frames=3, points=60), {"first": (0.5, 0.2), "_apart": (0.9, 0.9)})
    assert tried.winner(given=True) == "first" and tried.held == ["first"]
