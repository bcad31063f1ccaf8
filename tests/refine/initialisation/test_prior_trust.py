"""How far the prior is believed: priors of known error, and such as know nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scenes import Make, Synthetic, landscape

from da3_pipeline.arrays import Float
from da3_pipeline.refine.config import RefineConfig
from da3_pipeline.refine.initialisation.prior_trust import measure_trust
from da3_pipeline.refine.solve.triangulation import triangulate
from da3_pipeline.types import PriorTrust

START = RefineConfig().initialisation


def trust_of(capture: Synthetic) -> PriorTrust:
    return measure_trust(capture.problem(), capture.prediction, START.trust, START.two_view, 0)


def with_depth(capture: Synthetic, said: Callable[[Float], Float]) -> Synthetic:
    """With depth maps that say `said` of the true depth of every observed point, and nothing elsewhere."""
    problem = capture.problem()
    seen = problem.observations
    points = triangulate(problem, capture.truth, seen)
    depth = np.zeros_like(capture.prediction.depth)
    for frame, pose in enumerate(capture.cam_from_world):
        mine = np.flatnonzero((seen.frame == frame) & np.isfinite(points[seen.track]).all(1))
        pixels = capture.prediction.pixel_maps[frame].to_network(seen.xy[mine] / problem.scale[frame])
        column, row = np.floor(pixels).astype(int).T
        inside = (row >= 0) & (column >= 0) & (row < depth.shape[1]) & (column < depth.shape[2])
        true = points[seen.track[mine]] @ pose[2, :3] + pose[2, 3]
        depth[frame][row[inside], column[inside]] = said(true)[inside]
    return replace(capture, prediction=replace(capture.prediction, depth=depth))


@pytest.mark.parametrize("frames", [3, 8])
def test_poses_a_few_degrees_off_are_believed(make_capture: Make, frames: int) -> None:
    assert trust_of(make_capture(frames=frames, prior_deg=3.0, prior_shift=0.03)).poses


@pytest.mark.parametrize("frames", [3, 8])
def test_cameras_that_all_stand_in_one_place_are_not(make_capture: Make, frames: int) -> None:
    capture = make_capture(frames=frames)
    trust = trust_of(capture.with_prior(np.tile(np.eye(3, 4), (frames, 1, 1))))
    assert trust.poses is False
    assert trust.measured["rotation_deg"] >= trust.measured["rotation_deg_by_chance"] - 1e-9


def test_poses_dealt_to_the_wrong_frames_are_not(make_capture: Make) -> None:
    capture = make_capture(frames=8)
    assert trust_of(capture.with_prior(capture.cam_from_world[[3, 6, 0, 5, 2, 7, 4, 1]])).poses is False


def test_random_poses_are_not(make_capture: Make, random_poses: Callable[[int], Float]) -> None:
    assert trust_of(make_capture(frames=8).with_prior(random_poses(8))).poses is False


def test_where_nothing_moves_rotations_alone_decide(make_capture: Make) -> None:
    """On the spot no direction can be told, and every pair is explained by a turn."""
    trust = trust_of(make_capture(layout="rotation", prior_deg=1.0, lenses=(landscape(),)))
    assert trust.poses
    assert "direction_deg" not in trust.measured and trust.depth is None


def test_without_pairs_or_poses_nothing_is_known(make_capture: Make) -> None:
    capture = make_capture(frames=4)
    alone = replace(capture, correspondences=replace(capture.correspondences, pairs=capture.correspondences.pairs[:1]))
    assert trust_of(alone).poses is None
    poses = capture.prediction.cam_from_world.copy()
    poses[1] = np.nan
    assert trust_of(capture.with_prior(poses)).poses is None


@pytest.mark.parametrize(("factor", "believed"), [(1.02, True), (1.15, True), (1.6, False), (0.6, False)])
def test_focal_lengths_are_held_against_the_pairs_vote(make_capture: Make, factor: float, believed: bool) -> None:
    trust = trust_of(make_capture(frames=8, prior_focal=factor, lenses=(landscape(),), points=900, noise_px=0.2))
    assert trust.focal is believed
    assert trust.measured["focal_log_ratio"] == pytest.approx(abs(np.log(factor)), abs=0.05)


def test_depth_that_explains_the_matches_is_believed_whatever_its_unit(make_capture: Make) -> None:
    capture = make_capture(frames=6, points=900, lenses=(landscape(),), noise_px=0.2)
    trust = trust_of(with_depth(capture, lambda true: 7 * true))
    assert trust.depth
    assert trust.measured["depth"] < 0.5 * trust.measured["depth_by_chance"]


@pytest.mark.parametrize("said", [lambda true: 1 / true, lambda true: np.ones_like(true)])
def test_depth_turned_inside_out_or_flat_is_not(make_capture: Make, said: Callable[[Float], Float]) -> None:
    capture = make_capture(frames=6, points=900, lenses=(landscape(),), noise_px=0.2)
    assert trust_of(with_depth(capture, said)).depth is False
