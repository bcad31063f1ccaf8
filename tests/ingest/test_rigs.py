"""Rigs laid over a capture: COLMAP's file read as COLMAP reads it, and one clear line for every mistake in it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest

from da3_pipeline.errors import CaptureError
from da3_pipeline.geometry.cameras import Camera
from da3_pipeline.ingest.rigs import read_rigs, with_rigs
from da3_pipeline.types import Capture, Frame, VideoClip

TURN = [0.9238795325112867, 0.0, 0.3826834323650898, 0.0]


def frame(name: str, size: tuple[int, int] = (600, 400), camera_id: str = "unknown_600x400", **more: Any) -> Frame:
    return Frame(name, Path(name), *size, camera_id, fingerprint=name, **more)


def stereo(*names: str, **more: Any) -> Capture:
    return Capture(tuple(frame(name, **more) for name in names), (), ())


def left(**fields: Any) -> dict[str, Any]:
    return {"image_prefix": "left/", "ref_sensor": True, **fields}


def right(**fields: Any) -> dict[str, Any]:
    return {"image_prefix": "right/", **fields}


def posed(**fields: Any) -> dict[str, Any]:
    return right(cam_from_rig_rotation=TURN, cam_from_rig_translation=[-0.5, 0.0, 0.1], **fields)


def write(folder: Path, *cameras: dict[str, Any]) -> Path:
    path = folder / "rig_config.json"
    path.write_text(json.dumps([{"cameras": list(cameras)}]))
    return path


BOTH = ("left/1.jpg", "left/2.jpg", "right/1.jpg", "right/2.jpg")


def test_the_file_is_read_as_colmap_reads_it(tmp_path: Path) -> None:
    model = {"camera_model_name": "OPENCV", "camera_params": [500, 510, 300, 200, 0.01, 0, 0, 0]}
    path = write(tmp_path, left(), posed(**model))
    ours = read_rigs(path)
    (theirs,) = pycolmap.read_rig_config(path)
    for own, their in zip(ours, theirs.cameras, strict=True):
        assert (own.prefix, own.reference) == (their.image_prefix, their.ref_sensor)
        assert (own.cam_from_rig is None) == (their.cam_from_rig is None)
    assert ours[1].cam_from_rig is not None
    np.testing.assert_allclose(ours[1].cam_from_rig, theirs.cameras[1].cam_from_rig.matrix(), atol=1e-9)


def test_frames_of_one_instant_and_a_camera_for_every_sensor(tmp_path: Path) -> None:
    capture = stereo(*BOTH, "elsewhere.jpg")
    found = with_rigs(capture, write(tmp_path, left(), posed()))
    places = {photo.name: photo.rig for photo in found.photos}
    assert places["elsewhere.jpg"] is None
    one, two = places["left/1.jpg"], places["right/1.jpg"]
    assert one is not None and two is not None
    assert (one.rig, one.instant, one.reference, one.cam_from_rig) == ("rig1", "1.jpg", True, None)
    assert (two.rig, two.instant, two.reference) == ("rig1", "1.jpg", False)
    ids = {photo.name: photo.camera_id for photo in found.photos}
    assert ids["left/1.jpg"] == ids["left/2.jpg"] == "left"
    assert ids["right/1.jpg"] == "right"
    assert ids["elsewhere.jpg"] == "unknown_600x400"


def test_no_file_changes_nothing() -> None:
    assert with_rigs(stereo(*BOTH), None) == stereo(*BOTH)


def test_the_longest_prefix_wins_and_images_may_be_below_images(tmp_path: Path) -> None:
    capture = stereo("images/cam1.jpg", "images/cam1_b.jpg")
    path = write(tmp_path, {"image_prefix": "cam1", "ref_sensor": True}, {"image_prefix": "cam1_b"})
    found = with_rigs(capture, path)
    assert [photo.rig.sensor for photo in found.photos if photo.rig] == ["cam1", "cam1_b"]
    assert {photo.rig.instant for photo in found.photos if photo.rig} == {".jpg"}


def test_an_instant_with_one_image_missing_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = with_rigs(stereo(*BOTH[:3]), write(tmp_path, left(), right()))
    assert [photo.rig is not None for photo in found.photos] == [True, True, True]
    assert "1 of 2 instants of rig1 lack an image" in caplog.text


def test_a_camera_of_the_file_is_known_unless_the_frames_have_one(tmp_path: Path) -> None:
    path = write(tmp_path, left(), right(camera_model_name="SIMPLE_PINHOLE", camera_params=[700, 300, 200]))
    cameras = {photo.name: photo.known_camera for photo in with_rigs(stereo(*BOTH), path).photos}
    assert cameras["left/1.jpg"] is None
    assert cameras["right/1.jpg"] == Camera("SIMPLE_PINHOLE", 600, 400, (700.0, 300.0, 200.0))
    given = Camera.pinhole(600, 400, 555.0)
    again = with_rigs(stereo(*BOTH, known_camera=given), path)
    assert {photo.known_camera for photo in again.photos} == {given}


@pytest.mark.parametrize(
    ("cameras", "complaint"),
    [
        ([left()], "needs two or more cameras"),
        ([right(), {"image_prefix": "left/"}], "exactly one of them"),
        ([left(), left()], "two cameras have the image_prefix 'left/'"),
        ([left(), right(cam_from_rig_rotation=TURN)], "only one of"),
        ([left(), right(cam_from_rig_rotation=[1, 0, 0], cam_from_rig_translation=[0, 0, 0])], "4 and a translation"),
        ([left(), right(cam_from_rig_rotation=[2, 0, 0, 0], cam_from_rig_translation=[0, 0, 0])], "unit quaternion"),
        ([left(), right(camera_model_name="OPENCV", camera_params=[500.0])], "make no camera"),
        ([left(), right(camera_model_name="WIDE", camera_params=[500.0])], "make no camera"),
        ([left(), right(), {"image_prefix": "top/"}], "no image of the capture begins with 'top/'"),
        ([], "lists no cameras"),
        ([{"ref_sensor": True}], "not a rig_config.json"),
    ],
)
def test_mistakes_are_named(cameras: list[dict[str, Any]], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"rig_config\.json") as error:
        with_rigs(stereo(*BOTH), write(tmp_path, *cameras))
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


def test_images_that_cannot_be_one_camera_of_a_rig_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, left(), right())
    with pytest.raises(CaptureError, match="300 x 200 and 600 x 400"):
        with_rigs(Capture((*stereo(*BOTH).photos, frame("left/3.jpg", (300, 200))), (), ()), path)
    with pytest.raises(CaptureError, match="named alike after their prefix"):
        with_rigs(stereo("left/1.jpg", "right/2.jpg"), path)


def test_a_video_is_no_camera_of_a_rig_and_the_line_says_what_to_do(tmp_path: Path) -> None:
    clip = VideoClip("right.mp4", Path("right.mp4"), 600, 400, 0, np.arange(3) / 30, "clip", "clip")
    with pytest.raises(CaptureError, match="extract the frames"):
        with_rigs(Capture(stereo(*BOTH[:2]).photos, (clip,), ()), write(tmp_path, left(), right()))


@pytest.mark.parametrize("content", ["{", "[1]", "{}", "[{}]"])
def test_other_files_are_refused_in_one_line(content: str, tmp_path: Path) -> None:
    path = tmp_path / "rig_config.json"
    path.write_text(content)
    with pytest.raises(CaptureError, match=r"rig_config\.json"):
        read_rigs(path)
    with pytest.raises(CaptureError, match="no such file"):
        read_rigs(tmp_path / "absent.json")
