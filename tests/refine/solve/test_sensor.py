"""Measured depth beside rays: points on their own, and as terms of an adjustment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import Make, landscape

from da3_pipeline.arrays import Float
from da3_pipeline.geometry import centres
from da3_pipeline.refine.config import AdjustmentConfig
from da3_pipeline.refine.solve.adjustment import Adjustment, adjust
from da3_pipeline.refine.solve.problem import Estimate, Problem, rigs_in_world
from da3_pipeline.refine.solve.sensor.points import depth_unit, settled_points
from da3_pipeline.refine.solve.triangulation import measured_depth, triangulate
from da3_pipeline.types import RigPlace

HOW = Adjustment(1.0, AdjustmentConfig(), refine_focal=False, max_iterations=60, function_tolerance=1e-10)
UNIT = 0.4  # of the world in one of the sensor's


@pytest.fixture
def six(make_capture: Make) -> tuple[Problem, Estimate, Float]:
    """A problem whose observations have their depth, what is true of it, and its points."""
    capture = make_capture(frames=6, points=200, lenses=(landscape(),), noise_px=0.0, false_matches=0.0)
    problem, truth = capture.problem(), capture.truth
    points = triangulate(problem, truth, problem.observations)
    seen = problem.observations
    pose = truth.cam_from_world[seen.frame, 2]
    depth = (pose[:, :3] * points[seen.track]).sum(axis=1) + pose[:, 3]
    measured = replace(problem, observations=replace(seen, depth=depth / UNIT), depth_sigma=0.02)
    return measured, truth, points


def lengths(estimate: Estimate) -> Float:
    return np.linalg.norm(np.diff(centres(estimate.cam_from_world), axis=0), axis=1)


def test_the_unit_is_the_median_and_none_without_depth() -> None:
    assert depth_unit(np.array([2.0, 4.0, -1.0, 9.0]), np.array([1.0, 2.0, 1.0, np.nan])) == pytest.approx(2.0)
    assert np.isnan(depth_unit(np.array([1.0]), np.array([np.nan])))


def test_depth_follows_its_observations(six: tuple[Problem, Estimate, Float]) -> None:
    seen = six[0].observations
    keep = seen.track % 3 == 1
    assert seen.depth is not None
    for chosen in (seen.where(keep), seen.subset(keep)):
        np.testing.assert_array_equal(chosen.depth, seen.depth[keep])


def test_rays_that_do_not_part_leave_the_distance_to_the_sensor() -> None:
    """Rays from one place, one depth of which is at an edge; points without any depth, or that are none, stay."""
    origins = np.array([[0.0, 0, 0], [1e-4, 0, 0], [0, 0, 0], [0.0, 0, 0], [1e-4, 0, 0], [0, 0, 0]])
    directions = np.tile(np.array([0.6, 0.0, 0.8]), (6, 1))
    axes = np.tile([0.0, 0.0, 1.0], (6, 1))
    measured = np.array([4.0, 4.01, 7.0, np.nan, np.nan, 4.0])
    points = np.array([[600.0, 0, 800.0], [6.0, 0, 8.0], [np.nan] * 3])
    found = settled_points(points, np.array([0, 0, 0, 1, 1, 2]), origins, directions, axes, measured, 0.02)
    assert found[0] == pytest.approx([3.0, 0.0, 4.0], abs=0.03)
    np.testing.assert_array_equal(found[1:], points[1:])


def test_points_by_rays_and_depth_are_those_by_rays_where_both_are_right(six: tuple[Problem, Estimate, Float]) -> None:
    problem, truth, points = six
    assert triangulate(problem, truth, problem.observations) == pytest.approx(points, abs=1e-4)
    measured = measured_depth(truth, points, problem.observations)
    assert measured is not None and measured == pytest.approx(UNIT * problem.observations.depth)


def test_an_adjustment_brings_cameras_and_points_to_the_depth(six: tuple[Problem, Estimate, Float]) -> None:
    """Cameras a twentieth too far apart, at points that stay; lengths are those that the sensor's unit gives them."""
    problem, truth, points = six
    poses = truth.cam_from_world.copy()
    middle = centres(poses).mean(axis=0)
    for pose, centre in zip(poses, centres(poses), strict=True):
        pose[:, 3] = -pose[:, :3] @ (middle + 1.05 * (centre - middle))
    start = replace(truth, cam_from_world=poses)
    everything = np.ones(len(problem.observations), bool)
    found, placed = adjust(problem, start, points, everything, HOW)
    seen, pose = problem.observations, found.cam_from_world[problem.observations.frame, 2]
    depth = (pose[:, :3] * placed[seen.track]).sum(axis=1) + pose[:, 3]
    assert seen.depth is not None
    unit = depth_unit(depth, seen.depth)
    assert depth / unit == pytest.approx(seen.depth, rel=1e-3)
    assert lengths(found) / unit == pytest.approx(lengths(truth) / UNIT, rel=2e-3)
    np.testing.assert_allclose(found.cam_from_world[0], poses[0], atol=1e-9)


