"""Projects among sources: found by themselves, matched by path, one line where they do not fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from project_truth import CAMERA, POSES, opengl

from da3_pipeline.errors import CaptureError
from da3_pipeline.ingest import IngestConfig, run
from da3_pipeline.ingest.projects.name_matching import ambiguous_names, match_names
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import Capture


def project(folder: Path, names: list[str], pictures: bool = True, shift: float = 0.0) -> Path:
    fx, fy, cx, cy = CAMERA.params
    frames = []
    for name, pose in zip(names, POSES, strict=False):
        placed = opengl(pose)
        placed[0, 3] += shift
        frames.append({"file_path": name, "transform_matrix": placed.tolist()})
        if pictures:
            pixels = np.random.default_rng(len(frames)).integers(0, 255, (120, 160, 3), np.uint8)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / name)
    folder.mkdir(parents=True, exist_ok=True)
    fields = {"w": 640, "h": 480, "fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy, "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(fields))
    return folder


def capture_of(*folders: Path) -> Capture:
    return run(list(folders), IngestConfig(), SilentProgress())


def test_a_project_unpacked_into_folders_of_its_own_is_found(tmp_path: Path) -> None:
    project(tmp_path / "download" / "scan 1", ["a.png", "b.png"])
    capture = capture_of(tmp_path)
    assert capture.told == ("nerfstudio project: 2 images, poses and cameras read as priors",)
    assert all(photo.known_cam_from_world is not None for photo in capture.photos)


def test_two_projects_have_two_worlds(tmp_path: Path) -> None:
    first, second = project(tmp_path / "x", ["a.png", "b.png"]), project(tmp_path / "y", ["a.png", "b.png"], shift=1)
    capture = capture_of(first, second)
    assert all(photo.known_cam_from_world is None and photo.known_camera is not None for photo in capture.photos)
    assert "their poses are not used" in capture.told[-1]


def test_a_project_without_its_images_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"nerfstudio project without its images: none of 2 \(such as a.png\)"):
        capture_of(project(tmp_path / "empty", ["a.png", "b.png"], pictures=False))


def test_a_project_of_other_pictures_is_said_and_left(tmp_path: Path) -> None:
    project(tmp_path, ["a.png", "b.png"])
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").rename(tmp_path / f"other {name}.png")
    capture = capture_of(tmp_path)
    assert capture.told == ("nerfstudio project: none of its 2 images is here; it is not used",)
    assert capture.photos[0].known_camera is None


@pytest.mark.parametrize(
    "spelling",
    [
        "/home/anna/scan/images/{}.jpg", "../images/{}.jpg", "C:\\scans\\images\\{}.jpg", ".\\images\\{}.jpg",
        "images/{}", "IMAGES/{}.JPG", "{}.png", "./images/sub/../{}.jpg",
    ],
)  # fmt: skip
def test_names_are_understood_in_every_usual_spelling(spelling: str) -> None:
    names = ["images/a.1.jpg", "images/b.jpg", "elsewhere/c.jpg"]
    known = [spelling.format("b"), spelling.format("a.1")]
    matched = match_names(names, known)
    assert matched == {"images/a.1.jpg": known[1], "images/b.jpg": known[0]}


def test_as_much_of_a_path_as_both_have_tells_equal_names_apart() -> None:
    names = ["left/1.jpg", "right/1.jpg"]
    known = ["/data/scan/right/1.png", "/data/scan/left/1.png"]
    assert match_names(names, known) == {"left/1.jpg": known[1], "right/1.jpg": known[0]}


def test_what_is_ambiguous_is_left_and_told() -> None:
    names, known = ["left/1.jpg", "right/1.jpg", "2.jpg"], ["1.jpg", "2.jpg"]
    matched = match_names(names, known)
    assert matched == {"2.jpg": "2.jpg"}
    assert ambiguous_names(names, known, matched) == ["left/1.jpg", "right/1.jpg"]


@pytest.mark.parametrize("name", ["scan.7z", "polycam.tar", "photos.tar.gz"])
def test_other_archives_than_zip_are_to_be_unpacked(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(CaptureError, match=r"such an archive is not read; unpack it"):
        capture_of(tmp_path / name)
