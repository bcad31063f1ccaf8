"""Paths for videos: around what the cameras saw, level, smooth, closed; for any arrangement of cameras."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from da3_pipeline.gaussians import centre_of_attention, flight_path, orbit_path
from da3_pipeline.geometry import Sim3, centres, rotation_angle_deg

Float = NDArray[np.float64]

UP = np.array([0.0, 0, 1])


def look(places: Float, targets: Float) -> Float:
    """(N, 3, 4) upright poses; z is up."""
    forward = targets - places
    forward = forward / np.linalg.norm(forward, axis=1, keepdims=True)
    right = np.cross(forward, UP)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    rotation = np.stack([right, np.cross(forward, right), forward], axis=1)
    return np.concatenate([rotation, -rotation @ places[:, :, None]], axis=2)


def ring(first_deg: float, last_deg: float, count: int = 12, outwards: bool = False) -> Float:
    """Cameras on a circle of radius 3 at height 1 about (1, 2, 0.5), looking at its centre or away from it."""
    angle = np.radians(np.linspace(first_deg, last_deg, count))
    places = np.stack([3 * np.cos(angle), 3 * np.sin(angle), 1 + 0 * angle], 1) + np.array([1, 2, 0])
    focus = np.array([1, 2, 0.5])
    return look(places, 2 * places - focus if outwards else np.tile(focus, (count, 1)))


def assert_smooth_poses(path: Float, closed: bool) -> None:
    rotation = path[:, :, :3]
    np.testing.assert_allclose(rotation @ np.swapaxes(rotation, 1, 2), np.tile(np.eye(3), (len(path), 1, 1)), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(rotation), 1)
    steps = np.linalg.norm(
        np.diff(centres(path), axis=0, append=centres(path)[:1] if closed else np.zeros((0, 3))), axis=1
    )
    turns = rotation_angle_deg(rotation, np.roll(rotation, -1, axis=0))[: None if closed else -1]
    assert steps.max() <= 4 * np.mean(steps) + 1e-9
    assert turns.max() <= 4 * np.mean(turns) + 1e-6


def test_attention_is_where_the_axes_meet() -> None:
    np.testing.assert_allclose(centre_of_attention(ring(0, 330), 3.0), [1, 2, 0.5], atol=0.02)


@pytest.mark.parametrize("count", [1, 5])
def test_parallel_axes_leave_the_choice_to_depth(count: int) -> None:
    places = np.stack([np.linspace(0, 2, count), np.zeros(count), np.zeros(count)], 1)
    poses = look(places, places + np.array([0, 1, 0]))
    np.testing.assert_allclose(centre_of_attention(poses, 5.0), [places[:, 0].mean(), 5, 0], atol=1e-9)


def test_a_full_ring_gives_a_full_circle() -> None:
    path = orbit_path(ring(0, 330), 3.0, 36)
    assert_smooth_poses(path, closed=True)
    offsets = centres(path) - centre_of_attention(ring(0, 330), 3.0)
    np.testing.assert_allclose(np.linalg.norm(offsets, axis=1), np.hypot(3, 0.5), rtol=0.02)
    assert np.ptp(np.arctan2(offsets[:, 1], offsets[:, 0])) > np.radians(300)
    np.testing.assert_allclose(offsets[:, 2], 0.5, atol=0.05)
    looks_at = np.einsum("ni,ni->n", path[:, 2, :3], -offsets) / np.linalg.norm(offsets, axis=1)
    np.testing.assert_allclose(looks_at, 1, atol=1e-9)
    assert (-path[:, 1, 2] > 0.9).all()  # upright


def test_an_arc_gives_an_oval_within_it() -> None:
    poses = ring(20, 100)
    path = orbit_path(poses, 3.0, 36)
    assert_smooth_poses(path, closed=True)
    offsets = centres(path) - centre_of_attention(poses, 3.0)
    angle = np.degrees(np.arctan2(offsets[:, 1], offsets[:, 0]))
    assert 18 < angle.min() < 22 and 98 < angle.max() < 102


def test_cameras_that_look_outwards_give_a_path_that_does() -> None:
    poses = ring(0, 330, outwards=True)
    path = orbit_path(poses, 4.0, 24)
    assert_smooth_poses(path, closed=True)
    offsets = centres(path) - [1, 2, 0.5]
    assert (np.einsum("ni,ni->n", path[:, 2, :3], offsets) > 0).all()


def test_one_camera_sways_a_little() -> None:
    pose = ring(0, 0, 1)
    path = orbit_path(pose, 3.0, 24)
    assert_smooth_poses(path, closed=True)
    moved = np.linalg.norm(centres(path) - centres(pose), axis=1)
    assert 0.05 < moved.max() < 0.6
    np.testing.assert_allclose(flight_path(pose, 5), np.tile(pose, (5, 1, 1)), atol=1e-12)


@given(st.integers(0, 2**32 - 1))
def test_paths_move_along_with_the_world(seed: int) -> None:
    rng = np.random.default_rng(seed)
    b_from_a = Sim3(float(np.exp(rng.normal())), Rotation.random(random_state=rng).as_matrix(), rng.normal(size=3))
    poses = ring(20, 130)
    for make in (lambda p, s: flight_path(p, 20), lambda p, s: orbit_path(p, 3.0 * s, 20)):
        expected = b_from_a.apply_to_cameras(make(poses, 1.0))
        np.testing.assert_allclose(make(b_from_a.apply_to_cameras(poses), b_from_a.scale), expected, atol=1e-7)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_any_cameras_give_paths_of_finite_poses(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    rotation = Rotation.random(count, random_state=rng).as_matrix()
    poses = np.concatenate([rotation, rng.normal(size=(count, 3, 1)) * rng.choice([0, 1])], axis=2)
    for path in (orbit_path(poses, 2.0, 8), flight_path(poses, 8)):
        assert path.shape == (8, 3, 4) and np.isfinite(path).all()
        np.testing.assert_allclose(np.linalg.det(path[:, :, :3]), 1)


def test_a_flight_passes_along_the_cameras_at_an_even_pace() -> None:
    poses = ring(0, 120, count=20)
    poses = np.concatenate([poses[:6], poses[6::3]])  # faster from there on
    path = flight_path(poses, 40, smoothing=0.5)
    assert_smooth_poses(path, closed=False)
    np.testing.assert_allclose(np.hypot(*(centres(path) - [1, 2, 0])[:, :2].T), 3, atol=0.1)
    np.testing.assert_allclose(centres(path)[[0, -1]], centres(poses)[[0, -1]], atol=0.15)
