"""Pose errors against analytic cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from da3_pipeline.geometry import Sim3, identity
from da3_pipeline.geometry.metrics.poses import area_under_recall, centre_rmse, pose_errors


def trajectory(count: int = 6, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    rotation = Rotation.from_rotvec(generator.normal(size=(count, 3)) * 0.3).as_matrix()
    return np.concatenate([rotation, generator.normal(size=(count, 3, 1))], axis=2)


def test_truth_scores_100_in_any_gauge() -> None:
    truth = trajectory()
    gauge = Sim3(3.7, Rotation.from_euler("xyz", [40, 100, -20], degrees=True).as_matrix(), np.array([5.0, -2, 9]))
    moved = gauge.apply_to_cameras(truth)
    errors = pose_errors(truth, moved)
    assert errors.auc(1) == 100
    assert errors.rotation_deg.max() < 1e-6
    assert centre_rmse(truth, moved) < 1e-9


def test_one_turned_camera_is_wrong_in_its_pairs_only() -> None:
    truth = trajectory(5)
    estimate = truth.copy()
    turn = Rotation.from_euler("y", 10, degrees=True).as_matrix()
    estimate[2] = turn @ truth[2]
    errors = pose_errors(truth, estimate)
    wrong = np.isclose(errors.rotation_deg, 10.0)
    assert wrong.sum() == 4
    assert np.allclose(errors.rotation_deg[~wrong], 0, atol=1e-6)


def test_missing_poses_count_as_180() -> None:
    truth = trajectory(4)
    estimate = truth.copy()
    estimate[0] = np.nan
    errors = pose_errors(truth, estimate)
    assert (errors.pair_deg == 180).sum() == 3
    assert (errors.folded_deg == 180).sum() == 3
    assert errors.auc(30) == pytest.approx(50.0)


def test_predicting_no_motion_earns_nothing_from_folding() -> None:
    errors = pose_errors(trajectory(), identity(6))
    assert (errors.folded_deg == 90).all()


def test_a_mirrored_direction_is_forgiven_only_when_folded() -> None:
    truth = identity(2)
    truth[1, 0, 3] = 1.0
    estimate = identity(2)
    estimate[1, 0, 3] = -1.0
    errors = pose_errors(truth, estimate)
    assert errors.translation_deg[0] == pytest.approx(180)
    assert errors.folded_deg[0] == pytest.approx(0)


def test_area_under_recall_by_hand() -> None:
    assert area_under_recall(np.array([0.5, 1.5, 2.5, 10.0]), 3) == pytest.approx(100 * (0.25 + 0.5 + 0.75) / 3)
    assert np.isnan(area_under_recall(np.array([]), 3))


def test_centre_rmse_by_hand() -> None:
    """The corners of a square, by turns above and below their plane: no similarity brings them back into it."""
    corners = np.array([[1.0, 1, 0], [-1, 1, 0], [-1, -1, 0], [1, -1, 0]])
    bent = corners + np.array([[0.0, 0, 0.5], [0, 0, -0.5]] * 2)
    truth, estimate = (np.concatenate([identity(4)[:, :, :3], -places[:, :, None]], 2) for places in (corners, bent))
    assert centre_rmse(truth, estimate) == pytest.approx(np.sqrt(2 - 4 / 2.25))
    lost = np.concatenate([estimate, identity(1)])
    lost[4, 0, 0] = np.nan  # one number is enough to make a pose unknown
    assert centre_rmse(np.concatenate([truth, identity(1)]), lost) == pytest.approx(np.sqrt(2 - 4 / 2.25))


def test_next_to_no_motion_is_none() -> None:
    """A billionth of the true way, in the right direction by chance."""
    truth, estimate = identity(2), identity(2)
    truth[1, 0, 3], estimate[1, 0, 3] = 1e6, 1e-4
    assert pose_errors(truth, estimate).translation_deg[0] == 90
    estimate[1, 0, 3] = 1e-2
    assert pose_errors(truth, estimate).translation_deg[0] == pytest.approx(0)
