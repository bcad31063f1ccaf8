"""The scatter of cameras over parts of the scene covers their errors, also where a part of it is wrong as one."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scenes import LANDSCAPE, Make, Synthetic

from da3_pipeline.arrays import Bool, Float, Int
from da3_pipeline.geometry import Sim3
from da3_pipeline.geometry.metrics.poses import pose_errors
from da3_pipeline.refine.config import SolveConfig
from da3_pipeline.refine.solve.problem import Estimate, Problem
from da3_pipeline.refine.solve.rounds import fit_points, refine_estimate
from da3_pipeline.refine.verdict import jackknife
from da3_pipeline.refine.verdict.halves import split_halves
from da3_pipeline.refine.verdict.jackknife import Scatter, block_jackknife

SOLVE = SolveConfig(max_lens="SIMPLE_PINHOLE")


def scatter_of(problem: Problem, estimate: Estimate, frames: Bool | None = None) -> Scatter:
    every = np.ones(problem.num_frames, bool) if frames is None else frames
    fit = fit_points(problem, estimate, SOLVE.min_ray_spread_deg, SOLVE.strict_gate_px)
    found = block_jackknife(problem, estimate, every, fit, SOLVE, seed=0)
    assert found is not None
    return found


def errors_deg(capture: Synthetic, poses: Float) -> Float:
    return pose_errors(capture.cam_from_world, poses).pair_deg


def test_scatter_is_what_captures_that_differ_in_their_noise_are_off_by(make_capture: Make) -> None:
    off, said = [], []
    for seed in range(6):
        capture = make_capture(frames=4, noise_px=1.0, false_matches=0.0, lenses=(LANDSCAPE,), seed=seed)
        solved = refine_estimate(capture.problem(), capture.truth, SOLVE, 0).estimate
        off.append(errors_deg(capture, solved.cam_from_world))
        said.append(scatter_of(capture.problem(), solved).pair_deg)
    ratio = np.sqrt(np.mean(np.square(off)) / np.mean(np.square(said)))
    assert 0.5 < ratio < 1.5


def test_what_moves_between_pictures_shows_in_the_parts_and_not_in_the_halves(make_capture: Make) -> None:
    """Half of the scene is shifted a little further in each picture, as a train that leaves is."""
    capture = make_capture(frames=4, noise_px=1.0, false_matches=0.0, lenses=(LANDSCAPE,))
    still, observations = capture.problem(), capture.problem().observations
    points = fit_points(still, capture.truth, 0.1, 8.0).points
    train = points[:, 0] > np.nanmedian(points[:, 0])
    shifts = np.where(train[observations.track], 4.0 * observations.frame, 0.0)[:, None] * [0.3, 1.0]
    moving = still.with_observations(replace(observations, xy=observations.xy + shifts))
    errors, parts, halves = [], [], []
    for problem in (still, moving):
        solved = refine_estimate(problem, capture.truth, SOLVE, 0).estimate
        errors.append(errors_deg(capture, solved.cam_from_world).mean())
        parts.append(scatter_of(problem, solved).pair_deg.mean())
        spread = split_halves(problem, solved, np.ones(4, bool), SOLVE, seed=0)
        assert spread is not None
        halves.append(spread.rotation_deg)
    assert errors[1] > 2 * errors[0]
    assert parts[1] > 2.5 * parts[0] and parts[1] > errors[1] / 2
    assert halves[1] < 1.5 * halves[0]


def test_it_does_not_matter_where_in_the_world_and_how_large(make_capture: Make) -> None:
    capture = make_capture(frames=4)
    world = Sim3(20.0, np.eye(3), np.array([3000.0, -200.0, 10.0]))
    elsewhere = replace(capture.truth, cam_from_world=world.apply_to_cameras(capture.cam_from_world))
    here, there = (scatter_of(capture.problem(), truth) for truth in (capture.truth, elsewhere))
    np.testing.assert_allclose(there.pair_deg, here.pair_deg, rtol=0.1, atol=0.005)


def test_pairs_of_the_frames_that_are_asked_for(make_capture: Make) -> None:
    capture = make_capture(frames=5)
    found = scatter_of(capture.problem(), capture.truth, np.isin(np.arange(5), [0, 2, 4]))
    assert found.frames.tolist() == [[0, 2], [0, 4], [2, 4]]
    of_frames = Scatter(found.frames, np.array([1.0, 2.0, 3.0]), np.array([0.0, 5.0, 0.0])).of_frames(5)
    np.testing.assert_allclose(of_frames, [3.0, np.nan, 2.0, np.nan, 4.0])


class Turning:
    """In place of a solution: one camera turns on the spot by so much more without each next part."""

    def __init__(self, truth: Estimate) -> None:
        self.truth, self.asked = truth, list[Int]()

    def without_each(self, part: Int) -> list[Float]:
        self.asked.append(part)
        found = []
        for number in range(part.max() + 1):
            poses = self.truth.cam_from_world.copy()
            poses[2] = cv2.Rodrigues(np.radians([0.0, 0.0, number]))[0] @ poses[2]
            found.append(poses)
        return found


def test_each_placed_track_is_of_a_part_and_the_scatter_is_that_of_the_jackknife(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = make_capture(frames=4, false_matches=0.0)
    problem, truth = capture.problem(), capture.truth
    observations = problem.observations
    spoiled = (observations.track % 9 == 0) & (observations.frame % 2 == 0)
    places = observations.xy + np.where(spoiled, 300.0, 0.0)[:, None]
    problem = problem.with_observations(replace(observations, xy=places))
    turning = Turning(truth)
    monkeypatch.setattr(jackknife, "linearised", lambda *_: turning)
    found = scatter_of(problem, truth)
    fit = fit_points(problem, truth, SOLVE.min_ray_spread_deg, SOLVE.strict_gate_px)
    placed = np.isin(np.arange(observations.num_tracks), observations.track[fit.kept])
    assert not placed.all()
    for part in turning.asked:
        assert 10 < part.max() + 1 <= 20
        np.testing.assert_array_equal(part >= 0, placed)
    first, second = turning.asked[:2]
    assert len(np.unique(np.stack([first, second]), axis=1).T) > 25, "parts are drawn anew each time"
    counts = np.array([part.max() + 1 for part in turning.asked])
    error_deg = np.sqrt(np.mean([(parts - 1) * np.var(np.arange(parts)) for parts in counts]))
    of_third = (found.frames == 2).any(axis=1)
    np.testing.assert_allclose(found.rotation_deg, np.where(of_third, error_deg, 0.0), rtol=0.02, atol=1e-6)
    looks_on = found.frames[:, 0] != 2
    assert found.direction_deg[looks_on].max() < 1e-6 and found.direction_deg[~looks_on].min() > 0.5 * error_deg
    assert found.mean_deg == pytest.approx(2.5, rel=0.01), "three of six pairs, each as bad as any counts"


@pytest.mark.parametrize(("tracks", "told"), [(59, False), (60, True)])
def test_too_few_tracks_say_nothing(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch, tracks: int, told: bool
) -> None:
    monkeypatch.setattr(Turning, "without_each", lambda self, part: [self.truth.cam_from_world] * (part.max() + 1))
    capture = make_capture(frames=4, points=120, false_matches=0.0)
    problem = capture.problem()
    placed = np.unique(problem.observations.track[fit_points(problem, capture.truth, 0.1, 8.0).kept])
    monkeypatch.setattr(jackknife, "linearised", lambda *_: Turning(capture.truth))
    few = problem.with_observations(problem.observations.subset(np.isin(problem.observations.track, placed[:tracks])))
    fit = fit_points(few, capture.truth, 0.1, 8.0)
    found = block_jackknife(few, capture.truth, np.ones(4, bool), fit, SOLVE, seed=0)
    assert (found is not None) is told
    assert found is None or found.mean_deg < 1e-9
