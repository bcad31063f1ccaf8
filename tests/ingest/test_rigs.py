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


def test_several_rigs_are_numbered_as_in_the_file_and_each_needs_its_own_reference(tmp_path: Path) -> None:
    rigs: list[list[dict[str, Any]]] = [
        [left(), right()],
        [{"image_prefix": "up/"}, {"image_prefix": "down/", "ref_sensor": True}],
    ]
    path = tmp_path / "rig_config.json"
    path.write_text(json.dumps([{"cameras": rig} for rig in rigs]))
    names = [f"{folder}/1.jpg" for folder in ("left", "right", "up", "down")]
    found = with_rigs(stereo(*names), path)
    places = [photo.rig for photo in found.photos]
    assert [(rig.rig, rig.reference) for rig in places if rig] == [
        ("rig1", True), ("rig1", False), ("rig2", False), ("rig2", True),
    ]  # fmt: skip
    with pytest.raises(CaptureError, match="two images of rig2"):
        with_rigs(stereo(*names[:3], "down/2.jpg"), path)
    rigs[1][0]["ref_sensor"] = True
    path.write_text(json.dumps([{"cameras": rig} for rig in rigs]))
    with pytest.raises(CaptureError, match=r"rig 2 \(up/, down/\)"):
        read_rigs(path)


@pytest.mark.parametrize(("length", "fine"), [(1.009, True), (0.991, True), (1.011, False), (0.989, False)])
def test_a_quaternion_may_be_off_by_rounding(length: float, fine: bool, tmp_path: Path) -> None:
    rotation = [length * number for number in TURN]
    path = write(tmp_path, left(), right(cam_from_rig_rotation=rotation, cam_from_rig_translation=[1, 2, 3]))
    if not fine:
        with pytest.raises(CaptureError, match="unit quaternion"):
            read_rigs(path)
        return
    pose = read_rigs(path)[1].cam_from_rig
    assert pose is not None
    root = np.sqrt(0.5)
    np.testing.assert_allclose(pose, [[root, 0, root, 1], [0, 1, 0, 2], [-root, 0, root, 3]], atol=1e-12)


def test_a_pose_of_the_reference_is_none_and_needs_no_second_half(tmp_path: Path) -> None:
    reference, other = read_rigs(write(tmp_path, left(cam_from_rig_rotation=TURN), right()))
    assert reference.cam_from_rig is None and other.cam_from_rig is None
    with pytest.raises(CaptureError, match="exactly one"):  # only true is true
        read_rigs(write(tmp_path, left(ref_sensor="yes"), right()))


@pytest.mark.parametrize(
    "numbers", [{"translation": [0, 0, float("nan")]}, {"translation": [0, 0]}, {"rotation": "turned"}]
)
def test_a_pose_is_seven_numbers(numbers: dict[str, Any], tmp_path: Path) -> None:
    fields = {
        f"cam_from_rig_{key}": value for key, value in ({"rotation": TURN, "translation": [0] * 3} | numbers).items()
    }
    with pytest.raises(CaptureError, match="rotation of 4 and a translation of 3"):
        read_rigs(write(tmp_path, left(), right(**fields)))


@pytest.mark.parametrize(
    "fields",
    [
        {"camera_model_name": "SIMPLE_PINHOLE"},
        {"camera_params": [500, 300, 200]},
        {"camera_model_name": "SIMPLE_PINHOLE", "camera_params": [float("nan"), 300, 200]},
        {"camera_model_name": "SIMPLE_PINHOLE", "camera_params": [500, float("inf"), 200]},
        {"camera_model_name": "SIMPLE_PINHOLE", "camera_params": [0, 300, 200]},
        {"camera_model_name": "SIMPLE_PINHOLE", "camera_params": ["wide", 300, 200]},
    ],
)
def test_half_a_camera_is_none(fields: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="make no camera"):
        read_rigs(write(tmp_path, left(), right(**fields)))


