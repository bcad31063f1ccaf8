"""What some networks say beside depth and cameras: sky, metres, Gaussians."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from da3_pipeline import model
from da3_pipeline.errors import InferenceError, UsageError
from da3_pipeline.geometry import Sim3, nearest_rotation
from da3_pipeline.infer import InferConfig, run
from da3_pipeline.infer.gaussian_views import cloud_of_views, gaussians_by_view
from da3_pipeline.infer.metric_depth import metric_scale_of
from da3_pipeline.infer.views import RawViews, typical_depth
from da3_pipeline.model import Gaussians, ModelConfig
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import FrameSet, Prediction

Frames = Callable[..., FrameSet]
Views = Callable[..., RawViews]

MONOCULAR = ModelConfig(64, 6, 6, (1, 2, 4, 5), 8, (4, 4, 8, 8))
GAUSSIAN = ModelConfig(64, 10, 2, (3, 5, 7, 9), 8, (4, 4, 8, 8), gaussian_head=True)
CONFIGS = {"monocular": MONOCULAR, "gaussian": GAUSSIAN, "nested": replace(GAUSSIAN, metric=MONOCULAR)}
IN_B = Sim3(3.0, nearest_rotation(np.random.default_rng(0).normal(size=(3, 3))), np.array([5.0, -2.0, 1.0]))


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A small network of each kind with random weights, whose sky and depth depend on the picture."""
    folder = tmp_path_factory.mktemp("weights")
    for kind, config in CONFIGS.items():
        net = model.build(config, generator=torch.Generator().manual_seed(1))
        noise = torch.Generator().manual_seed(2)
        with torch.no_grad():
            for name, weight in net.named_parameters():
                if "output_conv2.2.weight" in name and "gs_head" not in name:
                    weight.normal_(0, 0.3, generator=noise)
        model.save_checkpoint(net, folder / f"{kind}.safetensors")
    return {kind: str(folder / f"{kind}.safetensors") for kind in CONFIGS}


def infer(frames: FrameSet, **options: Any) -> Prediction:
    return run(frames, InferConfig(device="cpu", **options), SilentProgress())


def test_a_nested_network_gives_metres_and_sky(make_frames: Frames, checkpoints: dict[str, str]) -> None:
    prediction = infer(make_frames([(84, 56)] * 3), model=checkpoints["nested"], process_res_px=84)
    assert prediction.metric is not None
    assert prediction.metric.metres_per_unit == pytest.approx(1)
    assert prediction.metric.relative_sigma == pytest.approx(0)
    assert prediction.metric.source == checkpoints["nested"]
    assert prediction.sky is not None
    assert prediction.sky.shape == prediction.depth.shape
    assert 0 < prediction.sky.mean() < 1, "the case must have both"
    assert (prediction.conf[prediction.sky] == 1).all()
    assert prediction.gaussians is None


def test_metres_and_sky_come_from_a_metric_network_beside_another(
    make_frames: Frames, checkpoints: dict[str, str]
) -> None:
    frames = make_frames([(84, 56)] * 3)
    plain = infer(frames, model=checkpoints["gaussian"], process_res_px=84)
    told = infer(frames, model=checkpoints["gaussian"], metric_model=checkpoints["monocular"], process_res_px=84)
    assert plain.metric is None
    assert plain.sky is None
    np.testing.assert_array_equal(told.depth, plain.depth)
    assert told.sky is not None
    assert 0 < told.sky.mean() < 1
    assert told.metric is not None
    assert told.metric.source == checkpoints["monocular"]
    assert told.metric.metres_per_unit > 0
    assert 0 < told.metric.relative_sigma < 2


@pytest.mark.parametrize("kind", ["gaussian", "nested"])
def test_gaussians_lie_where_depth_and_cameras_say(make_frames: Frames, checkpoints: dict[str, str], kind: str) -> None:
    prediction = infer(make_frames([(84, 56)] * 2), model=checkpoints[kind], process_res_px=84, gaussians=True)
    cloud = prediction.gaussians
    assert cloud is not None
    assert cloud.harmonics.shape == (len(cloud), 3, 9)
    assert set(cloud.view) == {0, 1}
    np.testing.assert_allclose(np.linalg.norm(cloud.rotations, axis=1), 1, atol=1e-5)
    sky = np.zeros(prediction.depth.shape, bool) if prediction.sky is None else prediction.sky
    for view, pose in enumerate(prediction.cam_from_world):
        local = cloud.means[cloud.view == view] @ pose[:, :3].T + pose[:, 3]
        # Offsets in depth are small in a fresh network, and depth counts along the ray.
        ratio = np.median(np.linalg.norm(local, axis=1)) / np.median(prediction.depth[view][~sky[view]])
        assert 0.7 < ratio < 1.4


