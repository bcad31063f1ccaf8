"""Outputs change as a whole or not at all, and only outputs of ours."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from da3_pipeline.errors import ExportError
from da3_pipeline.export.staging import (
    OUTPUTS,
    check_folder,
    damaged_outputs,
    finish_interrupted,
    staged,
    write_atomically,
)


def write_outputs(new: Path, text: str, with_depths: bool = False) -> None:
    (new / "images" / "sub").mkdir(parents=True)
    (new / "images" / "sub" / "a.jpg").write_text(text)
    (new / "transforms.json").write_text(text)
    if with_depths:
        (new / "depths").mkdir()
        (new / "depths" / "a.png").write_text(text)


def export(folder: Path, text: str, with_depths: bool = False) -> None:
    with staged(folder) as new:
        write_outputs(new, text, with_depths)


def content(folder: Path) -> dict[str, str]:
    """Every output file and its text; anything hidden is none of the outputs."""
    files = (path for path in folder.rglob("*") if path.is_file())
    named = ((path.relative_to(folder), path) for path in files)
    return {name.as_posix(): path.read_text() for name, path in named if not name.parts[0].startswith(".")}


FIRST = {"images/sub/a.jpg": "first", "transforms.json": "first", "depths/a.png": "first"}


def test_second_export_replaces_the_first_and_removes_what_it_no_longer_has(tmp_path: Path) -> None:
    export(tmp_path, "first", with_depths=True)
    assert content(tmp_path) == FIRST
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "images_2").mkdir()
    export(tmp_path, "second")
    assert content(tmp_path) == {"images/sub/a.jpg": "second", "transforms.json": "second", "notes.txt": "mine"}
    assert (tmp_path / "images_2").is_dir()
    assert not (tmp_path / ".da3-staging").exists()


@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.ENOSPC, "free some space"), (errno.EROFS, "choose another --output")]
)
def test_failure_while_writing_leaves_the_earlier_outputs(tmp_path: Path, number: int, remedy: str) -> None:
    export(tmp_path, "first", with_depths=True)
    with pytest.raises(ExportError, match=remedy) as caught, staged(tmp_path) as new:
        write_outputs(new, "second")
        raise OSError(number, os.strerror(number))
    assert "\n" not in str(caught.value)
    assert content(tmp_path) == FIRST
    assert not (tmp_path / ".da3-staging").exists()


def test_any_other_failure_leaves_the_earlier_outputs_too(tmp_path: Path) -> None:
    export(tmp_path, "first", with_depths=True)
    with pytest.raises(KeyboardInterrupt), staged(tmp_path) as new:
        write_outputs(new, "second")
        raise KeyboardInterrupt
    assert content(tmp_path) == FIRST


@pytest.mark.parametrize("failing_call", range(1, 9))
def test_failure_between_the_renames_puts_the_earlier_outputs_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing_call: int
) -> None:
    export(tmp_path, "first", with_depths=True)
    rename, calls = Path.rename, 0

    def failing(self: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == failing_call:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    try:
        export(tmp_path, "second")
    except ExportError:
        assert content(tmp_path) == FIRST
    else:
        assert calls < failing_call
        assert content(tmp_path)["transforms.json"] == "second"
    monkeypatch.undo()
    export(tmp_path, "third")
    assert content(tmp_path) == {"images/sub/a.jpg": "third", "transforms.json": "third"}


@pytest.mark.parametrize("killed_at", range(2, 7))
def test_process_killed_between_the_renames_is_finished_by_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    export(tmp_path, "first", with_depths=True)
    rename, calls = Path.rename, 0

    class Killed(BaseException):
        pass

    def dying(self: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls >= killed_at:
            raise Killed
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", dying)
    with pytest.raises(Killed):
        export(tmp_path, "second")
    monkeypatch.undo()
    finish_interrupted(tmp_path)
    assert content(tmp_path) == {"images/sub/a.jpg": "second", "transforms.json": "second"}
    assert not (tmp_path / ".da3-staging").exists()


@pytest.mark.parametrize("name", OUTPUTS)
def test_files_of_others_in_the_places_of_outputs_are_refused(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    if "." in name:
        place.write_text("mine")
    else:
        place.mkdir()
        (place / "holiday.jpg").write_text("mine")
    before = content(tmp_path)
    with pytest.raises(ExportError, match="not written by da3-pipeline"), staged(tmp_path):
        pytest.fail("nothing may be written")
    assert content(tmp_path) == before


def test_a_file_added_to_the_images_of_an_export_is_not_lost(tmp_path: Path) -> None:
    export(tmp_path, "first")
    (tmp_path / "images" / "stray.txt").write_text("mine")
    with pytest.raises(ExportError, match=r"stray\.txt"):
        export(tmp_path, "second")
    assert (tmp_path / "images" / "stray.txt").read_text() == "mine"


def test_what_operating_systems_strew_into_folders_does_not_matter(tmp_path: Path) -> None:
    export(tmp_path, "first")
    (tmp_path / "images" / ".DS_Store").write_text("")
    export(tmp_path, "second")
    assert content(tmp_path)["transforms.json"] == "second"


def test_inputs_below_the_outputs_are_refused(tmp_path: Path) -> None:
    export(tmp_path, "first")
    with pytest.raises(ExportError, match="is an input"):
        check_folder(tmp_path, [tmp_path / "images" / "sub" / "a.jpg"])
    check_folder(tmp_path, [tmp_path / "elsewhere" / "a.jpg"])


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="cannot be written") as caught, staged(tmp_path / "file" / "out"):
        pytest.fail("nothing may be written")
    assert "\n" not in str(caught.value)


def test_a_damaged_manifest_is_read_from_its_copy(tmp_path: Path) -> None:
    export(tmp_path, "first")
    manifest = tmp_path / ".da3" / "outputs.json"
    manifest.write_text(manifest.read_text().replace("images/sub/a.jpg", "images/sub/b.jpg"))
    assert damaged_outputs(tmp_path) == []
    export(tmp_path, "second")
    assert (tmp_path / "transforms.json").read_text() == "second"


def test_damaged_manifests_protect_everything(tmp_path: Path) -> None:
    export(tmp_path, "first")
    for copy in ("outputs.json", "outputs-copy.json"):
        (tmp_path / ".da3" / copy).write_text("{")
    assert damaged_outputs(tmp_path) is None
    with pytest.raises(ExportError, match="not written by"):
        export(tmp_path, "second")


def test_manifest_lists_what_is_there(tmp_path: Path) -> None:
    export(tmp_path, "first", with_depths=True)
    export(tmp_path, "second")
    listed = json.loads((tmp_path / ".da3" / "outputs.json").read_text())
    assert list(listed["files"]) == ["images/sub/a.jpg", "transforms.json"]
    (tmp_path / "transforms.json").write_text("other")
    assert damaged_outputs(tmp_path) == ["transforms.json"]


def test_atomic_text_survives_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(tmp_path / "report.json", "first")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ExportError, match="free some space"):
        write_atomically(tmp_path / "report.json", "second")
    assert content(tmp_path) == {"report.json": "first"}