def test_a_camera_of_the_file_has_its_own_units_and_no_size(tmp_path: Path) -> None:
    path = write(tmp_path, left(), right(camera_model_name="PINHOLE", camera_params=[700, 710, 300, 200]))
    reference, other = read_rigs(path)
    assert reference.intrinsics is None and other.intrinsics is not None
    assert other.intrinsics.at(640, 480) == Camera("PINHOLE", 640, 480, (700.0, 710.0, 300.0, 200.0))


def test_prefixes_are_names_of_any_system(tmp_path: Path) -> None:
    path = write(tmp_path, {"image_prefix": ".\\left\\", "ref_sensor": True}, {"image_prefix": "./right/"})
    assert [camera.prefix for camera in read_rigs(path)] == ["left/", "right/"]
    found = with_rigs(stereo("images/left/1.jpg", "right/1.jpg"), path)
    assert [photo.rig.instant for photo in found.photos if photo.rig] == ["1.jpg", "1.jpg"]
    assert [photo.camera_id for photo in found.photos] == ["left", "right"]


def test_cameras_have_names_of_their_own(tmp_path: Path) -> None:
    """Of their prefix, of their rig where it has none to offer, and none that another camera has."""
    path = write(
        tmp_path, {"image_prefix": "left/", "ref_sensor": True}, {"image_prefix": "left_"}, {"image_prefix": "_"}
    )
    capture = Capture((*stereo("left/1.jpg", "left_1.jpg", "_1.jpg").photos, frame("x.jpg", camera_id="left")), (), ())
    ids = [photo.camera_id for photo in with_rigs(capture, path).photos]
    assert ids == ["left-2", "left-3", "rig1_camera", "left"]


def test_all_frames_of_a_camera_share_what_one_of_them_knows(tmp_path: Path) -> None:
    path = write(tmp_path, left(), right())
    one, other = Camera.pinhole(600, 400, 555.0), Camera.pinhole(600, 400, 666.0)
    photos = (*stereo(*BOTH[:1], *BOTH[2:]).photos, frame("left/2.jpg", known_camera=one))
    found = {photo.name: photo.known_camera for photo in with_rigs(Capture(photos, (), ()), path).photos}
    assert found == {"left/1.jpg": one, "left/2.jpg": one, "right/1.jpg": None, "right/2.jpg": None}
    with pytest.raises(CaptureError, match="different intrinsics"):
        with_rigs(Capture((*photos, frame("left/3.jpg", known_camera=other)), (), ()), path)


def test_whole_instants_are_not_complained_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        with_rigs(stereo(*BOTH, "elsewhere.jpg"), write(tmp_path, left(), right()))
    assert caplog.text == ""
    with caplog.at_level(logging.WARNING):
        with_rigs(stereo(*BOTH, "left/3.jpg", "right/4.jpg"), write(tmp_path, left(), right()))
    assert "2 of 4 instants of rig1 lack an image" in caplog.text


def test_what_begins_with_no_prefix_is_told_with_an_example(tmp_path: Path) -> None:
    path = write(tmp_path, left(), right())
    with pytest.raises(CaptureError, match=r"'right/' \(left/1.jpg here\)"):
        with_rigs(stereo(*BOTH[:2]), path)
    with pytest.raises(CaptureError, match="no photographs here"):
        with_rigs(Capture((), (), ()), path)
    other = VideoClip("up.mp4", Path("up.mp4"), 600, 400, 0, np.arange(3) / 30, "clip", "clip")
    with pytest.raises(CaptureError, match="no image of the capture begins"):
        with_rigs(Capture(stereo(*BOTH[:2]).photos, (other,), ()), path)
    with pytest.raises(CaptureError, match="give a COLMAP rig_config"):
        read_rigs(tmp_path)  # a folder


def test_frames_of_one_size_only_are_one_camera(tmp_path: Path) -> None:
    """Both sides count."""
    path = write(tmp_path, left(), right())
    for size in ((600, 300), (300, 400)):
        with pytest.raises(CaptureError, match="a camera of a rig has one size"):
            with_rigs(Capture((*stereo(*BOTH).photos, frame("right/3.jpg", size)), (), ()), path)
