"""Measured depth in place of the network's: where it lies, in which unit, and what is unknown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from da3_pipeline.files.depthio import UnreadableDepthError, read_depth
from da3_pipeline.geometry import Camera, PixelMap, identity
from da3_pipeline.infer.config import SensorConfig
from da3_pipeline.infer.sensor_depth import in_network_pixels, with_sensor_depth
from da3_pipeline.types import Frame, FrameSet, Prediction, SensorDepth

SIZE = (80, 60)
MAP = PixelMap((5.0, 5.0), (0.0, 0.0))


def stored(path: Path, millimetres: np.ndarray) -> SensorDepth:
    Image.fromarray(millimetres.astype(np.uint16)).save(path)
    return SensorDepth(path, 0.001)


def frame(name: str, depth: SensorDepth | None, size: tuple[int, int] = SIZE) -> Frame:
    return Frame(name, Path(name), *size, "camera", name, depth=depth)


def prediction(*frames: Frame, depth: float = 1.0) -> Prediction:
    count = len(frames)
    camera = Camera.pinhole(*SIZE, 70.0)
    return Prediction(
        frames=FrameSet(frames, ()),
        source="test",
        depth=np.full((count, 12, 16), depth, np.float32),
        conf=np.ones((count, 12, 16), np.float32),
        cam_from_world=identity(count),
        cameras={"camera": camera},
        view_intrinsics=np.tile(camera.K, (count, 1, 1)),
        pixel_maps=(MAP,) * count,
    )


def test_units_confidence_and_what_is_unknown(tmp_path: Path) -> None:
    depth = stored(tmp_path / "d.png", np.array([[0, 1500, 2000], [65535, 2500, 3000]]))
    Image.fromarray(np.array([[2, 2, 0], [2, 1, 2]], np.uint8)).save(tmp_path / "c.png")
    nan = np.nan
    assert read_depth(depth) == pytest.approx(np.array([[nan, 1.5, 2.0], [nan, 2.5, 3.0]]), nan_ok=True)
    judged = replace(depth, confidence=tmp_path / "c.png", least_confidence=2)
    assert read_depth(judged) == pytest.approx(np.array([[nan, 1.5, nan], [nan, nan, 3.0]]), nan_ok=True)


@pytest.mark.parametrize("suffix", ["npy", "npz", "tiff"])
def test_metres_in_floating_point(suffix: str, tmp_path: Path) -> None:
    metres, path = np.array([[1.25, np.inf], [-1.0, 3.5]], np.float32), tmp_path / f"d.{suffix}"
    if suffix == "npy":
        np.save(path, metres)
    elif suffix == "npz":
        np.savez(path, depth=metres)
    else:
        Image.fromarray(metres).save(path)
    expected = np.array([[1.25, np.nan], [np.nan, 3.5]])
    assert read_depth(SensorDepth(path, 1.0)) == pytest.approx(expected, nan_ok=True)


def test_record3ds_depth_is_unpacked(tmp_path: Path) -> None:
    liblzfse = pytest.importorskip("liblzfse")
    metres = np.arange(1, 7, dtype=np.float32).reshape(2, 3)
    (tmp_path / "0.depth").write_bytes(liblzfse.compress(metres.tobytes()))
    (tmp_path / "0.conf").write_bytes(liblzfse.compress(np.array([0, 1, 2, 2, 2, 0], np.uint8).tobytes()))
    depth = SensorDepth(tmp_path / "0.depth", 1.0, shape=(2, 3), confidence=tmp_path / "0.conf", least_confidence=1)
    assert read_depth(depth) == pytest.approx(np.array([[np.nan, 2, 3], [4, 5, np.nan]]), nan_ok=True)
    with pytest.raises(UnreadableDepthError, match="cannot be read"):
        read_depth(replace(depth, shape=(5, 5)))


def test_damaged_maps_say_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "d.png").write_bytes(b"no picture")
    with pytest.raises(UnreadableDepthError, match=r"d\.png: cannot be read"):
        read_depth(SensorDepth(tmp_path / "d.png", 0.001))


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_depth_turns_with_its_picture(turns: int, tmp_path: Path) -> None:
    """Two pixels of the network for one of the sensor; np.rot90 turns counter-clockwise."""
    lying = np.arange(1, 49, dtype=np.float32).reshape(6, 8)
    upright = np.rot90(lying, -turns)
    height, width = upright.shape
    turned = frame("a", SensorDepth(tmp_path / "a", 1.0, quarter_turns=turns), (width * 10, height * 10))
    found = in_network_pixels(lying, turned, MAP, (2 * height, 2 * width))
    assert found == pytest.approx(np.kron(upright, np.ones((2, 2))))


def test_depth_of_a_narrower_camera_covers_the_middle(tmp_path: Path) -> None:
    inner = SensorDepth(tmp_path / "a", 1.0, pixel_map=PixelMap((5.0, 5.0), (20.0, 10.0)))
    found = in_network_pixels(np.arange(1, 65, dtype=np.float32).reshape(8, 8), frame("a", inner), MAP, (12, 16))
    assert np.isnan(found[:2]).all() and np.isnan(found[:, :4]).all() and np.isnan(found[:, 12:]).all()
    assert found[2:10, 4:12] == pytest.approx(np.arange(1, 65).reshape(8, 8))


def test_metres_come_from_the_median_frame_and_the_rest_follows(tmp_path: Path) -> None:
    """The network says 1 everywhere; the sensor 2, 2 and 3 m, in the left half. A unit is 2 m."""
    frames = []
    for index, millimetres in enumerate((2000, 2000, 3000)):
        depth = np.zeros((12, 16))
        depth[:, :8] = millimetres
        frames.append(frame(str(index), stored(tmp_path / f"{index}.png", depth)))
    found = with_sensor_depth(prediction(*frames, frame("none", None)), SensorConfig())
    assert found.metric is not None and found.metric.measured and found.metric.metres_per_unit == pytest.approx(2)
    assert found.depth[:3, 0, 0] == pytest.approx([1, 1, 1.5])
    assert found.depth[:3, 0, 15] == pytest.approx([1, 1, 1.5])  # the network's own, at the frame's measured scale
    assert found.depth[3] == pytest.approx(1.0)


def test_a_sensor_is_as_sure_in_every_frame(tmp_path: Path) -> None:
    """However little the network believes of some: a threshold over all frames must not take whole maps away."""
    frames = [frame(str(k), stored(tmp_path / f"{k}.png", np.full((12, 16), 2000))) for k in range(2)]
    doubtful = prediction(*frames)
    doubtful.conf[0] = 0.1
    doubtful.conf[1] = 3.0
    assert with_sensor_depth(doubtful, SensorConfig()).conf == pytest.approx(3.0)


def test_depth_in_units_of_the_poses_brings_no_metres(tmp_path: Path) -> None:
    depth = replace(stored(tmp_path / "a.png", np.full((12, 16), 2000)), metric=False)
    assert with_sensor_depth(prediction(frame("a", depth)), SensorConfig()).metric is None
    told = replace(frame("a", depth), known_pose_metric=True)
    assert with_sensor_depth(prediction(told), SensorConfig()).metric is not None


def test_what_cannot_be_read_leaves_the_networks_depth(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "bad.png").write_bytes(b"")
    before = prediction(frame("a", SensorDepth(tmp_path / "bad.png", 0.001)))
    assert with_sensor_depth(before, SensorConfig()) is before
    assert "1 depth maps of the sensor are not used" in caplog.text