def test_gaussians_follow_their_views_into_any_world(true_views: Views) -> None:
    views = true_views(2, height=4, width=6)
    rng = np.random.default_rng(3)
    count = 2 * 4 * 6
    quaternions = rng.normal(size=(count, 4))
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    given = Gaussians(
        *(
            torch.from_numpy(np.asarray(array, np.float32))[None]
            for array in (
                rng.normal(size=(count, 3)),
                rng.uniform(0.1, 1, (count, 3)),
                quaternions,
                rng.normal(size=(count, 3, 9)),
                rng.uniform(0.1, 1, count),
            )
        )
    )
    views = replace(views, gaussians=gaussians_by_view(given, views))
    cloud, moved = cloud_of_views(views), cloud_of_views(views.moved(IN_B))
    assert cloud is not None
    assert moved is not None
    np.testing.assert_allclose(cloud.means, given.means[0], atol=1e-5)
    np.testing.assert_allclose(cloud.scales, given.scales[0], rtol=1e-5)
    np.testing.assert_allclose(cloud.harmonics, given.harmonics[0], atol=1e-5)
    np.testing.assert_allclose(np.abs((cloud.rotations * given.rotations[0].numpy()).sum(1)), 1, atol=1e-5)
    np.testing.assert_allclose(moved.means, IN_B.apply(cloud.means.astype(float)), atol=1e-4)
    np.testing.assert_allclose(moved.scales, 3 * cloud.scales, rtol=1e-4)
    assert cloud.view.tolist() == [0] * 24 + [1] * 24


def test_sky_invisible_and_lost_gaussians_are_left_out(true_views: Views) -> None:
    views = true_views(2, height=2, width=3)
    kept = np.ones((2, 2, 3, 38), np.float32)
    kept[0, 0, 0, -1] = 0.001
    kept[1, 1, 1, 5] = np.nan
    sky = np.zeros((2, 2, 3), bool)
    sky[0, 1] = True
    cloud = cloud_of_views(replace(views, gaussians=kept, sky=sky))
    assert cloud is not None
    assert np.bincount(cloud.view).tolist() == [2, 5]
    assert cloud_of_views(views) is None


def test_the_length_of_a_unit_is_the_median_over_the_views_that_know_it(true_views: Views) -> None:
    views = true_views(5)
    lengths: NDArray[np.float64] = typical_depth(views.depth) * np.array([2.0, 2.2, 1.8, 50.0, np.nan])
    known = replace(views, depth_m=lengths)
    scale = metric_scale_of(known, "test")
    assert scale is not None
    assert scale.metres_per_unit == pytest.approx(np.sqrt(2.0 * 2.2))
    moved = metric_scale_of(known.moved(IN_B), "test")
    assert moved is not None
    assert moved.metres_per_unit == pytest.approx(scale.metres_per_unit / 3, rel=1e-6)
    assert moved.relative_sigma == pytest.approx(scale.relative_sigma, rel=1e-5)
    assert metric_scale_of(replace(views, depth_m=np.full(5, np.nan)), "test") is None
    assert metric_scale_of(views, "test") is None


@pytest.mark.parametrize("name", ["da3mono-large", "da3metric-large"])
def test_a_network_without_cameras_is_refused_before_it_is_fetched(make_frames: Frames, name: str) -> None:
    with pytest.raises(InferenceError, match=f"{name} is a monocular network, which predicts no cameras"):
        infer(make_frames([(84, 56)]), model=name)


def test_a_file_of_a_network_without_cameras_is_refused(make_frames: Frames, checkpoints: dict[str, str]) -> None:
    with pytest.raises(InferenceError, match="predicts no cameras"):
        infer(make_frames([(84, 56)]), model=checkpoints["monocular"])


def test_gaussians_of_a_network_that_has_none_are_refused(make_frames: Frames) -> None:
    with pytest.raises(UsageError, match=r"da3-nano predicts no Gaussians; da3-giant and .* do"):
        infer(make_frames([(84, 56)]), model="da3-nano", gaussians=True)


def test_a_metric_model_without_metres_is_refused(
    make_frames: Frames, checkpoints: dict[str, str], tmp_path: Path
) -> None:
    frames = make_frames([(84, 56)])
    with pytest.raises(UsageError, match="its depth has no scale"):
        infer(frames, model="da3-nano", metric_model="da3mono-large")
    with pytest.raises(UsageError, match="is no monocular network"):
        infer(frames, model="da3-nano", metric_model=checkpoints["nested"])
    for options in ({"gaussians": True}, {"metric_model": "da3metric-large"}):
        with pytest.raises(UsageError, match="need a network"):
            infer(frames, predictions=tmp_path / "x.npz", **options)


@pytest.mark.parametrize("views", [3, 4])
def test_chunks_of_a_long_capture_carry_all_of_it(make_frames: Frames, checkpoints: dict[str, str], views: int) -> None:
    frames = make_frames([(84, 56)] * 7)
    prediction = infer(
        frames,
        model=checkpoints["nested"],
        process_res_px=84,
        gaussians=True,
        max_views_per_pass=views,
        chunk_overlap=2,
    )
    assert prediction.metric is not None
    assert prediction.metric.metres_per_unit > 0
    assert prediction.gaussians is not None
    assert prediction.sky is not None
    assert prediction.sky.shape == prediction.depth.shape
    assert set(prediction.gaussians.view) <= set(range(len(prediction.frames)))
    assert np.isfinite(prediction.gaussians.means).all()
