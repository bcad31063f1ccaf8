"""Solutions from halves of the tracks: alike where the geometry is strong, apart where it is weak."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scenes import Make, Synthetic

from da3_pipeline.geometry import Sim3
from da3_pipeline.refine.config import SolveConfig
from da3_pipeline.refine.solve.problem import Estimate
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


def test_the_unit_and_the_place_of_the_world_do_not_matter(make_capture: Make) -> None:
    capture = make_capture(frames=6)
    problem = capture.problem()
    here = spread_of(capture)
    world = Sim3(20.0, np.eye(3), np.array([3000.0, -200.0, 10.0]))
    elsewhere = replace(capture.truth, cam_from_world=world.apply_to_cameras(capture.cam_from_world))
    there = split_halves(problem, elsewhere, np.ones(6, bool), SolveConfig(), seed=0)
    assert there is not None
    assert there.rotation_deg == pytest.approx(here.rotation_deg, rel=0.05)
    assert there.position == pytest.approx(here.position, rel=0.05)


def test_frames_that_are_not_asked_for_have_no_say_and_one_place_has_no_size(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Halves that differ by a turn of 2 degrees of the last frame alone, and by a tenth of the extent in its place."""
    capture = make_capture(frames=5)
    problem, poses = capture.problem(), capture.cam_from_world.copy()
    poses[4] = cv2.Rodrigues(np.radians([2.0, 0.0, 0.0]))[0] @ poses[4]
    answers = [capture.truth, replace(capture.truth, cam_from_world=poses)]

    def spread(solutions: list[Estimate], frames: list[int]) -> Spread:
        given = iter(solutions)
        monkeypatch.setattr(halves, "readjusted", lambda *_: next(given))
        found = split_halves(problem, capture.truth, np.isin(np.arange(5), frames), SolveConfig(), seed=0)
        assert found is not None
        return found

    assert spread(answers, [0, 1, 2, 3]).rotation_deg == pytest.approx(0.0, abs=1e-5)
    turned = spread(answers, [0, 1, 2, 3, 4])
    assert turned.rotation_deg == pytest.approx(2.0, rel=1e-6), "four pairs of ten"
    np.testing.assert_allclose(turned.turned_deg, [0, 0, 0, 0, 2], atol=1e-5)
    poses[2, :, 3] += 0.5
    assert spread(answers, [0, 1, 2, 3, 4]).moved.argmax() == 2
    still = replace(capture.truth, cam_from_world=np.tile(np.eye(3, 4), (5, 1, 1)))
    assert spread([still, still], [0, 1, 2]).position == np.inf
