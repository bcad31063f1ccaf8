"""Known cameras and poses laid over a capture: matched by name, rescaled, split by camera."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da3_pipeline.errors import CaptureError
from da3_pipeline.geometry.cameras import Camera
from da3_pipeline.ingest.known import with_known_cameras
from da3_pipeline.ingest.projects.name_matching import comparable_names, match_names
from da3_pipeline.types import Capture, Frame, VideoClip


def frame(name: str, size: tuple[int, int] = (600, 400), camera_id: str = "unknown_600x400") -> Frame:
    return Frame(name, Path(name), *size, camera_id, fingerprint=name)


def capture(*photos: Frame, videos: tuple[VideoClip, ...] = ()) -> Capture:
    return Capture(photos, videos, ())


def clip(name: str, size: tuple[int, int] = (600, 400)) -> VideoClip:
    return VideoClip(name, Path(name), *size, 0, np.arange(3) / 30, f"{name}_camera", name)


def view(
    name: str, focal_px: float | None = 500.0, centre: float = 0.0, size: tuple[int, int] = (600, 400)
) -> dict[str, Any]:
    matrix = np.diag([1.0, -1.0, -1.0, 1.0])
    matrix[0, 3] = centre
    fields: dict[str, Any] = {"file_path": name, "transform_matrix": matrix.tolist()}
    if focal_px is not None:
        fields.update(fl_x=focal_px, fl_y=focal_px, cx=size[0] / 2, cy=size[1] / 2, w=size[0], h=size[1])
    return fields


def write(path: Path, *views: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"frames": list(views)}))
    return path


def test_names_match_by_path_then_by_less() -> None:
    names = ["a/1.jpg", "b/1.jpg", "b/2.JPG", "été 3.jpg"]
    known = ["images/a/1.jpg", "b/1.jpg", "elsewhere/2.png", "e\u0301te\u0301 3.jpg"]
    assert match_names(names, known) == dict(zip(names, known, strict=True))


def test_ambiguous_basenames_do_not_match() -> None:
    assert match_names(["a/1.jpg", "b/1.jpg"], ["1.jpg"]) == {}
    assert match_names(["1.jpg"], ["a/1.jpg", "b/1.jpg"]) == {}


@given(
    st.lists(st.sampled_from(["a/1.jpg", "a/1.png", "1.jpg", "b/2.jpg", "2", "images/1.jpg"]), unique=True),
    st.lists(st.sampled_from(["a/1.jpg", "c/1.jpg", "1.tif", "b/2.jpg", "x/2.heic", "images/1.jpg"]), unique=True),
)
def test_matching_is_one_to_one_and_keeps_equal_names(names: list[str], known: list[str]) -> None:
    matched = match_names(names, known)
    assert len(set(matched.values())) == len(matched)
    assert all(matched[name] == name for name in set(names) & set(known))


def test_poses_reach_the_frames_they_name(tmp_path: Path) -> None:
    path = write(tmp_path / "t.json", view("images/2.jpg", centre=2.0), view("images/1.jpg", centre=1.0))
    known = with_known_cameras(capture(frame("1.jpg"), frame("2.jpg"), frame("3.jpg")), None, path)
    first, second, third = known.photos
    assert first.known_cam_from_world == pytest.approx(np.eye(3, 4) - [[0, 0, 0, 1.0], [0] * 4, [0] * 4])
    assert second.known_cam_from_world is not None
    assert second.known_cam_from_world[0, 3] == -2.0
    assert third.known_cam_from_world is None
    assert first.known_camera is None  # only what is asked for is taken


def test_one_camera_is_a_calibration_of_everything_of_its_shape(tmp_path: Path) -> None:
    path = write(tmp_path / "t.json", view("board_1.jpg"), view("board_2.jpg"))
    known = with_known_cameras(
        capture(frame("1.jpg", (300, 200), "small"), frame("2.jpg", (400, 400), "square"), videos=(clip("v.mp4"),)),
        path,
        None,
    )
    assert known.photos[0].known_camera == Camera("PINHOLE", 300, 200, (250, 250, 150, 100))
    assert known.photos[1].known_camera is None
    assert known.videos[0].known_camera == Camera("PINHOLE", 600, 400, (500, 500, 300, 200))


def test_cameras_of_their_own_split_a_shared_camera(tmp_path: Path) -> None:
    path = write(tmp_path / "t.json", view("1.jpg", 500), view("2.jpg", 600), view("3.jpg", 500))
    known = with_known_cameras(capture(*(frame(f"{number}.jpg") for number in (1, 2, 3, 4))), path, None)
    ids = [photo.camera_id for photo in known.photos]
    assert ids[0] == ids[2] == "unknown_600x400"
    assert len({ids[0], ids[1], ids[3]}) == 3
    assert known.photos[3].known_camera is None


def test_frames_of_a_calibrated_device_share_its_camera(tmp_path: Path) -> None:
    path = write(tmp_path / "t.json", view("1.jpg", 500), view("3.jpg", 600))
    photos = [frame("1.jpg", camera_id="A"), frame("2.jpg", camera_id="A"), frame("3.jpg", camera_id="B")]
    known = with_known_cameras(capture(*photos), path, None)
    assert [photo.known_camera and photo.known_camera.focal_px for photo in known.photos] == [500, 500, 600]
    assert [photo.camera_id for photo in known.photos] == ["A", "A", "B"]


@pytest.mark.parametrize(
    ("views", "as_poses", "problem"),
    [
        ([view("x.jpg", 500), view("y.jpg", 600)], False, "none of its 2 names"),
        ([view("x.jpg")], True, "none of its 1 names"),
        ([view("1.jpg", size=(600, 600))], False, "another shape"),
        ([view("x.jpg", size=(400, 600))], False, "another shape"),
        ([view("1.jpg", None)], False, "no focal length"),
        ([{"file_path": "1.jpg", "fl_x": 5, "w": 6, "h": 4}], True, "no poses"),
    ],
)
def test_what_does_not_fit_is_one_line(
    tmp_path: Path, views: list[dict[str, Any]], as_poses: bool, problem: str
) -> None:
    path = write(tmp_path / "t.json", *views)
    with pytest.raises(CaptureError) as caught:
        with_known_cameras(capture(frame("1.jpg")), None if as_poses else path, path if as_poses else None)
    assert problem in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_poses_cannot_name_frames_of_a_video(tmp_path: Path) -> None:
    path = write(tmp_path / "t.json", view("1.jpg"))
    with pytest.raises(CaptureError, match="extract its frames"):
        with_known_cameras(capture(videos=(clip("v.mp4"),)), None, path)


def test_it_is_said_when_poses_are_missing_and_only_then(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "t.json", view("1.jpg"), view("2.jpg"))
    with_known_cameras(capture(frame("1.jpg"), frame("2.jpg")), None, path)
    assert caplog.text == ""
    with_known_cameras(capture(frame("1.jpg"), frame("2.jpg"), frame("3.jpg")), None, path)
    assert "poses for 2 of 3 photographs" in caplog.text


@pytest.mark.parametrize(
    ("names", "known", "matched"),
    [
        (["images/1.jpg"], ["1.jpg"], {"images/1.jpg": "1.jpg"}),
        (["./a/1.jpg"], ["a/1.jpg"], {"./a/1.jpg": "a/1.jpg"}),
        (["a/1.jpg"], ["b/1.jpg"], {"a/1.jpg": "b/1.jpg"}),
        (["a/1.jpg", "b/1.jpg"], ["a/1.png", "b/1.png"], {"a/1.jpg": "a/1.png", "b/1.jpg": "b/1.png"}),
        (["a/1.jpg"], ["b/1.png"], {"a/1.jpg": "b/1.png"}),
        (["1.jpg", "1.png"], ["1.jpg"], {"1.jpg": "1.jpg"}),  # what is taken is not given again
        (["1.jpg"], ["1.jpg", "1.png"], {"1.jpg": "1.jpg"}),
        (["a/1.jpg", "b/2.jpg"], ["a/1.jpg", "c/1.jpg"], {"a/1.jpg": "a/1.jpg"}),
        (["1.jpg"], ["11.jpg"], {}),
    ],
)
def test_what_each_rule_finds(names: list[str], known: list[str], matched: dict[str, str]) -> None:
    assert match_names(names, known) == matched


def test_forms_of_a_name() -> None:
    assert comparable_names("./images/a/1.jpg") == ("images/a/1.jpg", "a/1.jpg")
    assert comparable_names("a/e\u0301.jpg") == ("a/\u00e9.jpg",)


def test_both_files_are_laid_over_a_capture(tmp_path: Path) -> None:
    """Intrinsics from one, poses from the other; what has none keeps what it had."""
    intrinsics = write(tmp_path / "a.json", view("1.jpg", 500, centre=9.0), view("2.jpg", 600))
    poses = write(tmp_path / "b.json", view("2.jpg", 700, centre=2.0), {"file_path": "1.jpg"})
    first, second = with_known_cameras(capture(frame("1.jpg"), frame("2.jpg")), intrinsics, poses).photos
    assert first.known_camera is not None and first.known_camera.focal_px == 500
    assert second.known_camera is not None and second.known_camera.focal_px == 600
    assert first.known_cam_from_world is None and first.known_pose_form is None
    assert second.known_cam_from_world is not None and second.known_cam_from_world[0, 3] == -2.0
    assert second.known_pose_form == "transforms"


def test_views_without_focal_length_do_not_speak_about_cameras(tmp_path: Path) -> None:
    path = write(tmp_path / "t.json", view("1.jpg", None), view("2.jpg", 500))
    for photo in with_known_cameras(capture(frame("1.jpg"), frame("2.jpg")), path, None).photos:
        assert photo.known_camera is not None and photo.known_camera.focal_px == 500


def test_a_device_of_two_cameras_lends_none_of_them(tmp_path: Path) -> None:
    path = write(tmp_path / "t.json", view("1.jpg", 500), view("2.jpg", 600))
    photos = with_known_cameras(capture(*(frame(f"{k}.jpg", camera_id="A") for k in (3, 1, 2))), path, None).photos
    assert [photo.known_camera and photo.known_camera.focal_px for photo in photos] == [None, 500, 600]
    assert [photo.camera_id for photo in photos] == ["A", "A-2", "A-3"]


def test_a_camera_that_is_split_takes_no_other_cameras_name(tmp_path: Path) -> None:
    path = write(tmp_path / "t.json", view("1.jpg", 500), view("2.jpg", 600), view("3.jpg", 700))
    photos = [frame("1.jpg", camera_id="A"), frame("2.jpg", camera_id="A"), frame("3.jpg", camera_id="A-2")]
    ids = [photo.camera_id for photo in with_known_cameras(capture(*photos), path, None).photos]
    assert ids == ["A", "A-3", "A-2"]
    photos = [frame("1.jpg", camera_id="f2.8"), frame("2.jpg", camera_id="f2.8"), frame("3.jpg", camera_id="B")]
    ids = [photo.camera_id for photo in with_known_cameras(capture(*photos), path, None).photos]
    assert ids == ["f2.8", "f2.8-2", "B"]  # not the suffix of a file


def test_a_calibration_is_for_pictures_and_clips_of_its_shape(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "t.json", view("board.jpg"))
    only_clips = with_known_cameras(capture(videos=(clip("a.mp4"), clip("b.mp4", (400, 400)))), path, None)
    first, second = only_clips.videos
    assert first.known_camera == Camera("PINHOLE", 600, 400, (500, 500, 300, 200))
    assert second.known_camera is None and "b.mp4" in caplog.text
    with pytest.raises(CaptureError, match=r"b\.mp4 .*another shape"):
        with_known_cameras(capture(videos=(clip("b.mp4", (400, 400)),)), path, None)
    mixed = with_known_cameras(capture(frame("1.jpg", (400, 400)), videos=(clip("a.mp4"),)), path, None)
    assert mixed.photos[0].known_camera is None and mixed.videos[0].known_camera is not None
    with pytest.raises(CaptureError, match=r"board\.jpg .*another shape"):  # named, so it must fit
        with_known_cameras(capture(frame("board.jpg", (400, 400)), frame("1.jpg")), path, None)


def test_names_that_fit_nothing_are_told_with_an_example(tmp_path: Path) -> None:
    path = write(tmp_path / "t.json", view("x.jpg", 500), view("y.jpg", 600))
    with pytest.raises(CaptureError, match=r"2 names .*\(x\.jpg there, 1\.jpg here\)"):
        with_known_cameras(capture(frame("1.jpg"), frame("2.jpg")), path, None)
