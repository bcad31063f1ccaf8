"""The algebra of poses and similarities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from da3_pipeline.geometry import (
    Sim3,
    centres,
    compose,
    identity,
    invert,
    nearest_rotation,
    rotation_angle_deg,
    transform_points,
)

Array = NDArray[np.float64]

seeds = st.integers(0, 2**32 - 1)


def random_poses(seed: int, count: int = 4) -> Array:
    rng = np.random.default_rng(seed)
    rotations = Rotation.random(count, random_state=rng).as_matrix()
    return np.concatenate([rotations, rng.normal(scale=10, size=(count, 3, 1))], axis=2)


def random_sim3(seed: int) -> Sim3:
    rng = np.random.default_rng(seed)
    return Sim3(
        float(np.exp(rng.normal())), Rotation.random(random_state=rng).as_matrix(), rng.normal(scale=10, size=3)
    )


@given(seeds)
def test_a_pose_and_its_inverse_cancel(seed: int) -> None:
    poses = random_poses(seed)
    np.testing.assert_allclose(compose(poses, invert(poses)), identity(4), atol=1e-12)
    np.testing.assert_allclose(compose(invert(poses), poses), identity(4), atol=1e-12)
    np.testing.assert_allclose(invert(invert(poses)), poses, atol=1e-12)


@given(seeds)
def test_composition_is_associative_and_moves_points_one_after_the_other(seed: int) -> None:
    a, b, c = random_poses(seed)[:3]
    np.testing.assert_allclose(compose(a, compose(b, c)), compose(compose(a, b), c), atol=1e-11)
    points = np.random.default_rng(seed).normal(size=(7, 3))
    np.testing.assert_allclose(
        transform_points(compose(a, b), points), transform_points(a, transform_points(b, points)), atol=1e-11
    )


@given(seeds)
def test_a_camera_sees_its_own_centre_at_the_origin(seed: int) -> None:
    poses = random_poses(seed)
    seen = transform_points(poses, centres(poses)[:, None])
    np.testing.assert_allclose(seen, np.zeros((4, 1, 3)), atol=1e-11)


def test_transform_points_takes_many_poses_at_once() -> None:
    poses, points = random_poses(3), np.random.default_rng(1).normal(size=(5, 3))
    together = transform_points(poses, points)
    assert together.shape == (4, 5, 3)
    np.testing.assert_allclose(together[2], points @ poses[2, :, :3].T + poses[2, :, 3], atol=1e-12)


@given(seeds, st.floats(0, 180))
def test_the_angle_of_a_rotation_is_the_one_it_was_made_with(seed: int, angle_deg: float) -> None:
    rng = np.random.default_rng(seed)
    axis = rng.normal(size=3)
    turn = Rotation.from_rotvec(axis / np.linalg.norm(axis) * np.radians(angle_deg)).as_matrix()
    base = Rotation.random(random_state=rng).as_matrix()
    assert rotation_angle_deg(turn @ base, base) == pytest.approx(angle_deg, abs=1e-6)


@pytest.mark.parametrize("angle_deg", [0.0, 1e-9, 1e-6, 179.999999, 180.0])
def test_angles_stay_exact_at_both_ends(angle_deg: float) -> None:
    turn = Rotation.from_euler("z", angle_deg, degrees=True).as_matrix()
    assert rotation_angle_deg(turn, np.eye(3)) == pytest.approx(angle_deg, rel=1e-6, abs=1e-12)


@given(seeds, st.floats(0, 0.3))
def test_the_nearest_rotation_is_a_rotation_and_no_rotation_is_nearer(seed: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    matrix = Rotation.random(random_state=rng).as_matrix() + noise * rng.normal(size=(3, 3))
    nearest = nearest_rotation(matrix)
    np.testing.assert_allclose(nearest @ nearest.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(nearest) == pytest.approx(1)
    distance = np.linalg.norm(matrix - nearest)
    for other in Rotation.from_rotvec(0.01 * rng.normal(size=(8, 3))).as_matrix():
        assert np.linalg.norm(matrix - other @ nearest) >= distance - 1e-12


@pytest.mark.parametrize("matrix", [np.diag([1.0, 1.0, -1.0]), np.zeros((3, 3)), np.diag([1.0, 0.0, 0.0]), -np.eye(3)])
def test_reflections_and_singular_matrices_have_a_nearest_rotation(matrix: Array) -> None:
    nearest = nearest_rotation(matrix)
    np.testing.assert_allclose(nearest @ nearest.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(nearest) == pytest.approx(1)


@given(seeds)
def test_a_similarity_and_its_inverse_cancel(seed: int) -> None:
    sim3, points = random_sim3(seed), np.random.default_rng(seed).normal(size=(6, 3))
    np.testing.assert_allclose(sim3.inverse().apply(sim3.apply(points)), points, atol=1e-9)
    np.testing.assert_array_equal(Sim3.identity().apply(points), points)


@given(seeds)
def test_a_moved_camera_sees_a_moved_point_in_the_same_direction_and_scaled(seed: int) -> None:
    sim3, poses = random_sim3(seed), random_poses(seed)
    points = np.random.default_rng(seed).normal(size=(6, 3))
    moved = sim3.apply_to_cameras(poses)
    np.testing.assert_allclose(centres(moved), sim3.apply(centres(poses)), atol=1e-8)
    np.testing.assert_allclose(
        transform_points(moved, sim3.apply(points)), sim3.scale * transform_points(poses, points), atol=1e-7
    )
    np.testing.assert_allclose(sim3.inverse().apply_to_cameras(moved), poses, atol=1e-8)
