"""Measured depth in the adjustment: it settles what a hand that hardly moves leaves open, and gives way where wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scenes import Make, Synthetic, landscape
from scipy.spatial import cKDTree
from sensed_scenes import SHRINK, depth_of, seen_by, sensed

from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine import RefineConfig
from da3_pipeline.refine.amendments.sensor_depth import with_sensor_depth
from da3_pipeline.refine.amendments.solution import Solution
from da3_pipeline.refine.config import MeasuredDepthConfig
from da3_pipeline.refine.initialisation.candidates import Candidate
from da3_pipeline.refine.solve.rounds import fit_points, refine_estimate
from da3_pipeline.refine.solve.sensor.readings import readings
from da3_pipeline.types import CandidateScore, SensorDepth

Float = NDArray[np.float64]

CONFIG = RefineConfig()
TURN = {"frames": 8, "points": 600, "lenses": (landscape(2600.0),), "layout": "turn"}


@pytest.fixture
def exact(make_capture: Make) -> Synthetic:
    """Eight frames over 0.07 m by true scale, what they see being 1.2 to 2.8 m away; without noise."""
    return make_capture(**TURN, noise_px=0.0, false_matches=0.0)


@pytest.fixture
def turning(exact: Synthetic, make_capture: Make) -> Synthetic:
    """The same as it is seen."""
    return make_capture(**TURN, noise_px=2.0)


def solved(capture: Synthetic) -> Solution:
    """By matches alone, from the truth."""
    problem = capture.problem()
    fit = refine_estimate(problem, capture.truth, CONFIG.solve, 0)
    winner = Candidate(fit, CandidateScore("made", 1.0, 1.0, problem.num_frames, fit.median_px, 0.0), 1.0)
    return Solution(capture.prediction, capture.correspondences, problem, (winner,))


def amended(solution: Solution, **changes: object) -> Solution:
    config = CONFIG.model_copy(update={"measured_depth": MeasuredDepthConfig(**changes)})
    return with_sensor_depth(solution, config, SilentProgress())


def off(solution: Solution, exact: Synthetic, turning: Synthetic) -> Float:
    """(K,) found over true depth of observations at the best scale, each by the nearest that noise has not moved."""
    places, depth = seen_by(exact)
    problem, fit = solution.problem, solution.winner.fit
    seen, poses = problem.observations, fit.estimate.cam_from_world
    points = fit_points(problem, fit.estimate, CONFIG.solve.min_ray_spread_deg).points
    asked = np.column_stack([seen.frame, seen.xy / problem.scale[seen.frame]])
    far, which = cKDTree(places * [1e6, 1, 1]).query(asked * [1e6, 1, 1])
    ratio = (depth_of(turning, points, poses) / depth[which])[far < 20]
    return np.asarray(ratio / np.median(ratio))


def test_depth_tells_where_points_are_that_rays_leave_open(
    turning: Synthetic, exact: Synthetic, tmp_path: Path
) -> None:
    alone = solved(sensed(turning, exact, tmp_path))
    together = amended(alone)
    before, after = (float((np.abs(off(one, exact, turning) - 1) < 0.05).mean()) for one in (alone, together))
    assert before < 0.6 and after > 0.9
    assert together.figures["sensor_depths"] > 1000 and together.figures["sensor_depth_near"] > 0.95
    assert together.trust.depth and together.problem.observations.depth is not None
    assert together.prediction.metric is not None and together.prediction.metric.relative_sigma < 0.01


def test_depth_that_matches_contradict_is_said_and_brings_no_metres(
    turning: Synthetic, exact: Synthetic, tmp_path: Path
) -> None:
    alone = solved(sensed(turning, exact, tmp_path, error=0.5))
    together = amended(alone)
    assert together.winner is alone.winner and together.problem is alone.problem
    assert together.figures["sensor_depths"] == 0 and "contradict the sensor's depth" in together.remarks[0]
    assert together.prediction.metric is not None and together.prediction.metric.relative_sigma > 0.2


def test_given_poses_stay_and_points_follow_depth(turning: Synthetic, exact: Synthetic, tmp_path: Path) -> None:
    capture = sensed(turning, exact, tmp_path)
    alone = solved(capture)
    alone = replace(alone, problem=replace(alone.problem, given_poses=True))
    kept = CONFIG.model_copy(update={"solve": CONFIG.solve.model_copy(update={"poses_as": "fixed"})})
    together = with_sensor_depth(alone, kept, SilentProgress())
    assert together.figures["sensor_depths"] > 1000
    poses = [one.winner.fit.estimate.cam_from_world for one in (alone, together)]
    np.testing.assert_array_equal(*poses)


def test_nothing_happens_without_depth_or_where_it_is_off(turning: Synthetic, exact: Synthetic, tmp_path: Path) -> None:
    plain = solved(turning)
    assert amended(plain) is plain
    with_maps = solved(sensed(turning, exact, tmp_path))
    assert amended(with_maps, use=False) is with_maps


@pytest.mark.parametrize("axis", [0, 1])
def test_depth_beside_an_edge_is_not_believed(turning: Synthetic, tmp_path: Path, axis: int) -> None:
    """A step in the middle of the map, across or down; what cannot be read is left out, too."""
    frames = []
    for k, frame in enumerate(turning.frames):
        image = np.full((frame.height // SHRINK, frame.width // SHRINK), 1000, np.uint16)
        middle = np.array(image.shape[::-1])[axis] / 2
        np.moveaxis(image, 1 - axis, 0)[int(middle) :] = 2000
        path = tmp_path / f"{k}.depth.png"
        Image.fromarray(image).save(path) if k else path.write_bytes(b"")
        frames.append(replace(frame, depth=SensorDepth(path, 0.001)))
    problem = turning.problem()
    seen = problem.observations
    found = readings(problem, frames, seen.frame, seen.xy, MeasuredDepthConfig(), SilentProgress())
    aside = seen.xy[:, axis] / problem.scale[seen.frame, axis] / SHRINK - int(middle)
    assert np.isnan(found[seen.frame == 0]).all()
    inside = (np.abs(seen.xy - problem.size_px[seen.frame] / 2) < problem.size_px[seen.frame] / 2 - SHRINK).all(axis=1)
    rest = inside & (seen.frame > 0)
    assert np.isnan(found[rest & (np.abs(aside) < 1.4)]).all()
    assert found[rest & (aside < -1.6)] == pytest.approx(1.0) and found[rest & (aside > 1.6)] == pytest.approx(2.0)
