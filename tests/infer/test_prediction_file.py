"""Predictions files: a round trip, and one clear line for each way of being wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from da3_pipeline.errors import ExportError, InferenceError
from da3_pipeline.geometry import rotation_angle_deg
from da3_pipeline.infer import InferConfig, run, save_predictions
from da3_pipeline.infer.prediction_file import read_predictions
from da3_pipeline.infer.views import RawViews
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import FrameSet

Arrays = dict[str, NDArray[Any]]


@pytest.fixture
def arrays(true_views: Callable[..., RawViews]) -> Arrays:
    views = true_views(3)
    return {
        "depth": views.depth,
        "conf": views.conf,
        "extrinsics": views.cam_from_world.astype(np.float32),
        "intrinsics": views.intrinsics,
    }


def write(path: Path, arrays: Arrays) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def test_reads_what_the_published_tools_write(tmp_path: Path, arrays: Arrays) -> None:
    file = read_predictions(write(tmp_path / "p.npz", arrays))
    np.testing.assert_array_equal(file.views.depth, arrays["depth"])
    np.testing.assert_allclose(file.views.cam_from_world, arrays["extrinsics"], atol=1e-6)
    assert file.names is None
    rotation = file.views.cam_from_world[:, :, :3]
    np.testing.assert_allclose(rotation @ np.swapaxes(rotation, 1, 2), np.tile(np.eye(3), (3, 1, 1)), atol=1e-14)


def test_accepts_4x4_poses_missing_confidence_and_unknown_depth(tmp_path: Path, arrays: Arrays) -> None:
    bottom = np.tile(np.array([[[0.0, 0, 0, 1]]]), (3, 1, 1))
    arrays["extrinsics"] = np.concatenate([arrays["extrinsics"], bottom], axis=1)
    del arrays["conf"]
    arrays["depth"][0, 0, 0] = np.nan
    file = read_predictions(write(tmp_path / "p.npz", arrays))
    assert file.views.cam_from_world.shape == (3, 3, 4)
    assert (file.views.conf == 1).all()


def test_a_slightly_sheared_rotation_becomes_the_nearest_one(tmp_path: Path, arrays: Arrays) -> None:
    clean = arrays["extrinsics"][:, :, :3].copy()
    arrays["extrinsics"][:, :, :3] += np.random.default_rng(1).normal(scale=1e-3, size=(3, 3, 3))
    file = read_predictions(write(tmp_path / "p.npz", arrays))
    assert rotation_angle_deg(file.views.cam_from_world[:, :, :3], clean).max() < 0.3


def spoil(key: str, index: Any, value: float) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[key][index] = value

    return change


def put(key: str, make: Callable[[Arrays], Any]) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[key] = np.asarray(make(arrays))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("depth"), "no array 'depth'"),
        (lambda arrays: arrays.pop("extrinsics"), "no array 'extrinsics'"),
        (put("depth", lambda a: a["depth"][0]), r"depth has shape \(14, 28\)"),
        (put("depth", lambda a: a["depth"][:0]), "depth has shape"),
        (put("depth", lambda a: a["depth"] * np.nan), "no positive finite value"),
        (put("depth", lambda a: a["depth"].astype(str)), "not real numbers"),
        (put("conf", lambda a: a["conf"][:, ::2]), "conf has shape"),
        (put("extrinsics", lambda a: a["extrinsics"][:2]), "extrinsics has shape"),
        (put("extrinsics", lambda a: a["extrinsics"][:, :, :3]), "extrinsics has shape"),
        (spoil("extrinsics", (1, 0, 3), np.nan), "extrinsics of frame 1 .* not finite"),
        (spoil("extrinsics", (2, slice(None), 0), 0.0), "frame 2 .* no rotation .* world-to-camera"),
        (put("extrinsics", lambda a: a["extrinsics"] * [1, 1, -1, 1]), "frame 0 .* mirrored"),
        (put("extrinsics", lambda a: np.pad(a["extrinsics"], ((0, 0), (0, 1), (0, 0)))), "last row other than 0 0 0 1"),
        (spoil("intrinsics", (2, 1, 1), -3.0), "frame 2 .* not positive"),
        (spoil("intrinsics", (0, 0, 0), np.inf), "intrinsics of frame 0 .* not finite"),
        (spoil("intrinsics", (0, 2, 0), 1.0), "last row other than 0 0 1"),
        (put("intrinsics", lambda a: a["intrinsics"] * [[4.0], [4.0], [1.0]]), "in the depth maps' pixels"),
        (put("names", lambda a: ["a", "b"]), "names has shape"),
        (put("names", lambda a: ["a", "b", "a"]), "'a' twice"),
        (put("names", lambda a: [1, 2, 3]), "not text"),
        (put("pixel_scale", lambda a: np.ones((3, 2))), "no array 'pixel_offset'"),
    ],
)
def test_one_line_for_each_fault(
    tmp_path: Path, arrays: Arrays, change: Callable[[Arrays], object], message: str
) -> None:
    change(arrays)
    with pytest.raises(InferenceError, match=message) as raised:
        read_predictions(write(tmp_path / "p.npz", arrays))
    assert "\n" not in str(raised.value)
    assert str(tmp_path / "p.npz") in str(raised.value)


def test_names_the_frame_at_fault(tmp_path: Path, arrays: Arrays) -> None:
    arrays["names"] = np.array(["a.jpg", "b.jpg", "c.jpg"])
    arrays["extrinsics"][1, 0, 3] = np.inf
    with pytest.raises(InferenceError, match=r"extrinsics of 'b\.jpg' are not finite"):
        read_predictions(write(tmp_path / "p.npz", arrays))


def test_never_unpickles(tmp_path: Path, arrays: Arrays) -> None:
    arrays["names"] = np.array(["a", "b", None], dtype=object)
    with pytest.raises(InferenceError, match="pickled"):
        read_predictions(write(tmp_path / "p.npz", arrays))


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut short"])
def test_what_is_no_npz(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.npz"
    path.write_bytes(content)
    with pytest.raises(InferenceError, match="no npz") as raised:
        read_predictions(path)
    assert "\n" not in str(raised.value)


def test_a_truncated_npz(tmp_path: Path, arrays: Arrays) -> None:
    path = write(tmp_path / "p.npz", arrays)
    content = bytearray(path.read_bytes())
    content[200:400] = bytes(200)
    path.write_bytes(bytes(content))
    with pytest.raises(InferenceError, match="no npz"):
        read_predictions(path)


def test_a_missing_file_a_folder_and_a_single_array(tmp_path: Path) -> None:
    with pytest.raises(InferenceError, match="no such"):
        read_predictions(tmp_path / "absent.npz")
    with pytest.raises(InferenceError, match="no npz"):
        read_predictions(tmp_path)
    np.save(tmp_path / "one.npy", np.ones(3))
    with pytest.raises(InferenceError, match="single array"):
        read_predictions(tmp_path / "one.npy")


def test_a_saved_prediction_is_read_back_the_same(
    tmp_path: Path, arrays: Arrays, make_frames: Callable[..., FrameSet]
) -> None:
    frames = make_frames([(400, 200)] * 3)
    config = InferConfig(predictions=write(tmp_path / "p.npz", arrays))
    prediction = run(frames, config, SilentProgress())
    save_predictions(prediction, tmp_path / "again.npz")
    again = run(frames, InferConfig(predictions=tmp_path / "again.npz"), SilentProgress())
    np.testing.assert_array_equal(again.depth, prediction.depth)
    np.testing.assert_array_equal(again.conf, prediction.conf)
    np.testing.assert_allclose(again.cam_from_world, prediction.cam_from_world, atol=1e-14)
    np.testing.assert_allclose(again.view_intrinsics, prediction.view_intrinsics, rtol=1e-12)
    assert again.pixel_maps == prediction.pixel_maps
    assert again.frames == prediction.frames
    assert again.cameras.keys() == prediction.cameras.keys()
    for camera_id, camera in again.cameras.items():
        np.testing.assert_allclose(camera.params, prediction.cameras[camera_id].params, rtol=1e-12)


def test_an_unwritable_place_is_an_export_error_and_leaves_nothing(
    tmp_path: Path, arrays: Arrays, make_frames: Callable[..., FrameSet]
) -> None:
    config = InferConfig(predictions=write(tmp_path / "p.npz", arrays))
    prediction = run(make_frames([(400, 200)] * 3), config, SilentProgress())
    with pytest.raises(ExportError, match="cannot be written"):
        save_predictions(prediction, tmp_path / "absent folder" / "p.npz")
    (tmp_path / "taken.npz").mkdir()
    with pytest.raises(ExportError, match="cannot be written"):
        save_predictions(prediction, tmp_path / "taken.npz")
    assert not list(tmp_path.glob("*.part"))
