"""Solutions from halves of the tracks: alike where the geometry is strong, apart where it is weak."""

from __future__ import annotations

import numpy as np
from scenes import Make, Synthetic

from da3_pipeline.refine.config import SolveConfig
from da3_pipeline.refine.verdict.halves import Spread, split_halves


def spread_of(capture: Synthetic) -> Spread:
    problem = capture.problem()
    truth = capture.truth
    return split_halves(problem, truth, np.ones(problem.num_frames, bool), SolveConfig(), seed=0)


def test_strong_geometry_repeats(make_capture: Make) -> None:
    spread = spread_of(make_capture(frames=10, noise_px=0.3))
    assert spread.rotation_deg < 0.2
    assert spread.position < 0.01
    assert spread.focal < 0.01


def test_noise_and_few_points_widen_the_spread(make_capture: Make) -> None:
    strong = spread_of(make_capture(frames=8, noise_px=0.3))
    weak = spread_of(make_capture(frames=8, noise_px=1.0, points=160))
    assert weak.rotation_deg > 2 * strong.rotation_deg
    assert weak.position > 2 * strong.position


def test_two_frames_and_few_tracks_cannot_be_compared(make_capture: Make) -> None:
    assert np.isnan(spread_of(make_capture(frames=2)).rotation_deg)
    assert np.isnan(spread_of(make_capture(frames=4, points=40)).position)
