"""Aligning trajectories that have outliers, too few cameras, or no extent."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from da3_pipeline.geometry.poses import Sim3, nearest_rotation, rotation_angle_deg
from da3_pipeline.geometry.robust_alignment import distance_ratio, robust_alignment

TRUTH = Sim3(0.4, Rotation.from_rotvec([0.3, -1.2, 0.5]).as_matrix(), np.array([1.0, -2.0, 0.5]))


def _cameras(places: NDArray[np.float64], seed: int = 0) -> NDArray[np.float64]:
    rotations = Rotation.random(len(places), random_state=seed).as_matrix()
    return np.concatenate([rotations, -rotations @ places[..., None]], axis=-1)


def _assert_is_truth(found: Sim3, tolerance: float = 1e-9) -> None:
    assert found.scale == pytest.approx(TRUTH.scale, rel=tolerance)
    np.testing.assert_allclose(found.rotation, TRUTH.rotation, atol=tolerance)
    np.testing.assert_allclose(found.translation, TRUTH.translation, atol=tolerance)


@given(seed=st.integers(0, 2**16), count=st.integers(2, 8))
def test_a_similarity_between_trajectories_is_found(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    poses = _cameras(rng.normal(size=(count, 3)), seed)
    scale = float(np.exp(rng.normal(scale=0.7)))
    truth = Sim3(scale, nearest_rotation(rng.normal(size=(3, 3))), rng.normal(scale=3.0, size=3))
    found = robust_alignment(poses, truth.apply_to_cameras(poses))
    assert found.scale == pytest.approx(truth.scale, rel=1e-9)
    np.testing.assert_allclose(found.rotation, truth.rotation, atol=1e-9)
    np.testing.assert_allclose(found.translation, truth.translation, atol=1e-7)


def test_cameras_that_stand_still_have_scale_one() -> None:
    poses = np.tile(np.eye(3, 4), (3, 1, 1))
    target = poses.copy()
    target[:, 0, 3] = -5.0
    found = robust_alignment(poses, target)
    assert found.scale == 1.0
    np.testing.assert_allclose(found.translation, [5, 0, 0])


@pytest.mark.parametrize("count", [20, 128, 600])
@pytest.mark.parametrize("together", [False, True], ids=["anywhere", "in one other place"])
def test_nearly_half_of_the_cameras_may_be_wrong(count: int, together: bool) -> None:
    """Every other camera among them, as of a rig with one bad sensor."""
    rng = np.random.default_rng(count)
    source = _cameras(rng.normal(size=(count, 3)))
    target = TRUTH.apply_to_cameras(source)
    wrong = np.arange(count) % 2 == 1
    wrong &= np.cumsum(wrong) <= 0.45 * count
    other = Sim3(3.0, Rotation.from_rotvec([0.0, 2.5, 0.0]).as_matrix(), np.array([9.0, 9.0, 9.0]))
    strays = other.apply_to_cameras(source) if together else _cameras(5 * rng.normal(size=(count, 3)), seed=1)
    target[wrong] = strays[wrong]
    _assert_is_truth(robust_alignment(source, target), 1e-6)


def test_the_rotation_is_better_than_that_of_any_one_camera() -> None:
    """It starts at one of the cameras, and must not stay there."""
    rng = np.random.default_rng(0)
    source = _cameras(rng.normal(size=(300, 3)))
    target = TRUTH.apply_to_cameras(source)
    noise = Rotation.from_rotvec(0.02 * rng.normal(size=(300, 3))).as_matrix()
    target[:, :, :3] = noise @ target[:, :, :3]
    off_deg = rotation_angle_deg(robust_alignment(source, target).rotation, TRUTH.rotation)
    assert off_deg < 2.5 * np.degrees(0.02) / np.sqrt(300)


def test_memory_grows_with_the_number_of_cameras_only() -> None:
    source = _cameras(np.random.default_rng(0).normal(size=(4000, 3)))
    target = TRUTH.apply_to_cameras(source)
    tracemalloc.start()
    found = robust_alignment(source, target)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    _assert_is_truth(found)
    assert peak < 4000 * 25_000  # bytes; one 4,000 x 4,000 array of numbers is 128 MB


def _placed(places: NDArray[np.float64], rotations: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    rotations = np.tile(np.eye(3), (len(places), 1, 1)) if rotations is None else rotations
    return np.concatenate([rotations, -rotations @ places[..., None]], axis=-1)


def test_the_translation_is_the_point_of_least_sum_of_distances() -> None:
    """Of the corners of a convex quadrilateral: where its diagonals cross, far from the mean and from every corner."""
    corners = np.array([[0.0, 0, 1], [10, 10, 1], [1, 4, 1], [6, 1, 1]])
    found = robust_alignment(_placed(np.zeros((4, 3))), _placed(corners), scale=1.0)
    along, across = corners[1] - corners[0], corners[3] - corners[2]
    s, _ = np.linalg.solve(np.stack([along, -across], axis=1)[:2], (corners[2] - corners[0])[:2])
    np.testing.assert_allclose(found.translation, corners[0] + s * along, atol=2e-3)
    assert np.linalg.norm(corners.mean(0) - found.translation) > 0.5


def test_the_rotation_is_the_median_of_the_turns() -> None:
    """About one axis: the middle one of five, not their mean."""
    turns = Rotation.from_euler("z", [[0.0], [4.0], [5.0], [40.0], [90.0]], degrees=True).as_matrix()
    places = np.random.default_rng(4).normal(size=(5, 3))
    found = robust_alignment(_placed(places, turns), _placed(places), scale=1.0)
    np.testing.assert_allclose(Rotation.from_matrix(found.rotation).as_euler("zyx", degrees=True), [5, 0, 0], atol=0.3)


def test_the_scale_is_the_middle_ratio_of_the_distances() -> None:
    """Six cameras on a line, one of which is astray: the distances of the others double."""
    places = np.array([0.0, 1, 3, 7, 15, 31])[:, None] * [1.0, 0, 0]
    moved = 2 * places
    moved[2] = [500.0, 70, 0]
    assert distance_ratio(places, moved) == pytest.approx(2.0)
    assert distance_ratio(moved, places) == pytest.approx(0.5)
    assert distance_ratio(np.vstack([places, places]), np.vstack([moved, moved])) == pytest.approx(2.0)
    for extentless in (places[:1], np.zeros((3, 3)), np.full((4, 3), 1e6) + 1e-5 * places[:4]):
        assert distance_ratio(extentless, np.zeros_like(extentless)) is None
    assert robust_alignment(_placed(places), _placed(moved), scale=3.0).scale == 3.0
