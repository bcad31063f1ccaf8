"""The stage end to end: a tiny random network, a fake one that knows the truth, and predictions files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from da3_pipeline import model
from da3_pipeline.errors import InferenceError, WeightsError
from da3_pipeline.geometry import Camera, Sim3, nearest_rotation
from da3_pipeline.geometry.robust_alignment import robust_alignment
from da3_pipeline.infer import InferConfig, run
from da3_pipeline.infer.views import RawViews
from da3_pipeline.model import VARIANTS, ModelConfig
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import Frame, FrameSet, Prediction

Frames = Callable[..., FrameSet]
Views = Callable[..., RawViews]
Poses = Callable[..., NDArray[np.float64]]

IN_METRES = Sim3(4.0, nearest_rotation(np.random.default_rng(2).normal(size=(3, 3))), np.array([10.0, -3.0, 7.0]))


@pytest.fixture(scope="module")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of the family with random weights, as a file."""
    config = ModelConfig(64, 10, 2, (3, 5, 7, 9), 8, (8, 8, 16, 16))
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    model.save_checkpoint(model.build(config, generator=torch.Generator().manual_seed(1)), path)
    return path


def infer(frames: FrameSet, **options: Any) -> Prediction:
    return run(frames, InferConfig(device="cpu", **options), SilentProgress())


def assert_consistent(prediction: Prediction) -> None:
    """What every prediction must satisfy, whatever it says."""
    count = len(prediction.frames)
    height, width = prediction.depth.shape[1:]
    assert prediction.depth.shape == prediction.conf.shape == (count, height, width)
    assert prediction.depth.dtype == prediction.conf.dtype == np.float32
    rotation = prediction.cam_from_world[:, :, :3]
    np.testing.assert_allclose(rotation @ np.swapaxes(rotation, 1, 2), np.tile(np.eye(3), (count, 1, 1)), atol=1e-12)
    for frame, pixel_map in zip(prediction.frames.frames, prediction.pixel_maps, strict=True):
        camera = prediction.cameras[frame.camera_id]
        assert (camera.width, camera.height) == (frame.width, frame.height)
        low, high = pixel_map.to_original(np.array([[0.0, 0.0], [width, height]]))
        assert (low > -1e-9).all()
        assert (high < np.array([frame.width, frame.height]) + 1e-6).all()
    assert np.isfinite(prediction.view_intrinsics).all()


def test_a_random_network_gives_a_whole_prediction(tiny_checkpoint: Path, make_frames: Frames) -> None:
    frames = make_frames([(200, 150)] * 4)
    prediction = infer(frames, model=str(tiny_checkpoint), process_res_px=56)
    assert_consistent(prediction)
    assert prediction.frames == frames
    assert prediction.depth.shape == (4, 42, 56)
    assert prediction.source == str(tiny_checkpoint)
    assert prediction.descriptors is not None
    np.testing.assert_allclose(np.linalg.norm(prediction.descriptors, axis=1), 1, rtol=1e-5)
    again = infer(frames, model=str(tiny_checkpoint), process_res_px=56)
    np.testing.assert_array_equal(again.depth, prediction.depth)
    np.testing.assert_array_equal(again.cam_from_world, prediction.cam_from_world)


@pytest.mark.parametrize("sizes", [[(200, 150)], [(200, 150), (150, 200)], [(900, 60), (200, 150), (200, 150)]])
def test_any_mixture_of_shapes_is_one_prediction(
    tiny_checkpoint: Path, make_frames: Frames, sizes: Sequence[tuple[int, int]]
) -> None:
    prediction = infer(make_frames(sizes), model=str(tiny_checkpoint), process_res_px=56)
    assert_consistent(prediction)
    assert len(prediction.frames) == len(sizes)


def test_ray_poses_are_poses(tiny_checkpoint: Path, make_frames: Frames) -> None:
    frames = make_frames([(200, 150)] * 3)
    assert_consistent(infer(frames, model=str(tiny_checkpoint), process_res_px=56, ray_pose=True))


def test_unreadable_frames_are_dropped_with_a_reason(tiny_checkpoint: Path, make_frames: Frames) -> None:
    frames = make_frames([(200, 150)] * 3)
    frames.frames[1].path.write_bytes(b"gone bad")
    prediction = infer(frames, model=str(tiny_checkpoint), process_res_px=56)
    assert prediction.frames.names == (frames.names[0], frames.names[2])
    ((name, reason),) = [(one.frame, one.reason) for one in prediction.dropped]
    assert name == frames.names[1]
    assert reason.startswith("cannot be read (not an image")
    for frame in frames.frames:
        frame.path.unlink()
    with pytest.raises(InferenceError, match="nor can any other"):
        infer(frames, model=str(tiny_checkpoint), process_res_px=56)


