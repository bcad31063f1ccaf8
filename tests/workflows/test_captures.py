from __future__ import annotations

from pathlib import Path

import pytest
from da3_workflows.captures import find_captures

from da3_pipeline.errors import CaptureError


def test_captures_are_folders_with_media_and_videos_in_natural_order(captures: Path) -> None:
    found, left_out = find_captures(captures, exclude=captures / "out")
    assert [(source.name, source.path) for source in found] == [
        (name, captures / name) for name in ("garden.mp4", "room 2", "room 10")
    ]
    assert {item.frame: item.reason for item in left_out} == {
        "1 photographs": "lie beside the captures; give them a sub-folder",
        "notes": "holds no photographs or videos",
        "old run": "is the output of a session",
    }


def test_the_output_folder_inside_is_no_capture(captures: Path) -> None:
    found, _ = find_captures(captures, exclude=captures / "room 2")
    assert [source.name for source in found] == ["garden.mp4", "room 10"]


def test_pictures_that_cannot_be_read_still_make_a_capture(captures: Path) -> None:
    (captures / "raw").mkdir()
    (captures / "raw" / "DSC1.nef").write_bytes(b"raw")
    found, _ = find_captures(captures, exclude=captures / "out")
    assert "raw" in [source.name for source in found]


def test_archives_are_captures_or_left_out_and_end_nothing(captures: Path) -> None:
    for name in ("scan.r3d", "Walk.ZIP", "old.7z", "more.tar.gz"):
        (captures / name).write_bytes(b"PK")
    found, left_out = find_captures(captures, exclude=captures / "out")
    assert {"scan.r3d", "Walk.ZIP"} <= {source.name for source in found}
    reasons = {item.frame: item.reason for item in left_out}
    assert "unpack it" in reasons["old.7z"] and "unpack it" in reasons["more.tar.gz"]


def test_a_folder_of_photographs_is_one_capture_and_the_error_says_how_to_run_it(captures: Path) -> None:
    with pytest.raises(CaptureError, match=r"room 10: holds no sub-folder .* da3-pipeline run '.*room 10'"):
        find_captures(captures / "room 10", exclude=captures / "out")


@pytest.mark.parametrize(("name", "message"), [("nowhere", "no such folder"), ("notes", "check the path")])
def test_a_folder_without_captures_is_an_error(captures: Path, name: str, message: str) -> None:
    with pytest.raises(CaptureError, match=message):
        find_captures(captures / name, exclude=captures / "out")
