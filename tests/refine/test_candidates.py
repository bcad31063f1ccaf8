"""When the contest between candidates may end."""

from __future__ import annotations

from da3_pipeline.refine.candidates import Candidate, _convincing
from da3_pipeline.refine.config import SolveConfig
from da3_pipeline.types import CandidateScore


def candidate(score: float, weakest: float = 0.9, median_px: float = 0.3) -> Candidate:
    return Candidate(None, CandidateScore("x", score, 25, median_px, 1.0), weakest)


def test_nearly_all_matches_explained_ends_the_contest() -> None:
    assert _convincing([candidate(0.99)], SolveConfig())
    assert not _convincing([candidate(0.95)], SolveConfig())


def test_a_good_total_does_not_hide_frames_whose_own_matches_disagree() -> None:
    assert not _convincing([candidate(0.98, weakest=0.03)], SolveConfig())


def test_two_starts_that_end_alike_end_the_contest_amid_false_matches() -> None:
    assert _convincing([candidate(0.901), candidate(0.902)], SolveConfig())
    assert not _convincing([candidate(0.901), candidate(0.86)], SolveConfig())


def test_large_errors_never_convince() -> None:
    assert not _convincing([candidate(0.99, median_px=3.0)], SolveConfig())
