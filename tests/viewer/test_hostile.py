"""Sessions that are not as the exporter wrote them: nothing outside of them is read, and the rest is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest
from PIL import Image

from da3_pipeline.errors import CaptureError
from da3_pipeline.export.ply import read_ply, write_ply
from da3_pipeline.viewer import load_session
from da3_pipeline.viewer.overlays import picture_of, thumbnail_of

DEEP = "[" * 100_000


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A red picture that is no part of the session, and its depth map."""
    folder = tmp_path / "private"
    folder.mkdir()
    Image.new("RGB", (32, 24), (255, 0, 0)).save(folder / "red.png")
    np.save(folder / "red.npy", np.full((24, 32), 5.0, np.float32))
    return folder


def renamed(session: Path, name: str) -> None:
    """The first image of the model under another name."""
    model = pycolmap.Reconstruction(str(session / "sparse" / "0"))
    model.images[min(model.images)].name = name
    model.write(str(session / "sparse" / "0"))


@pytest.mark.parametrize("name", ["../../private/red.png", "{private}/red.png"])
def test_a_picture_outside_is_not_read(session: Path, private: Path, name: str) -> None:
    name = name.format(private=private)
    renamed(session, name)
    scene = load_session(session)
    index = next(index for index, image in enumerate(scene.images) if image.name == name)
    assert thumbnail_of(scene.images[index]) is None
    shown = picture_of(scene, index, "depth")
    assert "cannot be read" in shown.caption and np.ptp(shown.rgb) == 0
    assert any(name in note for note in scene.notes)


def test_a_picture_behind_a_link_that_leads_outside_is_not_read(session: Path, private: Path) -> None:
    (session / "images" / "03.png").unlink()
    (session / "images" / "03.png").symlink_to(private / "red.png")
    scene = load_session(session)
    assert thumbnail_of(scene.images[3]) is None and thumbnail_of(scene.images[4]) is not None


def told(session: Path, name: str, changes: dict[str, Any]) -> None:
    document = json.loads((session / name).read_text())
    (session / name).write_text(json.dumps({**document, **changes}))


def test_seed_points_outside_are_not_read(session: Path, private: Path) -> None:
    write_ply(private / "x.ply", np.ones((4, 3)), np.zeros((4, 3), np.uint8))
    told(session, "transforms.json", {"ply_file_path": "../private/x.ply"})
    scene = load_session(session)
    assert len(scene.seeds) == 600
    assert any("x.ply cannot be read (it lies outside of the session)" in note for note in scene.notes)


@pytest.mark.parametrize("changes", [
    {"frames": 3}, {"frames": [3, None, {"image": ["00.png"]}]}, {"data_set": [1]}, {"verdict": "good"},
    {"data_set": {"tracks_measured": "many"}}, {"verdict": {"summary": {"a": 1}}},
    {"frames": [{"image": "00.png", "median_error_px": "small", "pose_source": ["x"]}]},
])  # fmt: skip
def test_a_report_that_is_none_is_left_out(session: Path, changes: dict[str, Any]) -> None:
    from da3_pipeline.viewer.panel import _image_text, _scene_text

    told(session, "report.json", changes)
    scene = load_session(session)
    assert len(scene.images) == 12 and isinstance(scene.summary, str)
    assert "320 x 240" in _image_text(scene, 0) and "12 images" in _scene_text(scene)


@pytest.mark.parametrize("changes", [
    {"applied_transform": "eye"}, {"applied_transform": [[1], [2, 3]]}, {"applied_transform": [[1e300] * 4] * 3},
    {"world_offset": [1, 2]}, {"world_offset": [10**400, 0, 0]}, {"world_offset": None}, {"ply_file_path": 3},
    {"ply_file_path": "a\0b"}, {"ply_file_path": "images"},
])  # fmt: skip
def test_transforms_that_are_none_are_left_out(session: Path, changes: dict[str, Any]) -> None:
    told(session, "transforms.json", changes)
    scene = load_session(session)
    assert np.isfinite(scene.seeds).all() and np.isfinite(scene.offset).all() and len(scene.seeds) == 600


@pytest.mark.parametrize("name", ["report.json", "transforms.json"])
@pytest.mark.parametrize("text", [DEEP, "\ud800", "[]", "{", '{"a": ' + "9" * 5000 + "}"])
def test_documents_that_are_none_are_told_in_a_note(session: Path, name: str, text: str) -> None:
    (session / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    assert any(name in note for note in load_session(session).notes)


def test_a_file_of_seeds_that_announces_more_than_it_holds(session: Path) -> None:
    path = session / "sparse_pc.ply"
    path.write_bytes(path.read_bytes().replace(b"element vertex 600", b"element vertex 60000000000"))
    with pytest.raises(ValueError, match="shorter"):
        read_ply(path)
    assert any("sparse_pc.ply cannot be read" in note for note in load_session(session).notes)


def test_a_pose_that_is_no_number_is_refused_in_one_line(session: Path) -> None:
    model = pycolmap.Reconstruction(str(session / "sparse" / "0"))
    frame = model.frames[min(model.frames)]
    frame.rig_from_world = pycolmap.Rigid3d(pycolmap.Rotation3d(), np.array([np.nan, 0, 0]))
    model.write(str(session / "sparse" / "0"))
    with pytest.raises(CaptureError, match="usable numbers"):
        load_session(session)


def test_a_depth_map_that_announces_more_than_it_holds_is_as_good_as_none(session: Path) -> None:
    (session / "depths").mkdir(exist_ok=True)
    np.save(session / "depths" / "00.npy", np.ones((4, 4), np.float32))
    path = session / "depths" / "00.npy"
    path.write_bytes(path.read_bytes().replace(b"(4, 4), }      ", b"(400000, 40000)")[:-8])
    assert "of the prior" in picture_of(load_session(session), 0, "depth").caption.lower()
