"""Aligning trajectories that have outliers, too few cameras, or no extent."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from da3_pipeline.geometry.alignment import umeyama
from da3_pipeline.geometry.poses import Sim3, centres, nearest_rotation, rotation_angle_deg
from da3_pipeline.geometry.robust_alignment import align_cameras_robustly, distance_ratio, robust_alignment

GOLDEN = Path(__file__).parents[1] / "data" / "model" / "unit_umeyama.npz"
TRUTH = Sim3(0.4, Rotation.from_rotvec([0.3, -1.2, 0.5]).as_matrix(), np.array([1.0, -2.0, 0.5]))


def _cameras(places: NDArray[np.float64], seed: int = 0) -> NDArray[np.float64]:
    rotations = Rotation.random(len(places), random_state=seed).as_matrix()
    return np.concatenate([rotations, -rotations @ places[..., None]], axis=-1)


def _assert_is_truth(found: Sim3, tolerance: float = 1e-9) -> None:
    assert found.scale == pytest.approx(TRUTH.scale, rel=tolerance)
    np.testing.assert_allclose(found.rotation, TRUTH.rotation, atol=tolerance)
    np.testing.assert_allclose(found.translation, TRUTH.translation, atol=tolerance)


def test_equals_the_published_alignment() -> None:
    with np.load(GOLDEN) as golden:
        estimate, reference = golden["ext_est"][:, :3], golden["ext_ref"][:, :3]
        plain = umeyama(centres(estimate), centres(reference))
        robust = align_cameras_robustly(estimate, reference)
        for mine, suffix in ((plain, "0"), (robust, "1")):
            assert mine.scale == pytest.approx(float(golden[f"s{suffix}"]), rel=1e-9)
            np.testing.assert_allclose(mine.rotation, golden[f"r{suffix}"], atol=1e-9)
            np.testing.assert_allclose(mine.translation, golden[f"t{suffix}"], atol=1e-9)
            # The published code moves the poses in float32.
            np.testing.assert_allclose(mine.apply_to_cameras(estimate), golden[f"a{suffix}"][:, :3], atol=1e-6)


@pytest.mark.parametrize("count", [3, 9, 10, 40])
def test_recovers_an_exact_similarity(count: int) -> None:
    source = _cameras(np.random.default_rng(count).normal(size=(count, 3)))
    _assert_is_truth(align_cameras_robustly(source, TRUTH.apply_to_cameras(source)))


def test_ignores_outlying_cameras() -> None:
    rng = np.random.default_rng(1)
    places = rng.normal(size=(30, 3))
    source = _cameras(places)
    moved = places + 1e-3 * rng.normal(size=places.shape)
    moved[:6] += rng.normal(size=(6, 3))
    target = TRUTH.apply_to_cameras(_cameras(moved))
    robust = align_cameras_robustly(source, target)
    _assert_is_truth(robust, 5e-3)
    assert abs(umeyama(centres(source), centres(target)).scale - TRUTH.scale) > 5 * abs(robust.scale - TRUTH.scale)


@pytest.mark.parametrize(
    "places",
    [
        np.zeros((1, 3)),
        np.array([[0.0, 0, 0], [1, 2, 3]]),
        np.linspace(0, 1, 12)[:, None] * np.array([1.0, -2.0, 0.5]),
    ],
    ids=["one camera", "two cameras", "on a line"],
)
def test_orientations_decide_where_centres_do_not(places: NDArray[np.float64]) -> None:
    source = _cameras(places)
    found = align_cameras_robustly(source, TRUTH.apply_to_cameras(source))
    np.testing.assert_allclose(found.rotation, TRUTH.rotation, atol=1e-9)
    np.testing.assert_allclose(
        found.apply_to_cameras(source)[..., :3], TRUTH.apply_to_cameras(source)[..., :3], atol=1e-9
    )
    np.testing.assert_allclose(found.apply(places), TRUTH.apply(places), atol=1e-9)


def test_the_same_seed_gives_the_same_answer() -> None:
    rng = np.random.default_rng(2)
    source, target = (_cameras(rng.normal(size=(20, 3)), seed) for seed in (0, 1))
    first, second = (align_cameras_robustly(source, target, seed=5) for _ in range(2))
    assert first.scale == second.scale
    np.testing.assert_array_equal(first.rotation, second.rotation)


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
    found = (robust_alignment(source, target), align_cameras_robustly(source, target))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    for one in found:
        _assert_is_truth(one)
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


def test_from_ten_cameras_on_an_outlier_is_left_out() -> None:
    for count in (9, 10):
        source = _cameras(np.random.default_rng(0).normal(size=(count, 3)))
        target = TRUTH.apply_to_cameras(source)
        target[0, :, 3] += 3.0
        found, plain = align_cameras_robustly(source, target), umeyama(centres(source), centres(target))
        if count == 9:
            assert found.scale == plain.scale
        else:
            _assert_is_truth(found)


def test_noise_alone_costs_little_beside_all_cameras() -> None:
    """The samples are halves: from three cameras each the error would be more than three times as large."""
    rng, off = np.random.default_rng(0), []
    for _ in range(12):
        places = rng.normal(size=(100, 3))
        source, target = _cameras(places), TRUTH.apply_to_cameras(_cameras(places + 0.1 * rng.normal(size=(100, 3))))
        for found in (align_cameras_robustly(source, target), umeyama(centres(source), centres(target))):
            off.append(np.sqrt(((found.apply(places) - TRUTH.apply(places)) ** 2).mean()))
    assert np.mean(off[::2]) < 2.2 * np.mean(off[1::2])
