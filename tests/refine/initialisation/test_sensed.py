"""A start from measured depth: where two pictures share what no third one shows, and the prior knows nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scenes import Make, Synthetic, landscape
from sensed_scenes import MILLIMETRES, sensed

from da3_pipeline.arrays import Float
from da3_pipeline.geometry import centres, compose, invert, rotation_angle_deg
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine import RefineConfig
from da3_pipeline.refine.config import MeasuredDepthConfig
from da3_pipeline.refine.initialisation.candidates import compete
from da3_pipeline.refine.initialisation.sensed import _places, start_from_depth
from da3_pipeline.refine.initialisation.two_view import RelativePoses
from da3_pipeline.refine.solve.problem import Estimate

METRES = MILLIMETRES / 1000  # of a unit of the world
RECIPE = {"points": 400, "lenses": (landscape(2600.0),), "prior_focal": 1.5}


def lost(make_capture: Make, poses: Float, folder: Path, layout: str) -> Synthetic:
    """Two frames with 1 % of error of their depth, of whose poses the prior knows nothing."""
    recipe = {**RECIPE, "frames": 2, "layout": layout}
    capture = make_capture(**recipe, noise_px=0.7, false_matches=0.05)
    exact = make_capture(**recipe, noise_px=0.0, false_matches=0.0)
    return sensed(capture, exact, folder, error=0.01).with_prior(poses)


def errors(found: Estimate, capture: Synthetic) -> tuple[float, float]:
    """Degrees between the two frames, and their distance in metres over the true one."""
    second_from_first = [
        compose(poses[1], invert(poses[0])) for poses in (found.cam_from_world, capture.cam_from_world)
    ]
    turn = rotation_angle_deg(second_from_first[0][None, :, :3], second_from_first[1][None, :, :3])
    apart = [float(np.linalg.norm(pose[:, 3])) for pose in second_from_first]
    return float(turn[0]), apart[0] / (METRES * apart[1])


@pytest.mark.parametrize(("layout", "within"), [("arc", 0.03), ("turn", 0.2)])
def test_two_frames_stand_apart_as_the_sensor_says(
    make_capture: Make, random_poses: Callable[[int], Float], tmp_path: Path, layout: str, within: float
) -> None:
    """Also where they are 0.07 m apart, a fiftieth of what they see."""
    capture = lost(make_capture, random_poses(2), tmp_path, layout)
    problem = capture.problem()
    found = start_from_depth(problem, problem.prior.cameras, capture.frames, RefineConfig(), SilentProgress())
    turn, apart = errors(found, capture)
    assert turn < 1.0 and abs(apart - 1) < within
    focal = {name: camera.focal_px for name, camera in capture.truth.cameras.items()}
    assert {name: camera.focal_px for name, camera in found.cameras.items()} == pytest.approx(focal, rel=0.05)


def test_a_focal_length_that_somebody_tells_is_kept(
    make_capture: Make, random_poses: Callable[[int], Float], tmp_path: Path
) -> None:
    capture = lost(make_capture, random_poses(2), tmp_path, "arc")
    problem = replace(capture.problem(), exif_focal_px={"camera": 1300.0})
    found = start_from_depth(problem, problem.prior.cameras, capture.frames, RefineConfig(), SilentProgress())
    assert found.cameras == problem.prior.cameras


def test_it_wins_where_nothing_else_can_start(
    make_capture: Make, random_poses: Callable[[int], Float], tmp_path: Path
) -> None:
    capture = lost(make_capture, random_poses(2), tmp_path, "arc")
    config, problem = RefineConfig(), capture.problem()
    without = compete(problem, config, SilentProgress())
    assert without[0].score.score < 0.1
    best = compete(problem, config, SilentProgress(), frames=capture.frames)[0]
    assert best.score.name == "sensor depth" and best.score.score > 0.9
    assert errors(best.fit.estimate, capture)[0] < 0.5
    off = config.model_copy(update={"measured_depth": MeasuredDepthConfig(use=False)})
    names = [one.score.name for one in compete(problem, off, SilentProgress(), frames=capture.frames)]
    assert names == [one.score.name for one in without]


def test_frames_without_depth_have_no_such_start(make_capture: Make, random_poses: Callable[[int], Float]) -> None:
    capture = make_capture(**RECIPE, frames=2).with_prior(random_poses(2))
    problem = capture.problem()
    found = start_from_depth(problem, problem.prior.cameras, capture.frames, RefineConfig(), SilentProgress())
    assert not found.posed.any()


def test_a_pair_that_is_wrong_does_not_move_the_others(random_poses: Callable[[int], Float]) -> None:
    """Ten frames around a ring, each paired with the three that follow; one pair claims to be far apart."""
    poses = random_poses(10)
    pairs = np.array([(k, (k + step) % 10) for k in range(10) for step in (1, 2, 3)])
    relative = np.array([compose(poses[j], invert(poses[i])) for i, j in pairs.tolist()])
    relative[4, :, 3] *= 20.0
    found = _places(poses[:, :, :3], RelativePoses(pairs, relative, np.full(len(pairs), 100)))
    truth = centres(poses)
    np.testing.assert_allclose(found, truth - truth[0], atol=0.02 * np.ptp(truth))
