"""Pose metrics: analytic cases, and the published formula beside the true relative pose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from da3_pipeline.benchmark.metrics.pose import THRESHOLDS_DEG, measure_pose
from da3_pipeline.benchmark.metrics.published_pose import published_pair_errors
from da3_pipeline.geometry import Sim3, identity

PUBLISHED = np.load(Path(__file__).parents[2] / "data" / "geometry_benchmark" / "published.npz")
CASES = sorted({key.split("/")[1] for key in PUBLISHED if key.startswith("pose/")})


def cameras(count: int, seed: int = 0) -> NDArray[np.float64]:
    places = np.random.default_rng(seed).normal(size=(count, 3, 1))
    rotations = Rotation.random(count, random_state=seed).as_matrix()
    return np.concatenate([rotations, -rotations @ places], axis=2)


@pytest.mark.parametrize("case", CASES)
def test_the_published_column_is_what_the_published_code_gives(case: str) -> None:
    truth, estimate = (PUBLISHED[f"pose/{case}/{part}"] for part in ("truth", "estimate"))
    mine = measure_pose(truth, estimate).published_auc
    np.testing.assert_allclose(
        [mine[limit] for limit in THRESHOLDS_DEG], 100 * PUBLISHED[f"pose/{case}/auc"], atol=1e-6
    )


def test_truth_in_any_world_and_size_scores_100_everywhere() -> None:
    truth = cameras(7)
    world = Sim3(3.7, Rotation.from_rotvec([1.0, -0.4, 2.0]).as_matrix(), np.array([5.0, -2, 9]))
    found = measure_pose(truth, world.apply_to_cameras(truth))
    assert (found.images, found.registered, found.registered_share) == (7, 7, 100)
    for figures in (found.auc, found.strict_auc, found.published_auc, found.rra, found.rta):
        assert figures == dict.fromkeys(THRESHOLDS_DEG, 100.0)


def test_one_turned_camera_is_wrong_in_its_pairs_alone() -> None:
    """4 of 10 pairs are off by 10 degrees in rotation; two fifths of them are lost up to 10 degrees."""
    truth = cameras(5)
    estimate = truth.copy()
    estimate[2] = Rotation.from_euler("y", 10, degrees=True).as_matrix() @ truth[2]
    found = measure_pose(truth, estimate)
    assert found.rra[5] == pytest.approx(60)
    assert found.rra[15] == pytest.approx(100)
    assert found.auc[5] == pytest.approx(60)


def test_turning_the_first_camera_moves_every_pair_of_the_published_formula() -> None:
    """It is the origin of the world that the formula measures in: a fault of one camera is a fault of all pairs."""
    truth = cameras(6)
    estimate = truth.copy()
    estimate[0] = Rotation.from_euler("x", 20, degrees=True).as_matrix() @ truth[0]
    assert measure_pose(truth, estimate).auc[3] == pytest.approx(100 * 10 / 15)
    assert (published_pair_errors(truth, estimate) > 3).sum() > 5
    assert measure_pose(truth, estimate).published_auc[3] < 40


def test_a_mirrored_way_is_forgiven_by_folding_alone() -> None:
    truth, estimate = identity(2), identity(2)
    truth[1, 0, 3], estimate[1, 0, 3] = 1.0, -1.0
    found = measure_pose(truth, estimate)
    assert found.auc[1] == found.rta[1] == 100
    assert found.strict_auc[30] == 0


def test_missing_images_count_in_every_pair_of_theirs() -> None:
    truth = cameras(4)
    estimate = truth.copy()
    estimate[0] = np.nan
    found = measure_pose(truth, estimate)
    assert (found.registered, found.registered_share) == (3, 75)
    for figures in (found.auc, found.strict_auc, found.published_auc, found.rra, found.rta):
        assert figures[30] == pytest.approx(50)
    lost = measure_pose(truth, np.full_like(truth, np.nan))
    assert lost.auc[30] == lost.published_auc[30] == lost.rra[30] == 0


def test_one_image_has_no_pairs() -> None:
    found = measure_pose(cameras(1), cameras(1))
    assert np.isnan([found.auc[3], found.published_auc[3], found.rra[3], found.rta[3]]).all()


def test_no_motion_where_there_is_some_earns_nothing() -> None:
    found = measure_pose(cameras(6), np.concatenate([cameras(6)[:, :, :3], np.zeros((6, 3, 1))], axis=2))
    assert found.rra[1] == 100
    assert found.auc[30] == found.rta[30] == 0
