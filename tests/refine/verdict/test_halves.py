"""Solutions from halves of the tracks: alike where the geometry is strong, apart where it is weak."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import Make, Synthetic

from da3_pipeline.refine.config import SolveConfig
from da3_pipeline.refine.verdict import halves
from da3_pipeline.refine.verdict.halves import Spread, split_halves


def halves_of(capture: Synthetic) -> Spread | None:
    problem = capture.problem()
    return split_halves(problem, capture.truth, np.ones(problem.num_frames, bool), SolveConfig(), seed=0)


def spread_of(capture: Synthetic) -> Spread:
    spread = halves_of(capture)
    assert spread is not None
    return spread


def test_strong_geometry_repeats(make_capture: Make) -> None:
    spread = spread_of(make_capture(frames=10, noise_px=0.3))
    assert spread.rotation_deg < 0.2
    assert spread.position < 0.01


def test_noise_and_few_points_widen_the_spread(make_capture: Make) -> None:
    strong = spread_of(make_capture(frames=8, noise_px=0.3))
    weak = spread_of(make_capture(frames=8, noise_px=1.0, points=160))
    assert weak.rotation_deg > 2 * strong.rotation_deg
    assert weak.position > 2 * strong.position


def test_two_frames_and_few_tracks_cannot_be_compared(make_capture: Make) -> None:
    assert halves_of(make_capture(frames=2)) is None
    assert halves_of(make_capture(frames=4, points=40)) is None


def test_of_many_frames_some_pairs_stand_for_all(make_capture: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    capture = make_capture(frames=10, noise_px=1.0)
    everything = spread_of(capture)
    monkeypatch.setattr(halves, "_MOST_PAIRS", 30)
    drawn = spread_of(capture)
    assert drawn.position == everything.position
    assert 0 < drawn.rotation_deg < 1.5 * everything.rotation_deg
    first, second = halves._pairs(4000, np.random.default_rng(0))
    assert len(first) == 30 and (first != second).all() and max(first.max(), second.max()) < 4000
