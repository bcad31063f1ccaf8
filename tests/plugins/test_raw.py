"""Raw data is told from sessions, and finds its session again."""

from __future__ import annotations

from pathlib import Path

import pytest
from da3_nerfstudio.raw import is_raw, session_beside
from da3_nerfstudio.session import read_list

from da3_pipeline.errors import CaptureError


def test_photographs_and_videos_are_raw_and_sessions_are_not(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    (photos / "day 1").mkdir(parents=True)
    assert not is_raw(photos)
    (photos / "day 1" / "A.JPG").write_bytes(b"")
    assert is_raw(photos)
    video = tmp_path / "walk.mp4"
    video.write_bytes(b"")
    assert is_raw(video)
    assert not is_raw(tmp_path / "missing")
    for mark in ("transforms.json", "report.json", ".da3"):
        session = tmp_path / f"session {mark}"
        (session / "images").mkdir(parents=True)
        (session / "images" / "a.jpg").write_bytes(b"")
        (session / mark).mkdir()
        assert not is_raw(session)


def test_the_session_lies_beside_or_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "walk.mp4").write_bytes(b"")
    assert session_beside(tmp_path / "photos") == tmp_path / "photos-da3"
    assert session_beside(tmp_path / "walk.mp4") == tmp_path / "walk-da3"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("os.access", lambda path, mode: False)
    elsewhere = session_beside(tmp_path / "photos")
    assert elsewhere.is_relative_to(tmp_path / "cache") and elsewhere == session_beside(tmp_path / "photos")
    assert elsewhere != session_beside(tmp_path / "walk.mp4")
    (tmp_path / "photos-da3").mkdir()
    assert session_beside(tmp_path / "photos") == tmp_path / "photos-da3"


def test_lists_name_images_in_any_usual_way(tmp_path: Path) -> None:
    names = ["a/000.jpg", "a/001.jpg", "b.png", "c.png"]
    listing = tmp_path / "eval.txt"
    listing.write_text("images/a/000.jpg\n\nb.png\n001\n")
    assert read_list(listing, names) == {"a/000.jpg", "b.png", "a/001.jpg"}


@pytest.mark.parametrize(
    ("text", "message"),
    [("z.png\n", "'z.png' is no image"), ("", "lists 0 of 3"), ("a\nb\nc\n", "lists 3 of 3")],
)
def test_lists_that_say_nothing_are_refused(tmp_path: Path, text: str, message: str) -> None:
    listing = tmp_path / "eval.txt"
    listing.write_text(text)
    with pytest.raises(CaptureError, match=message):
        read_list(listing, ["a.png", "b.png", "c.png"])


def test_a_missing_list_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="cannot be read"):
        read_list(tmp_path / "none.txt", ["a.png"])
