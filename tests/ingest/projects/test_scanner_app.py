"""3d Scanner App's folder in a tiny tree: frames with and without pictures, depth, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from project_truth import CAMERA, POSES, opengl, seen_where_it_is

from da3_pipeline.errors import CaptureError
from da3_pipeline.ingest import IngestConfig
from da3_pipeline.ingest import run as ingest
from da3_pipeline.ingest.projects.phones import scanner_app
from da3_pipeline.ingest.projects.registry import find_project
from da3_pipeline.progress import SilentProgress

FX, FY, CX, CY = CAMERA.params


def tree(folder: Path, **changes: Any) -> list[str]:
    """A picture of every fifth frame, as the app keeps them; every frame has its camera and depth."""
    names = []
    for number in range(5 * len(POSES)):
        pose, stem = opengl(POSES[number // 5]), f"{number:05d}"
        fields = {"cameraPoseARFrame": pose.ravel().tolist(), "intrinsics": [FX, 0, CX, 0, FY, CY, 0, 0, 1]}
        fields |= {"time": 100.0 + number / 6, "frame_index": number, "projectionMatrix": [0.0] * 16}
        (folder / f"frame_{stem}.json").write_text(json.dumps(fields | changes))
        Image.fromarray(np.full((3, 4), 1500, np.uint16)).save(folder / f"depth_{stem}.png")
        Image.fromarray(np.full((3, 4), 2, np.uint8)).save(folder / f"conf_{stem}.png")
        if number % 5 == 0:
            names.append(f"frame_{stem}.jpg")
            noise = np.random.default_rng(number).integers(0, 255, (480, 640, 3), np.uint8)
            Image.fromarray(noise).save(folder / names[-1])
    (folder / "info.json").write_text(json.dumps({"title": "scan"}))
    for loose in ("thumb_00000.jpg", "textured_output.jpg"):
        Image.new("RGB", (64, 48)).save(folder / loose)
    return names


def test_cameras_and_depth_of_the_frames_with_pictures(tmp_path: Path) -> None:
    names = tree(tmp_path)
    project = find_project(tmp_path)
    assert project is not None and project.program == "3d Scanner App"
    assert [view.path for view in project.views] == [tmp_path / name for name in names]
    seen_where_it_is(project.views)
    assert project.metric and project.up == (0.0, 1.0, 0.0)
    depth = project.views[1].depth
    assert depth is not None and depth.path == tmp_path / "depth_00005.png"
    assert (depth.unit, depth.confidence, depth.least_confidence) == (0.001, tmp_path / "conf_00005.png", 1)
    assert all(view.stored and not view.calibrated for view in project.views)


def test_pictures_alone_are_photographs(tmp_path: Path) -> None:
    names = tree(tmp_path)
    capture = ingest([tmp_path], IngestConfig(), SilentProgress())
    assert [photo.name for photo in capture.photos] == names
    assert all(photo.depth is not None and photo.known_pose_metric for photo in capture.photos)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cameraPoseARFrame": [1.0] * 9}, "cameraPoseARFrame is not a 4 x 4 matrix"),
        ({"cameraPoseARFrame": [2.0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1]}, "not a rotation"),
        ({"intrinsics": [FX, 0, 0, 0, FY, 0, CX, CY, 1]}, "row by row"),
        ({"intrinsics": [0, 0, CX, 0, FY, CY, 0, 0, 1]}, "is not positive"),
        ({"intrinsics": None}, "no camera of 3d Scanner App's"),
    ],
)
def test_what_is_no_camera_is_said(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    tree(tmp_path, **changes)
    with pytest.raises(CaptureError, match=said) as error:
        find_project(tmp_path)
    assert "frame_00000.json" in str(error.value)


def test_frames_without_any_picture_are_said(tmp_path: Path) -> None:
    for name in tree(tmp_path):
        (tmp_path / name).unlink()
    with pytest.raises(CaptureError, match="without a picture"):
        find_project(tmp_path)


def test_another_programs_frames_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "frame_00000.json").write_text('{"objects": []}')
    assert not scanner_app.recognises(tmp_path) and not scanner_app.recognises(tmp_path / "no folder")
