"""Similarities are found exactly where they exist and are defined where they are not unique."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from da3_pipeline.geometry import Sim3, align_cameras, centres, umeyama

Array = NDArray[np.float64]

seeds = st.integers(0, 2**32 - 1)


def random_sim3(rng: np.random.Generator) -> Sim3:
    return Sim3(float(np.exp(rng.normal())), Rotation.random(random_state=rng).as_matrix(), rng.normal(scale=5, size=3))


def random_poses(rng: np.random.Generator, count: int) -> Array:
    rotations = Rotation.random(count, random_state=rng).as_matrix()
    return np.concatenate([rotations, rng.normal(size=(count, 3, 1))], axis=2)


def assert_equal(found: Sim3, truth: Sim3, tolerance: float = 1e-8) -> None:
    assert found.scale == pytest.approx(truth.scale, rel=tolerance)
    np.testing.assert_allclose(found.rotation, truth.rotation, atol=tolerance)
    np.testing.assert_allclose(found.translation, truth.translation, atol=100 * tolerance)


@given(seeds, st.integers(4, 20), st.floats(-6, 6))
def test_umeyama_finds_a_similarity_at_any_size_of_world(seed: int, count: int, exponent: float) -> None:
    rng = np.random.default_rng(seed)
    truth = random_sim3(rng)
    points = rng.normal(size=(count, 3)) * 10**exponent
    found = umeyama(points, truth.apply(points))
    np.testing.assert_allclose(found.apply(points), truth.apply(points), atol=1e-8 * 10 ** max(exponent, 0))
    assert found.scale == pytest.approx(truth.scale, rel=1e-6)


@given(seeds)
def test_umeyama_of_a_mirrored_world_is_still_a_rotation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(8, 3))
    found = umeyama(points, points * [1, 1, -1])
    assert np.linalg.det(found.rotation) == pytest.approx(1)
    assert found.scale > 0


@given(seeds)
def test_umeyama_gives_no_weight_to_points_without_weight(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, points = random_sim3(rng), rng.normal(size=(8, 3))
    target = truth.apply(points)
    target[-2:] += 100
    assert_equal(umeyama(points, target, np.array([1.0, 2, 1, 3, 1, 1, 0, 0])), truth)


@given(seeds)
def test_no_similarity_nearby_fits_better_than_umeyamas(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(10, 3))
    target = random_sim3(rng).apply(points) + 0.2 * rng.normal(size=(10, 3))
    found = umeyama(points, target)
    least = ((found.apply(points) - target) ** 2).sum()
    for _ in range(8):
        turn = Rotation.from_rotvec(0.02 * rng.normal(size=3)).as_matrix()
        near = Sim3(
            found.scale * float(np.exp(0.02 * rng.normal())),
            turn @ found.rotation,
            found.translation + 0.02 * rng.normal(size=3),
        )
        assert ((near.apply(points) - target) ** 2).sum() >= least - 1e-9


@pytest.mark.parametrize(
    "points",
    [
        np.array([[1.0, 2, 3]]),
        np.tile(np.array([[1.0, 2, 3]]), (5, 1)),
        np.outer(np.arange(5.0), np.array([1.0, -2, 0.5])),
    ],
    ids=["one point", "one place", "one line"],
)
def test_umeyama_is_defined_on_degenerate_points(points: Array) -> None:
    truth = random_sim3(np.random.default_rng(4))
    found = umeyama(points, truth.apply(points))
    np.testing.assert_allclose(found.apply(points), truth.apply(points), atol=1e-9)
    np.testing.assert_allclose(found.rotation @ found.rotation.T, np.eye(3), atol=1e-12)
    extent = np.ptp(points, axis=0).max()
    assert found.scale == pytest.approx(truth.scale if extent > 0 else 1.0)


@given(seeds, st.integers(2, 12))
def test_cameras_are_aligned_from_two_on(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    truth, poses = random_sim3(rng), random_poses(rng, count)
    assert_equal(align_cameras(poses, truth.apply_to_cameras(poses)), truth, 1e-7)


@given(seeds)
def test_one_camera_is_aligned_at_scale_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    poses, target = random_poses(rng, 1), random_poses(rng, 1)
    found = align_cameras(poses, target)
    assert found.scale == 1.0
    np.testing.assert_allclose(found.apply_to_cameras(poses), target, atol=1e-9)


@given(seeds)
def test_collinear_cameras_are_aligned_about_their_line_too(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, poses = random_sim3(rng), random_poses(rng, 5)
    line = np.outer(np.arange(5.0), rng.normal(size=3))
    poses[:, :, 3] = -(poses[:, :, :3] @ line[:, :, None])[..., 0]
    assert_equal(align_cameras(poses, truth.apply_to_cameras(poses)), truth, 1e-7)


def test_cameras_that_only_turn_are_aligned_at_scale_one() -> None:
    rng = np.random.default_rng(6)
    poses = random_poses(rng, 5)
    poses[:, :, 3] = 0
    rigid = Sim3(1.0, Rotation.random(random_state=rng).as_matrix(), np.array([1.0, 2, 3]))
    assert_equal(align_cameras(poses, rigid.apply_to_cameras(poses)), rigid)


def test_a_target_whose_cameras_all_coincide_does_not_collapse_the_source() -> None:
    rng = np.random.default_rng(7)
    poses = random_poses(rng, 5)
    target = poses.copy()
    target[:, :, 3] = 0
    found = align_cameras(poses, target)
    assert found.scale == 1.0
    np.testing.assert_allclose(centres(found.apply_to_cameras(poses)).mean(0), 0, atol=1e-9)


def test_points_that_all_go_to_one_place_keep_their_size() -> None:
    points = np.random.default_rng(8).normal(size=(6, 3))
    found = umeyama(points, np.tile([[4.0, 5, 6]], (6, 1)))
    assert found.scale == 1.0
    np.testing.assert_allclose(found.apply(points).mean(0), [4, 5, 6], atol=1e-12)


def test_cameras_that_disagree_are_met_in_the_middle() -> None:
    """Turned by -30, 0 and 30 degrees, and by 5 more for all: the mean of the three."""
    source = np.tile(np.eye(3, 4), (3, 1, 1))
    target = source.copy()
    target[:, :, :3] = Rotation.from_euler("z", [[-25], [5], [35]], degrees=True).as_matrix()
    found = Rotation.from_matrix(align_cameras(source, target).rotation).as_euler("zyx", degrees=True)
    np.testing.assert_allclose(found, [-5, 0, 0], atol=1e-9)