def test_depth_bends_cameras_that_matches_alone_would_leave(six: tuple[Problem, Estimate, Float]) -> None:
    """A sensor that reads a twentieth too far in the right half of every picture: it is heard."""
    problem, truth, points = six
    seen = problem.observations
    right = seen.xy[:, 0] > problem.size_px[seen.frame, 0] / 2
    tilted = problem.with_observations(replace(seen, depth=np.where(right, 1.02, 1.0) * np.array(seen.depth)))
    everything = np.ones(len(seen), bool)
    bent, _ = adjust(tilted, truth, points, everything, HOW)
    alone, _ = adjust(problem.with_observations(replace(seen, depth=None)), truth, points, everything, HOW)
    assert np.abs(lengths(bent) / lengths(truth) - 1).max() > 1e-3
    assert np.abs(lengths(alone) / lengths(truth) - 1).max() < 1e-5


def test_a_wrong_depth_gives_way_to_the_others(six: tuple[Problem, Estimate, Float]) -> None:
    problem, truth, points = six
    depth = np.array(problem.observations.depth)
    depth[::7] *= 1.5
    wrong = problem.with_observations(replace(problem.observations, depth=depth))
    found, _ = adjust(wrong, truth, points, np.ones(len(depth), bool), HOW)
    assert lengths(found) == pytest.approx(lengths(truth), rel=5e-3)


def test_depth_of_a_camera_on_a_rig_is_that_of_the_camera(make_capture: Make) -> None:
    """Pairs that are bolted; only the second camera of each has depth. A wrong pose in its place would bend the rig."""
    capture = make_capture(frames=8, points=300, layout="rig", noise_px=0.0, false_matches=0.0)
    frames = tuple(
        replace(frame, rig=RigPlace("head", frame.camera_id, str(k // 2), k % 2 == 0))
        for k, frame in enumerate(capture.frames)
    )
    capture = capture.with_frames(frames)
    problem, truth = capture.problem(), capture.truth
    points, seen = triangulate(problem, truth, problem.observations), problem.observations
    pose = truth.cam_from_world[seen.frame, 2]
    depth = np.where(seen.frame % 2 == 1, (pose[:, :3] * points[seen.track]).sum(axis=1) + pose[:, 3], np.nan)
    problem = replace(problem, observations=replace(seen, depth=depth / UNIT), depth_sigma=0.02)
    rigs = rigs_in_world(problem, truth)
    assert rigs is not None
    found, _ = adjust(problem, truth, points, np.ones(len(seen), bool), replace(HOW, rigs=rigs))
    np.testing.assert_allclose(found.cam_from_world, truth.cam_from_world, atol=1e-4)
    far = replace(truth, cam_from_world=truth.cam_from_world.copy())
    far.cam_from_world[2:, :, 3] *= 1.02
    back, placed = adjust(problem, far, points, np.ones(len(seen), bool), replace(HOW, rigs=rigs))
    pose = back.cam_from_world[seen.frame, 2]
    again = (pose[:, :3] * placed[seen.track]).sum(axis=1) + pose[:, 3]
    told = np.isfinite(depth)
    ratio = again[told] / depth[told]
    assert ratio / np.median(ratio) == pytest.approx(1.0, abs=1e-3)
