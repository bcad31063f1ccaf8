"""When the contest between candidates may end, and who wins."""

from __future__ import annotations

import numpy as np
import pytest

from da3_pipeline.refine.config import RefineConfig
from da3_pipeline.refine.initialisation.candidates import Candidate, _convincing
from da3_pipeline.refine.solve.score import AGREE_PX, precision
from da3_pipeline.types import CandidateScore


def candidate(score: float, weakest: float = 0.9, median_px: float = 0.3) -> Candidate:
    return Candidate(None, CandidateScore("x", score, score, 25, median_px, 1.0), weakest)


def test_nearly_all_matches_explained_ends_the_contest() -> None:
    assert _convincing([candidate(0.99)], RefineConfig())
    assert not _convincing([candidate(0.95)], RefineConfig())


def test_a_good_total_does_not_hide_frames_whose_own_matches_disagree() -> None:
    assert not _convincing([candidate(0.98, weakest=0.03)], RefineConfig())


def test_two_starts_that_end_alike_end_the_contest_amid_false_matches() -> None:
    assert _convincing([candidate(0.901), candidate(0.902)], RefineConfig())
    assert not _convincing([candidate(0.901), candidate(0.86)], RefineConfig())


def test_large_errors_never_convince() -> None:
    assert not _convincing([candidate(0.99, median_px=3.0)], RefineConfig())


def test_precision_falls_with_the_square_of_the_error_and_ends_at_a_pixel() -> None:
    assert precision(np.array([0.0, 0.5, 1.0, 2.0, np.inf])) == pytest.approx((1 + 0.75) / 5)
    assert precision(np.zeros(0)) == 0.0


def test_true_matches_kept_exact_outweigh_false_ones_brought_near() -> None:
    """Bending to 20 false matches brings them within 2 px and doubles the errors of the 900 true ones."""
    generator = np.random.default_rng(0)
    true, false = np.abs(generator.normal(0, 0.35, 900)), generator.uniform(2.5, 50, 100)
    bent = np.concatenate([2 * true, generator.uniform(0.5, 1.9, 20), false[20:]])
    straight = np.concatenate([true, false])
    assert (bent < AGREE_PX).mean() > (straight < AGREE_PX).mean()
    assert precision(bent) < precision(straight)
