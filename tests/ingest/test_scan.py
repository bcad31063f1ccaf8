"""What a folder gives: photographs and videos, by content where the name tells nothing; no junk, no session output."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from da3_pipeline.errors import CaptureError
from da3_pipeline.ingest.scan import scan

MakePhoto = Callable[..., Path]


def names(*sources: Path, exclude: Path | None = None) -> list[str]:
    return [file.name for file in scan(sources, exclude).files]


def test_folders_are_read_to_the_bottom_in_natural_order(tmp_path: Path, photo: MakePhoto) -> None:
    for name in ("10.jpg", "9.JPG", "day 2/été.png", 'day 10/it\'s "it".webp', "clip.MOV"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    listing = scan([tmp_path])
    assert [file.name for file in listing.files] == [
        "9.JPG",
        "10.jpg",
        "clip.MOV",
        "day 2/été.png",
        'day 10/it\'s "it".webp',
    ]
    assert [file.kind for file in listing.files] == ["photo", "photo", "video", "photo", "photo"]


def test_junk_and_sidecars_are_passed_over_and_hidden_pictures_named(tmp_path: Path, photo: MakePhoto) -> None:
    photo(tmp_path / "a.jpg")
    thumbnail = (tmp_path / "a.jpg").read_bytes()
    for name in (".DS_Store", "Thumbs.db", "a.xmp", "a.aae", "notes.txt", "._a.jpg", "flight.srt", "transforms.json"):
        (tmp_path / name).write_text("x")
    for name in ("GOPR1.THM", "GOPR1.LRV", ".hidden/b.jpg", "__MACOSX/c.jpg", "@eaDir/d.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(thumbnail)
    listing = scan([tmp_path])
    assert [file.name for file in listing.files] == ["a.jpg"]
    reasons = {dropped.frame: dropped.reason for dropped in listing.dropped}
    assert list(reasons) == ["._a.jpg", ".hidden/", "@eaDir/", "__MACOSX/"]
    assert "hidden" in reasons["._a.jpg"] and "hidden" in reasons[".hidden/"]
    assert "a system" in reasons["@eaDir/"] and "a system" in reasons["__MACOSX/"]


def test_many_hidden_pictures_are_told_in_one_line(tmp_path: Path, photo: MakePhoto) -> None:
    for number in range(9):
        photo(tmp_path / f"{number}.jpg")
        (tmp_path / f"._{number}.jpg").write_bytes(b"x")
    listing = scan([tmp_path])
    assert len(listing.files) == 9
    assert [(one.frame, one.reason.split(":")[0]) for one in listing.dropped] == [(".*", "9 files")]


def test_pictures_without_a_telling_name_are_found_by_content(tmp_path: Path, photo: MakePhoto) -> None:
    photo(tmp_path / "a.jpg").rename(tmp_path / "DSC0001")
    photo(tmp_path / "b.png").rename(tmp_path / "scan.old")
    (tmp_path / "README").write_text("x")
    assert names(tmp_path) == ["DSC0001", "scan.old"]


def test_pictures_that_are_not_read_are_named(tmp_path: Path) -> None:
    for name in ("c.gif", "d.insv"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "e.jpg").symlink_to(tmp_path / "nowhere.jpg")
    os.mkfifo(tmp_path / "f.jpg")
    listing = scan([tmp_path])
    assert listing.files == ()
    reasons = {dropped.frame: dropped.reason for dropped in listing.dropped}
    assert list(reasons) == ["c.gif", "d.insv", "e.jpg", "f.jpg"]
    assert "convert" in reasons["c.gif"]
    assert "nowhere" in reasons["e.jpg"]
    assert "regular" in reasons["f.jpg"]


def test_several_sources_come_under_their_own_names(tmp_path: Path, photo: MakePhoto) -> None:
    for folder in ("one/images", "two/images"):
        photo(tmp_path / folder / "a.jpg")
    photo(tmp_path / "a.jpg")
    photo(tmp_path / "sub" / "a.jpg")
    assert names(tmp_path / "one/images", tmp_path / "two/images", tmp_path / "a.jpg", tmp_path / "sub" / "a.jpg") == [
        "a-2.jpg",
        "a.jpg",
        "images/a.jpg",
        "images-2/a.jpg",
    ]


def test_links_in_a_circle_end(tmp_path: Path, photo: MakePhoto) -> None:
    photo(tmp_path / "a" / "1.jpg")
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert names(tmp_path) == ["a/1.jpg"]
    assert names(tmp_path / "a", tmp_path / "a") == ["a/1.jpg"]


def test_linked_folders_are_followed(tmp_path: Path, photo: MakePhoto) -> None:
    photo(tmp_path / "archive" / "1.jpg")
    (tmp_path / "capture").mkdir()
    (tmp_path / "capture" / "day").symlink_to(tmp_path / "archive")
    assert names(tmp_path / "capture") == ["day/1.jpg"]


def test_of_a_session_only_its_images_are_read(tmp_path: Path, photo: MakePhoto) -> None:
    for name in ("images/a.jpg", "masks/a.png", "depths/a.png", ".da3/stills/b.jpg", "preview.png"):
        photo(tmp_path / "session" / name)
    photo(tmp_path / "new.jpg")
    assert names(tmp_path / "session") == ["images/a.jpg"]
    assert names(tmp_path) == ["new.jpg"]


def test_the_output_inside_a_source_is_left_alone(tmp_path: Path, photo: MakePhoto) -> None:
    photo(tmp_path / "a.jpg")
    photo(tmp_path / "out" / "images" / "a.jpg")
    assert names(tmp_path, exclude=tmp_path / "out") == ["a.jpg"]
    with pytest.raises(CaptureError, match="same folder"):
        scan([tmp_path], exclude=tmp_path)


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="no such file or folder"):
        scan([tmp_path / "none"])


def test_forbidden_folders(tmp_path: Path, photo: MakePhoto, monkeypatch: pytest.MonkeyPatch) -> None:
    photo(tmp_path / "a.jpg")
    photo(tmp_path / "locked" / "b.jpg")
    iterdir = Path.iterdir

    def forbid(folder: Path):
        if folder.name == "locked":
            raise PermissionError(13, "Permission denied")
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", forbid)
    listing = scan([tmp_path])
    assert [file.name for file in listing.files] == ["a.jpg"]
    assert [(dropped.frame, dropped.reason) for dropped in listing.dropped] == [("locked/", "permission denied")]
    with pytest.raises(CaptureError, match="permission denied"):
        scan([tmp_path / "locked"])
