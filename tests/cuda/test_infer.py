"""The stage of inference on CUDA, whole: reading, loading, passes in bfloat16, and what comes back."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from da3_pipeline import infer, model
from da3_pipeline.geometry import Camera, identity
from da3_pipeline.infer import InferConfig
from da3_pipeline.infer.budget.device import pick_device, precision
from da3_pipeline.model import VARIANTS, Network
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import Frame, FrameSet, Prediction

from .conftest import CudaWithoutGpu

WIDTH, HEIGHT, COUNT = 56, 42, 3  # from three views on, a reference view is looked for
BF16, F32 = torch.bfloat16, torch.float32
ANY_VIEW = ("da3-nano", "da3-small", "da3-base", "da3-large", "da3-giant", "da3nested-giant-large")
MONOCULAR = ("da3mono-large",)


@pytest.fixture
def frames(tmp_path: Path) -> FrameSet:
    rng = np.random.default_rng(0)
    listed = []
    for index in range(COUNT):
        path = tmp_path / f"{index}.png"
        Image.fromarray(rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)).save(path)
        listed.append(Frame(path.name, path, WIDTH, HEIGHT, "camera", str(index)))
    return FrameSet(tuple(listed), ())


@pytest.fixture
def known(frames: FrameSet) -> FrameSet:
    """The same with poses a step apart, and their camera."""
    poses = identity(COUNT)
    poses[:, 0, 3] = np.arange(COUNT)
    camera = Camera.pinhole(WIDTH, HEIGHT, 50.0)
    given = (
        Frame(f.name, f.path, WIDTH, HEIGHT, "camera", f.fingerprint, known_camera=camera, known_cam_from_world=pose)
        for f, pose in zip(frames.frames, poses, strict=True)
    )
    return FrameSet(tuple(given), ())


@functools.cache
def structure(name: str) -> Network:
    """A network without memory for its weights, made where tensors are not fake."""
    with torch.device("meta"):
        return model.build(name).eval()


@pytest.fixture(autouse=True)
def load(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of networks that are not built in need no file: they come as they are, on the device asked for."""
    real = model.load

    def load(name: str, *, device: torch.device) -> Network:
        if name == "da3-nano":
            return real(name, device=device)
        net = structure(name)
        state = {key: torch.empty(value.shape, device=device) for key, value in net.state_dict().items()}
        net.load_state_dict(state, assign=True)
        return net

    monkeypatch.setattr(model, "load", load)


def predict(machine: CudaWithoutGpu, frames: FrameSet, workspace: Path, name: str, **settings: object) -> Prediction:
    config = InferConfig.model_validate({"model": name, "device": "cuda", "process_res_px": 56, **settings})
    for used in {config.model, config.metric_model or name} - {"da3-nano"}:
        structure(used)
    with machine:
        return infer.run(frames, config, SilentProgress(), workspace)


def test_every_kind_of_network_is_run_here() -> None:
    run = {VARIANTS[name].config for name in (*ANY_VIEW, *MONOCULAR)}
    assert {entry.config for entry in VARIANTS.values()} == run


@pytest.mark.parametrize("name", ANY_VIEW)
def test_trunks_in_bfloat16_and_heads_in_float32(
    name: str, frames: FrameSet, cuda: CudaWithoutGpu, tmp_path: Path
) -> None:
    gaussians = VARIANTS[name].config.gaussian_head
    prediction = predict(cuda, frames, tmp_path / "work", name, gaussians=gaussians)
    assert prediction.frames.names == frames.names
    assert {prediction.depth.dtype, prediction.conf.dtype, prediction.cam_from_world.dtype} == {
        np.dtype(np.float32),
        np.dtype(np.float64),
    }
    assert (prediction.gaussians is not None) == gaussians
    assert {place for place in cuda.seen if place[0] == "attention"} == {("attention", "cuda", BF16)}
    assert {place for place in cuda.seen if place[0] == "convolution"} == {
        ("convolution", "cuda", BF16),
        ("convolution", "cuda", F32),
    }
    assert {shape[1:] for shape in cuda.halved} == {(3, 14, 14)}  # of patches, the only one that is a trunk's
    assert not any(device == "cpu" for _, device, _ in cuda.seen)


@pytest.mark.parametrize("name", ANY_VIEW)
def test_told_cameras_go_there_too(name: str, known: FrameSet, cuda: CudaWithoutGpu, tmp_path: Path) -> None:
    prediction = predict(cuda, known, tmp_path / "work", name)
    np.testing.assert_array_equal(prediction.cam_from_world, [f.known_cam_from_world for f in known.frames])
    assert {place for place in cuda.seen if place[0] == "attention"} == {
        ("attention", "cuda", BF16),
        ("attention", "cuda", F32),  # of the camera encoder
    }


def test_cameras_from_rays(frames: FrameSet, cuda: CudaWithoutGpu, tmp_path: Path) -> None:
    assert len(predict(cuda, frames, tmp_path / "work", "da3-nano", ray_pose=True).frames) == COUNT


def test_a_metric_network_beside(frames: FrameSet, cuda: CudaWithoutGpu, tmp_path: Path) -> None:
    prediction = predict(cuda, frames, tmp_path / "work", "da3-nano", metric_model="da3metric-large")
    assert prediction.sky is not None
    assert prediction.metric is not None
    assert not any(device == "cpu" for _, device, _ in cuda.seen)


@pytest.mark.parametrize("name", MONOCULAR)
def test_a_monocular_network(name: str, cuda: CudaWithoutGpu) -> None:
    structure(name)
    with cuda, torch.inference_mode():
        device = pick_device("auto")
        network = model.load(name, device=device)
        with precision(device):
            output = network(torch.empty(1, 2, 3, HEIGHT, WIDTH, device=device))
        assert output.depth.device.type == output.sky.device.type == "cuda"
        assert output.depth.dtype == output.sky.dtype == F32
    assert ("attention", "cuda", BF16) in cuda.seen