def test_no_frames_no_weights_no_device_and_no_memory_are_clear_errors(
    tiny_checkpoint: Path, make_frames: Frames, tmp_path: Path
) -> None:
    frames = make_frames([(200, 150)] * 2)
    with pytest.raises(InferenceError, match="no frames"):
        infer(FrameSet((), ()))
    with pytest.raises(WeightsError):
        infer(frames, model=str(tmp_path / "absent.safetensors"))
    with pytest.raises(InferenceError, match="not there"):
        run(frames, InferConfig(model=str(tiny_checkpoint), device="cuda:99"), SilentProgress())
    with pytest.raises(InferenceError, match=r"may take 0\.01 GB"):
        infer(frames, model=str(tiny_checkpoint), max_memory_gb=0.01)


class Oracle:
    """A network that knows the truth of frames whose pixels tell their index, and answers every call in a new world."""

    def __init__(self, truth: RawViews, failing: Sequence[int] = ()) -> None:
        self.config = VARIANTS["da3-nano"].config
        self.truth = truth
        self.failing = failing
        self.calls: list[tuple[NDArray[np.int64], Tensor | None, Tensor | None]] = []

    def eval(self) -> Oracle:
        return self

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        return iter(())

    def __call__(
        self, images: Tensor, poses: Tensor | None, matrices: Tensor | None, *, feature_layers: Sequence[int], **_: Any
    ) -> SimpleNamespace:
        red = images[0, :, 0].mean((1, 2)) * 0.229 + 0.485
        indices = (red * 255 / 5).round().long().numpy()
        self.calls.append((indices, poses, matrices))
        views = self.truth.subset(indices)
        if poses is None:
            rng = np.random.default_rng(len(self.calls))
            views = views.moved(
                Sim3(float(rng.uniform(0.3, 3)), nearest_rotation(rng.normal(size=(3, 3))), rng.normal(size=3))
            )
        else:
            views = views.moved(robust_alignment(views.cam_from_world, poses[0].double().numpy()))
        depth = views.depth.copy()
        depth[np.isin(indices, self.failing)] = np.nan
        features = torch.ones(1, len(indices), 2, 3, 5)
        return SimpleNamespace(
            depth=torch.from_numpy(depth)[None],
            depth_conf=torch.from_numpy(views.conf)[None],
            cam_from_world=torch.from_numpy(views.cam_from_world).float()[None],
            intrinsics=torch.from_numpy(views.intrinsics).float()[None],
            features={layer: features for layer in feature_layers},
            sky=None,
            scale_factor=None,
            gaussians=None,
        )


@pytest.fixture
def numbered_frames(tmp_path: Path) -> Callable[[int], FrameSet]:
    def make(count: int) -> FrameSet:
        frames = []
        for index in range(count):
            path = tmp_path / f"{index}.png"
            Image.new("RGB", (56, 28), (5 * index, 0, 0)).save(path)
            frames.append(Frame(path.name, path, 56, 28, "camera", str(index)))
        return FrameSet(tuple(frames), ())

    return make


def with_poses(frames: FrameSet, poses: NDArray[np.float64], known: Sequence[int], camera: Camera | None) -> FrameSet:
    posed = tuple(
        replace(frame, known_cam_from_world=poses[i], known_camera=camera) if i in known else frame
        for i, frame in enumerate(frames.frames)
    )
    return FrameSet(posed, ())


@pytest.mark.parametrize("views_per_pass", [None, 12, 5])
def test_chunks_are_merged_into_the_truth(
    monkeypatch: pytest.MonkeyPatch,
    numbered_frames: Callable[[int], FrameSet],
    true_views: Views,
    views_per_pass: int | None,
) -> None:
    truth = true_views(40)
    oracle = Oracle(truth)
    monkeypatch.setattr(model, "load", lambda *_, **__: oracle)
    prediction = infer(numbered_frames(40), process_res_px=28, max_views_per_pass=views_per_pass)
    assert all(len(indices) <= (views_per_pass or 40) for indices, _, _ in oracle.calls)
    found = RawViews(prediction.depth, prediction.conf, prediction.cam_from_world, truth.intrinsics)
    growth = float(np.median(truth.depth / found.depth))
    moved = found.moved(robust_alignment(found.cam_from_world, truth.cam_from_world, growth))
    np.testing.assert_allclose(moved.cam_from_world, truth.cam_from_world, atol=1e-3)
    np.testing.assert_allclose(moved.depth, truth.depth, rtol=1e-3)
    # The photographs are twice the size of the views, and so are the cameras.
    np.testing.assert_allclose(prediction.view_intrinsics[:, 0, 0], 50, rtol=1e-5)
    assert prediction.cameras["camera"].focal_px == pytest.approx(50, rel=1e-5)


