"""Umeyama and RANSAC alignment of trajectories: the published numbers where those exist, a defined result elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from da3_pipeline.benchmark.metrics.alignment import align_trajectories, align_trajectories_robustly
from da3_pipeline.geometry import Sim3, centres
from da3_pipeline.geometry.alignment import umeyama

DATA = Path(__file__).parents[2] / "data"
TRUTH = Sim3(0.4, Rotation.from_rotvec([0.3, -1.2, 0.5]).as_matrix(), np.array([1.0, -2.0, 0.5]))
PUBLISHED = np.load(DATA / "geometry_benchmark" / "published.npz")
CASES = sorted(key.split("/")[1] for key in PUBLISHED if key.endswith("/robust"))


def _cameras(places: NDArray[np.float64], seed: int = 0) -> NDArray[np.float64]:
    rotations = Rotation.random(len(places), random_state=seed).as_matrix()
    return np.concatenate([rotations, -rotations @ places[..., None]], axis=-1)


def _assert_is_truth(found: Sim3, tolerance: float = 1e-9) -> None:
    assert found.scale == pytest.approx(TRUTH.scale, rel=tolerance)
    np.testing.assert_allclose(found.rotation, TRUTH.rotation, atol=tolerance)
    np.testing.assert_allclose(found.translation, TRUTH.translation, atol=tolerance)


def test_the_goldens_cover_both_numbers_of_cameras_and_outliers() -> None:
    assert {"3 by 0.5", "5 by 40.0", "12 by 3.0", "30 by 40.0", "outliers"} <= set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_equals_the_published_alignment(case: str) -> None:
    truth, estimate = (PUBLISHED[f"pose/{case}/{part}"] for part in ("truth", "estimate"))
    for align, kind in ((align_trajectories, "plain"), (align_trajectories_robustly, "robust")):
        mine, theirs = align(estimate, truth), PUBLISHED[f"pose/{case}/{kind}"]
        assert mine.scale == pytest.approx(theirs[0], abs=1e-6)
        np.testing.assert_allclose(mine.rotation, theirs[1:10].reshape(3, 3), atol=1e-6)
        np.testing.assert_allclose(mine.translation, theirs[10:], atol=1e-6)


def test_equals_the_alignment_of_the_published_interface() -> None:
    with np.load(DATA / "model" / "unit_umeyama.npz") as golden:
        estimate, reference = golden["ext_est"][:, :3], golden["ext_ref"][:, :3]
        for align, suffix in ((align_trajectories, "0"), (align_trajectories_robustly, "1")):
            mine = align(estimate, reference)
            assert mine.scale == pytest.approx(float(golden[f"s{suffix}"]), rel=1e-9)
            np.testing.assert_allclose(mine.rotation, golden[f"r{suffix}"], atol=1e-9)
            np.testing.assert_allclose(mine.translation, golden[f"t{suffix}"], atol=1e-9)
            # The published code moves the poses in float32.
            np.testing.assert_allclose(mine.apply_to_cameras(estimate), golden[f"a{suffix}"][:, :3], atol=1e-6)


@pytest.mark.parametrize("count", [3, 9, 10, 40])
def test_recovers_an_exact_similarity(count: int) -> None:
    source = _cameras(np.random.default_rng(count).normal(size=(count, 3)))
    _assert_is_truth(align_trajectories_robustly(source, TRUTH.apply_to_cameras(source)))


def test_ignores_outlying_cameras() -> None:
    rng = np.random.default_rng(1)
    places = rng.normal(size=(30, 3))
    source = _cameras(places)
    moved = places + 1e-3 * rng.normal(size=places.shape)
    moved[:6] += rng.normal(size=(6, 3))
    target = TRUTH.apply_to_cameras(_cameras(moved))
    robust = align_trajectories_robustly(source, target)
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
    for align in (align_trajectories, align_trajectories_robustly):
        found = align(source, TRUTH.apply_to_cameras(source))
        np.testing.assert_allclose(found.rotation, TRUTH.rotation, atol=1e-9)
        np.testing.assert_allclose(
            found.apply_to_cameras(source)[..., :3], TRUTH.apply_to_cameras(source)[..., :3], atol=1e-9
        )
        np.testing.assert_allclose(found.apply(places), TRUTH.apply(places), atol=1e-9)


def test_the_seed_decides() -> None:
    rng = np.random.default_rng(2)
    source, target = (_cameras(rng.normal(size=(20, 3)), seed) for seed in (0, 1))
    first, again, other = (align_trajectories_robustly(source, target, seed=seed) for seed in (5, 5, 6))
    assert first.scale == again.scale
    np.testing.assert_array_equal(first.rotation, again.rotation)
    assert first.scale != other.scale


def test_noise_alone_costs_little_beside_all_cameras() -> None:
    """The samples are halves: from three cameras each the error would be more than three times as large."""
    rng, off = np.random.default_rng(0), []
    for _ in range(12):
        places = rng.normal(size=(100, 3))
        source, target = _cameras(places), TRUTH.apply_to_cameras(_cameras(places + 0.1 * rng.normal(size=(100, 3))))
        for align in (align_trajectories_robustly, align_trajectories):
            off.append(np.sqrt(((align(source, target).apply(places) - TRUTH.apply(places)) ** 2).mean()))
    assert np.mean(off[::2]) < 2.2 * np.mean(off[1::2])
