"""ATE and RPE: evo's numbers, and motions whose errors are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from da3_pipeline.benchmark.metrics.trajectory import measure_trajectory
from da3_pipeline.geometry import Sim3, identity

PUBLISHED = np.load(Path(__file__).parents[2] / "data" / "geometry_benchmark" / "published.npz")
SPANS = ((1, False), (5, False), (5, True))


def figures(alignment: str) -> list[float]:
    truth, estimate = PUBLISHED["evo/truth"], PUBLISHED["evo/estimate"]
    found = [measure_trajectory(truth, estimate, alignment, *span) for span in SPANS]  # type: ignore[arg-type]
    return [found[0].ate_rmse] + [figure for one in found for figure in (one.rpe_rmse, one.rpe_rmse_deg)]


@pytest.mark.parametrize("alignment", ["none", "se3", "sim3"])
def test_equals_evo(alignment: str) -> None:
    np.testing.assert_allclose(figures(alignment), PUBLISHED[f"evo/{alignment}"], rtol=1e-6)


@pytest.mark.parametrize("alignment", ["none", "se3", "sim3"])
def test_equals_evo_where_it_is_installed(alignment: str) -> None:
    metrics, trajectory = pytest.importorskip("evo.core.metrics"), pytest.importorskip("evo.core.trajectory")

    def square(poses: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        full = np.concatenate([poses, np.tile([[[0.0, 0, 0, 1]]], (len(poses), 1, 1))], axis=1)
        return list(np.linalg.inv(full))

    reference = trajectory.PosePath3D(poses_se3=square(PUBLISHED["evo/truth"]))
    path = trajectory.PosePath3D(poses_se3=square(PUBLISHED["evo/estimate"]))
    if alignment != "none":
        path.align(reference, correct_scale=alignment == "sim3")
    ape = metrics.APE(metrics.PoseRelation.translation_part)
    ape.process_data((reference, path))
    assert figures(alignment)[0] == pytest.approx(ape.get_statistic(metrics.StatisticsType.rmse), rel=1e-9)


def walk(count: int) -> NDArray[np.float64]:
    poses = identity(count)
    poses[:, 0, 3] = -np.arange(count)  # a metre a frame along x
    poses[:, 1, 3] = np.arange(count) % 2  # and from side to side, so that the centres do not lie on a line
    return poses


def test_a_similarity_costs_nothing_once_it_is_aligned() -> None:
    world = Sim3(0.2, Rotation.from_rotvec([0.3, 2.0, -1]).as_matrix(), np.array([4.0, 5, 6]))
    found = measure_trajectory(walk(9), world.apply_to_cameras(walk(9)))
    assert max(found.ate_rmse, found.rpe_rmse, found.rpe_rmse_deg) < 1e-6
    rigid = measure_trajectory(walk(9), world.apply_to_cameras(walk(9)), "se3")
    assert rigid.ate_rmse > 1


def test_half_the_speed_loses_half_of_every_motion() -> None:
    slow = walk(8)
    slow[:, :, 3] /= 2
    found = measure_trajectory(walk(8), slow, "none")
    assert found.rpe == pytest.approx(np.full(7, np.sqrt(2) / 2))
    assert measure_trajectory(walk(8), slow, "none", delta=2).rpe == pytest.approx(np.ones(3))
    assert len(measure_trajectory(walk(8), slow, "none", delta=2, overlapping=True).rpe) == 6


def test_a_steady_turn_is_the_rotation_error_of_each_frame() -> None:
    turning = walk(6)
    turns = Rotation.from_euler("z", 3 * np.arange(6)[:, None], degrees=True).as_matrix()
    turning = turns @ turning
    assert measure_trajectory(walk(6), turning, "none").rpe_deg == pytest.approx(np.full(5, 3.0))


def test_lost_frames_are_left_out_and_the_rest_is_consecutive() -> None:
    lost = walk(7)
    lost[3] = np.nan
    found = measure_trajectory(walk(7), lost)
    assert (len(found.ate), len(found.rpe)) == (6, 5)
    assert found.ate_rmse < 1e-9
    assert np.isnan(measure_trajectory(walk(3), np.full((3, 3, 4), np.nan)).ate_rmse)
