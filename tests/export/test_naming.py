"""Which frames are exported, and the names of their images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from da3_pipeline.export import ExportConfig
from da3_pipeline.export.naming import image_stems, usable_frames
from da3_pipeline.geometry import Camera


def test_names_keep_the_relative_path() -> None:
    names = ["a.jpg", "floor 1/été.JPG", "floor 2/été.JPG", "clip.mp4/000012.jpg", "v1.2 final.png", '"quoted".heic']
    assert image_stems(names) == [
        "a",
        "floor 1/été",
        "floor 2/été",
        "clip.mp4/000012",
        "v1.2 final",
        '"quoted"',
    ]


def test_names_that_differ_only_in_suffix_or_case_stay_apart() -> None:
    assert image_stems(["a.jpg", "a.png", "A.JPG", "a_png.jpg"]) == ["a", "a_png", "A_JPG", "a_png_jpg"]


def test_long_names_leave_room_for_suffixes() -> None:
    names = [f"{'写' * 83}{number}.jpg" for number in range(3)] + [f"{'a' * 251}.jpg", f"{'b' * 255}/1.jpg"]
    stems = image_stems(names)
    assert len(set(stems)) == len(names)
    assert all(len(f"{part}.jpeg.png".encode()) <= 255 for stem in stems for part in stem.split("/"))
    assert stems[0] == "写" * 78 and stems[3] == "a" * 235
    assert image_stems(["a" * 230 + ".jpg"]) == ["a" * 230]


def test_no_name_is_the_end_of_another() -> None:
    assert image_stems(["walk/2.jpg", "2.jpg", "b/walk/2.jpg", "c/2.jpg"]) == [
        "walk/2",
        "2_jpg",
        "b/walk/2_2",
        "c/2",
    ]
    assert image_stems(["2.jpg", "walk/2.jpg"]) == ["2", "walk/2_jpg"]


def test_names_cannot_leave_the_images_folder() -> None:
    assert image_stems(["../../etc/a.jpg", "/root/b.jpg", "..", ".hidden"]) == ["etc/a", "root/b", "image", ".hidden"]


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)))
def test_stems_are_unique_whatever_the_names(names: list[str]) -> None:
    stems = image_stems(names)
    paths = [f"/{stem.casefold()}" for stem in stems]
    assert not any(one.endswith(other) for i, one in enumerate(paths) for j, other in enumerate(paths) if i != j)
    assert all(not PurePosixPath(stem).is_absolute() and ".." not in PurePosixPath(stem).parts for stem in stems)


def test_frames_without_pose_are_left_out_with_a_reason(room: Any) -> None:
    scene = room()
    poses = scene.cam_from_world.copy()
    poses[2] = np.nan
    sources = ("refined", "none", "none", "unverified", "refined", "prior")
    scene = replace(scene, cam_from_world=poses, pose_source=sources, unverified={"view_03.png": "it shows the sea"})
    kept, dropped = usable_frames(scene, ExportConfig(keep_unverified=True))
    assert kept == [0, 3, 4, 5]
    assert [(item.frame, item.reason) for item in dropped] == [
        ("view_01.png", "no pose was found"),
        ("view_02.png", "no pose was found"),
    ]
    kept, dropped = usable_frames(scene, ExportConfig())
    assert kept == [0, 4, 5]
    assert (dropped[-1].frame, dropped[-1].reason) == ("view_03.png", "it shows the sea")


def test_a_capture_that_nothing_verified_is_exported_whole(room: Any) -> None:
    scene = replace(room(), pose_source=("unverified",) * 5 + ("none",))
    kept, dropped = usable_frames(scene, ExportConfig())
    assert (kept, [item.frame for item in dropped]) == ([0, 1, 2, 3, 4], ["view_05.png"])


def test_frames_unlike_their_camera_are_left_out(room: Any) -> None:
    scene = room()
    frames = list(scene.frames)
    frames[0] = replace(frames[0], width=100)
    frames[1] = replace(frames[1], camera_id="unknown")
    prediction = replace(scene.prediction, frames=replace(scene.prediction.frames, frames=tuple(frames)))
    kept, dropped = usable_frames(replace(scene, prediction=prediction), ExportConfig())
    assert kept == [2, 3, 4, 5]
    assert "100x160" in dropped[0].reason and "240x160" in dropped[0].reason
    assert "not calibrated" in dropped[1].reason


def test_the_commoner_of_perspective_and_fisheye_is_kept(room: Any) -> None:
    cameras = {
        "phone": Camera("PINHOLE", 240, 160, (180, 180, 120, 80)),
        "action": Camera("OPENCV_FISHEYE", 240, 160, (180, 180, 120, 80, 0, 0, 0, 0)),
    }
    ids = ("phone", "action", "action", "action", "action", "phone")
    kept, dropped = usable_frames(room(camera_ids=ids, cameras=cameras), ExportConfig())
    assert kept == [1, 2, 3, 4]
    assert all("fisheye" in item.reason for item in dropped)