def test_frames_that_the_network_fails_on_are_dropped(
    monkeypatch: pytest.MonkeyPatch, numbered_frames: Callable[[int], FrameSet], true_views: Views
) -> None:
    monkeypatch.setattr(model, "load", lambda *_, **__: Oracle(true_views(5), failing=[1, 4]))
    prediction = infer(numbered_frames(5), process_res_px=28)
    assert prediction.frames.names == ("0.png", "2.png", "3.png")
    assert [one.frame for one in prediction.dropped] == ["1.png", "4.png"]
    monkeypatch.setattr(model, "load", lambda *_, **__: Oracle(true_views(5), failing=range(5)))
    with pytest.raises(InferenceError, match="no finite depth, pose and focal length for any of 5 frames"):
        infer(numbered_frames(5), process_res_px=28)


@pytest.mark.parametrize("views_per_pass", [None, 5])
@pytest.mark.parametrize("count", [1, 2, 12])
def test_known_cameras_condition_the_network_and_are_returned(
    monkeypatch: pytest.MonkeyPatch,
    numbered_frames: Callable[[int], FrameSet],
    true_views: Views,
    count: int,
    views_per_pass: int | None,
) -> None:
    truth = true_views(count)
    oracle = Oracle(truth)
    monkeypatch.setattr(model, "load", lambda *_, **__: oracle)
    given = IN_METRES.apply_to_cameras(truth.cam_from_world)
    known = Camera.pinhole(56, 28, 48.0)
    frames = with_poses(numbered_frames(count), given, range(count), known)
    prediction = infer(frames, process_res_px=28, max_views_per_pass=views_per_pass)
    _, poses, matrices = oracle.calls[0]
    assert poses is not None
    assert matrices is not None
    np.testing.assert_allclose(poses[0, 0].numpy(), np.eye(3, 4), atol=1e-6)
    np.testing.assert_allclose(matrices[0, :, 0, 0].numpy(), 24.0)
    np.testing.assert_array_equal(prediction.cam_from_world, given)
    assert prediction.cameras["camera"] == known
    if count > 1:
        np.testing.assert_allclose(prediction.depth, 4 * truth.depth, rtol=1e-3)


@pytest.fixture
def mixed_frames(tmp_path: Path) -> Callable[[int], FrameSet]:
    """Landscape and portrait of two cameras in turn; both are seen as 14 x 14 px, portraits with unsquare pixels."""

    def make(count: int) -> FrameSet:
        frames = []
        for index in range(count):
            size, camera = ((112, 56), "wide") if index % 2 == 0 else ((56, 84), "tall")
            path = tmp_path / f"{index}.png"
            Image.new("RGB", size, (5 * index, 0, 0)).save(path)
            frames.append(Frame(path.name, path, *size, camera, str(index)))
        return FrameSet(tuple(frames), ())

    return make


def test_two_cameras_of_unlike_shapes_each_get_their_own_pixels_back(
    monkeypatch: pytest.MonkeyPatch, mixed_frames: Callable[[int], FrameSet], true_views: Views
) -> None:
    """Focal 25 px about (7, 7) of the network's: landscapes are four times as large, less 28 px cut off at the left;
    portraits four times as wide and three times as high, less 21 px cut off at the top."""
    truth = true_views(6, height=14, width=14)
    monkeypatch.setattr(model, "load", lambda *_, **__: Oracle(truth))
    prediction = infer(mixed_frames(6), process_res_px=28)
    assert_consistent(prediction)
    wide, tall = prediction.view_intrinsics[::2], prediction.view_intrinsics[1::2]
    np.testing.assert_allclose(wide, np.tile([[100, 0, 56], [0, 100, 28], [0, 0, 1]], (3, 1, 1)), rtol=1e-5)
    np.testing.assert_allclose(tall, np.tile([[100, 0, 28], [0, 75, 42], [0, 0, 1]], (3, 1, 1)), rtol=1e-5)
    assert prediction.cameras["wide"].focal_px == pytest.approx(100, rel=1e-5)
    assert prediction.cameras["tall"].focal_px == pytest.approx(np.sqrt(7500), rel=1e-5)
    for index, pixel_map in enumerate(prediction.pixel_maps):
        corner, scale = ((28, 0), (4, 4)) if index % 2 == 0 else ((0, 21), (4, 3))
        spot = pixel_map.to_original(np.array([[2.0, 5.0]]))
        np.testing.assert_allclose(spot, [np.add(corner, np.multiply(scale, (2, 5)))])


