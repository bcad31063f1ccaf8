"""Simulated priors are wrong by what was asked, in the way that was asked, and travel through a predictions file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from da3_pipeline.benchmark.truth.known_scene import KnownScene, read_scene
from da3_pipeline.benchmark.truth.prior_noise import PriorNoise, perturbed_poses, scene_extent
from da3_pipeline.benchmark.truth.simulated_prior import simulate_prior, write_prior
from da3_pipeline.errors import UsageError
from da3_pipeline.geometry import align_cameras, centres, rotation_angle_deg
from da3_pipeline.geometry.metrics.poses import pose_errors
from da3_pipeline.infer.prediction_file import read_predictions
from da3_pipeline.progress import SilentProgress

COUNT = 400


@pytest.fixture(scope="module")
def path() -> np.ndarray:
    """(COUNT, 3, 4) cameras on a line of length 10 that turn as they go."""
    angle = np.linspace(0, 2, COUNT)
    rotation = np.zeros((COUNT, 3, 3))
    rotation[:, 0, 0] = rotation[:, 2, 2] = np.cos(angle)
    rotation[:, 0, 2], rotation[:, 2, 0] = np.sin(angle), -np.sin(angle)
    rotation[:, 1, 1] = 1
    places = np.linspace([0, 0, 0], [10, 0, 0], COUNT)
    return np.concatenate([rotation, -rotation @ places[:, :, None]], 2)


@pytest.fixture(scope="module")
def scene(rendered_capture: Path) -> KnownScene:
    return read_scene(rendered_capture, SilentProgress())


def errors(truth: np.ndarray, poses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rotation_angle_deg(poses[:, :, :3], truth[:, :, :3]), np.linalg.norm(centres(poses) - centres(truth), axis=1)


@given(degrees=st.floats(0.5, 30), share=st.floats(0.005, 0.3), drift=st.booleans(), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_errors_have_the_asked_size(path: np.ndarray, degrees: float, share: float, drift: bool, seed: int) -> None:
    poses, wrong = perturbed_poses(path, PriorNoise(degrees, share, 0, drift), np.random.default_rng(seed))
    rotation_deg, shift = errors(path, poses)
    np.testing.assert_allclose(
        poses[:, :, :3] @ np.swapaxes(poses[:, :, :3], 1, 2), np.tile(np.eye(3), (COUNT, 1, 1)), atol=1e-9
    )
    assert len(wrong) == 0
    assert scene_extent(path) == pytest.approx(10)
    # Angles beyond 180 degrees cannot be told from smaller ones; up to 30 in the RMS they hardly occur.
    tolerance = 0.02 if drift else 0.15
    assert np.sqrt((rotation_deg**2).mean()) == pytest.approx(degrees, rel=tolerance)
    assert np.sqrt((shift**2).mean()) == pytest.approx(10 * share, rel=tolerance)


def test_no_noise_is_the_truth(path: np.ndarray) -> None:
    poses, _ = perturbed_poses(path, PriorNoise(), np.random.default_rng(0))
    np.testing.assert_allclose(poses, path, atol=1e-12)


@pytest.mark.parametrize("drift", [False, True])
def test_drift_is_smooth_and_noise_is_not(path: np.ndarray, drift: bool) -> None:
    poses, _ = perturbed_poses(path, PriorNoise(20, 0.2, 0, drift), np.random.default_rng(3))
    shift = centres(poses) - centres(path)
    step = np.sqrt((np.diff(shift, axis=0) ** 2).sum(1).mean())
    between_deg = pose_errors(path[:2], poses[:2]).rotation_deg[0]
    whole = np.sqrt((shift**2).sum(1).mean())
    assert (step < 0.05 * whole) == drift
    assert (between_deg < 1.0) == drift
    assert np.linalg.norm(shift[0] - shift[-1]) > 0.5 * whole or not drift


def test_outliers_are_gross_and_the_others_are_not(path: np.ndarray) -> None:
    seen = set()
    for seed in range(20):
        poses, wrong = perturbed_poses(path, PriorNoise(2, 0.02, 0, outliers=3), np.random.default_rng(seed))
        rotation_deg, shift = errors(path, poses)
        assert len(set(wrong.tolist())) == 3
        assert rotation_deg[wrong].min() >= 59.9
        assert shift[wrong].min() >= 5 - 1e-9
        right = np.setdiff1d(np.arange(COUNT), wrong)
        assert rotation_deg[right].max() < 15
        assert shift[right].max() < 1.5
        seen |= set(wrong.tolist())
    assert len(seen) > 30


def test_noise_is_written_as_it_is_read() -> None:
    noise = PriorNoise.parse("20:10:5", drift=True, outliers=3)
    assert noise == PriorNoise(20, 0.1, 0.05, True, 3)
    assert str(noise) == "20:10:5 drift +3 wrong"
    for text in ("20:10", "a:b:c", "-1:0:0", "5:-5:5", "200:5:5"):
        with pytest.raises(UsageError, match="noise"):
            PriorNoise.parse(text)


def test_a_prior_without_noise_comes_back_from_its_file_as_the_truth_in_a_world_of_its_own(scene: KnownScene) -> None:
    prediction = simulate_prior(scene, PriorNoise(), seed=4).prediction
    truth = scene.cam_from_world
    assert prediction.frames.names == scene.frames.names
    truth_from_prior = align_cameras(prediction.cam_from_world, truth)
    np.testing.assert_allclose(truth_from_prior.apply_to_cameras(prediction.cam_from_world), truth, atol=1e-6)
    assert abs(np.log(truth_from_prior.scale)) > 0.01
    # Depth has the scale of the poses: 1 in the truth, off by a few per cent.
    relative = prediction.depth * truth_from_prior.scale
    assert np.median(relative) == pytest.approx(1, abs=0.05)
    assert 0.01 < np.log(relative).std() < 0.1
    (camera,) = prediction.cameras.values()
    assert camera.focal_px == pytest.approx(scene.intrinsics[0, 0, 0], rel=1e-3)
    assert (camera.width, camera.height) == (scene.frames.frames[0].width, scene.frames.frames[0].height)


def test_noise_reaches_the_prediction_and_is_the_same_for_the_same_seed(scene: KnownScene) -> None:
    noise = PriorNoise(5, 0.05, 0.2)
    first, again, other = (simulate_prior(scene, noise, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.prediction.cam_from_world, again.prediction.cam_from_world)
    assert np.abs(first.prediction.cam_from_world - other.prediction.cam_from_world).max() > 0.01
    rotation_deg = pose_errors(scene.cam_from_world, first.prediction.cam_from_world).rotation_deg
    assert 3 < np.sqrt((rotation_deg**2).mean()) < 12
    (camera,) = first.prediction.cameras.values()
    assert camera.focal_px / scene.intrinsics[0, 0, 0] == pytest.approx(first.focal_factor, rel=1e-3)
    assert min(abs(first.focal_factor - 1.2), abs(first.focal_factor - 1 / 1.2)) < 1e-9


def test_the_file_is_one_that_a_user_could_bring(scene: KnownScene, tmp_path: Path) -> None:
    write_prior(tmp_path / "prior.npz", scene, PriorNoise(5, 0.05, 0.05), 0)
    file = read_predictions(tmp_path / "prior.npz")
    assert file.names == scene.frames.names
    assert file.views.depth.shape == (len(scene), 126, 168)


def test_a_part_of_a_scene_keeps_names_and_truth_together(scene: KnownScene) -> None:
    part = scene.subset(np.array([1, 4, 7]))
    assert part.frames.names == tuple(scene.frames.names[k] for k in (1, 4, 7))
    np.testing.assert_array_equal(part.cam_from_world, scene.cam_from_world[[1, 4, 7]])
    assert len(simulate_prior(part, PriorNoise(), 0).prediction.frames) == 3


def test_a_scene_without_truth_is_refused_in_one_line(rendered_capture: Path, tmp_path: Path) -> None:
    (tmp_path / "images").symlink_to(rendered_capture / "images")
    with pytest.raises(UsageError, match=r"truth\.json"):
        read_scene(tmp_path, SilentProgress())
    (tmp_path / "truth.json").write_text('{"images": {"000.png": {"w2c": [[1,0,0,0],[0,1,0,0],[0,0,1,0]]}}}')
    with pytest.raises(UsageError, match=r"K for 000\.png"):
        read_scene(tmp_path, SilentProgress())