def test_the_network_is_told_two_cameras_in_its_own_pixels(
    monkeypatch: pytest.MonkeyPatch, mixed_frames: Callable[[int], FrameSet], true_views: Views
) -> None:
    truth = true_views(4, height=14, width=14)
    oracle = Oracle(truth)
    monkeypatch.setattr(model, "load", lambda *_, **__: oracle)
    known = (Camera("PINHOLE", 112, 56, (90.0, 100.0, 60.0, 26.0)), Camera("PINHOLE", 56, 84, (80.0, 84.0, 30.0, 40.0)))
    given = IN_METRES.apply_to_cameras(truth.cam_from_world)
    frames = FrameSet(
        tuple(
            replace(frame, known_cam_from_world=given[index], known_camera=known[index % 2])
            for index, frame in enumerate(mixed_frames(4).frames)
        ),
        (),
    )
    prediction = infer(frames, process_res_px=28)
    matrices = oracle.calls[0][2]
    assert matrices is not None
    np.testing.assert_allclose(matrices[0, 0], [[22.5, 0, 8], [0, 25, 6.5], [0, 0, 1]], rtol=1e-6)
    np.testing.assert_allclose(matrices[0, 1], [[20, 0, 7.5], [0, 28, 19 / 3], [0, 0, 1]], rtol=1e-6)
    for index in range(4):
        np.testing.assert_allclose(prediction.view_intrinsics[index], known[index % 2].K)
    assert prediction.cameras == {"wide": known[0], "tall": known[1]}
    np.testing.assert_allclose(prediction.depth, 4 * truth.depth, rtol=1e-3)


def test_some_known_poses_place_the_rest(
    monkeypatch: pytest.MonkeyPatch, numbered_frames: Callable[[int], FrameSet], true_views: Views
) -> None:
    truth = true_views(8)
    oracle = Oracle(truth)
    monkeypatch.setattr(model, "load", lambda *_, **__: oracle)
    given = IN_METRES.apply_to_cameras(truth.cam_from_world)
    prediction = infer(with_poses(numbered_frames(8), given, (1, 4, 6), None), process_res_px=28)
    assert oracle.calls[0][1] is None
    np.testing.assert_array_equal(prediction.cam_from_world[[1, 4, 6]], given[[1, 4, 6]])
    np.testing.assert_allclose(prediction.cam_from_world, given, atol=1e-2)
    np.testing.assert_allclose(prediction.depth, 4 * truth.depth, rtol=1e-3)


def test_a_predictions_file_stands_in_for_the_network(
    tmp_path: Path, make_frames: Frames, true_views: Views, random_poses: Poses
) -> None:
    frames = make_frames([(400, 200)] * 3, exif_focal_px=390.0)
    truth = true_views(3)
    path = tmp_path / "p.npz"
    np.savez(
        path,
        depth=truth.depth,
        conf=truth.conf,
        extrinsics=truth.cam_from_world,
        intrinsics=truth.intrinsics,
        names=np.array(["photo 002.png", "photo 000.png", "other.png"]),
    )
    prediction = infer(frames, predictions=path)
    assert_consistent(prediction)
    assert prediction.frames.names == (frames.names[0], frames.names[2])
    np.testing.assert_array_equal(prediction.depth, truth.depth[[1, 0]])
    assert prediction.dropped[0].frame == frames.names[1]
    np.testing.assert_allclose(prediction.view_intrinsics[0][:2], truth.intrinsics[0][:2] * 400 / 28)
    assert prediction.cameras["camera 400x200"] == Camera.pinhole(400, 200, 390.0)
    assert prediction.source == str(path)
    assert prediction.descriptors is None


def test_a_pose_without_depth_is_worth_keeping(tmp_path: Path, make_frames: Frames, true_views: Views) -> None:
    truth = true_views(3)
    depth = truth.depth.copy()
    depth[1] = np.nan
    np.savez(tmp_path / "p.npz", depth=depth, extrinsics=truth.cam_from_world, intrinsics=truth.intrinsics)
    prediction = infer(make_frames([(400, 200)] * 3), predictions=tmp_path / "p.npz")
    assert len(prediction.frames) == 3
    np.testing.assert_allclose(prediction.cam_from_world, truth.cam_from_world, atol=1e-12)


def test_importing_the_stage_does_not_import_torch() -> None:
    code = "import sys, da3_pipeline.infer; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
