"""Captures and sessions at URLs: fetched once, sent as a whole, and found again, on a disk and on an S3 server."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from da3_workflows.remote import RemoteFolder, find_remote_captures, finished_at, scratch_for
from da3_workflows.remote.mirror import fetch, pull, push

from da3_pipeline.errors import CaptureError, ExportError, MissingExtraError, UsageError

pytestmark = pytest.mark.filterwarnings("ignore")  # botocore's
RESULT = {"status": "done", "reason": "good", "frames_posed": 2, "frames": 2}


def sent(folder: Path, to: RemoteFolder) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            to.upload(path, path.relative_to(folder).as_posix())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Counted(RemoteFolder):
    """Notes what goes over the wire."""

    moved: list[str]

    def __init__(self, url: str) -> None:
        super().__init__(url)
        object.__setattr__(self, "moved", [])

    def download(self, name: str, to: Path) -> None:
        self.moved.append(name)
        super().download(name, to)

    def upload(self, path: Path, name: str) -> None:
        self.moved.append(name)
        super().upload(path, name)

    def write(self, name: str, content: bytes) -> None:
        self.moved.append(f"{name}: {json.loads(content)['result'] is not None}")
        super().write(name, content)


def test_a_capture_is_fetched_once_and_what_changed_again(far: str, pictures: Path, tmp_path: Path) -> None:
    source, here = Counted(f"{far}/room"), tmp_path / "here" / "room"
    sent(pictures, source)
    source.moved.clear()
    fetch(source, here)
    assert contents(here) == contents(pictures)
    assert sorted(source.moved) == ["a.png", "left/b.png"]
    times = {path: path.stat().st_mtime_ns for path in here.rglob("*.png")}
    source.moved.clear()
    fetch(source, here)
    assert source.moved == []
    (here / "a.png").write_bytes(b"cut")
    RemoteFolder(source.url).upload(pictures / "a.png", "c.png")
    RemoteFolder(source.url).delete("left/b.png")
    fetch(source, here)
    assert sorted(source.moved) == ["a.png", "c.png"]
    assert sorted(contents(here)) == ["a.png", "c.png"]
    assert (here / "a.png").stat().st_mtime_ns == times[here / "a.png"]  # the same on every machine


def test_a_fetch_that_breaks_off_goes_on_where_it_was(
    far: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, here = Counted(f"{far}/room"), tmp_path / "room"
    sent(pictures, source)

    def broken(self: RemoteFolder, name: str, to: Path) -> None:
        if name == "left/b.png":
            raise CaptureError("the line is dead")
        RemoteFolder.download(self, name, to)

    with monkeypatch.context() as patch, pytest.raises(CaptureError):
        patch.setattr(Counted, "download", broken)
        fetch(source, here)
    source.moved.clear()
    fetch(source, here)
    assert source.moved == ["left/b.png"]
    assert not list(here.rglob("*.part"))


def session(folder: Path, **files: str) -> Path:
    for name, text in {"transforms_json": "{}", **files}.items():
        path = folder / name.replace("__", "/").replace("_json", ".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for own in (".da3/lock", ".da3/unpacked/a.png", ".da3/infer.new/x", ".da3/chunks/1", ".da3/infer/x.npz"):
        (folder / own).parent.mkdir(parents=True, exist_ok=True)
        (folder / own).write_text(own)
    return folder


def test_a_session_is_sent_with_its_manifest_last_and_found_finished(far: str, tmp_path: Path) -> None:
    there, here = Counted(f"{far}/out/room"), session(tmp_path / "room")
    push(here, there, "key", None)
    assert there.moved == [".da3/infer/x.npz", "transforms.json", ".da3/manifest.json: False"]
    assert finished_at(there, "key") is None
    there.moved.clear()
    push(here, there, "key", RESULT)
    assert there.moved == [".da3/manifest.json: False", ".da3/manifest.json: True"][1:]
    assert finished_at(there, "key") == RESULT
    assert finished_at(there, "other") is None
    assert finished_at(there, "key", verify=True) == RESULT


def test_while_files_are_replaced_nothing_counts_as_finished_and_what_is_gone_is_deleted(
    far: str, tmp_path: Path
) -> None:
    there = Counted(f"{far}/room")
    push(session(tmp_path / "room", points_json="[1]"), there, "key", RESULT)
    here = session(tmp_path / "again" / "room", transforms_json="[2]")
    there.moved.clear()
    push(here, there, "key 2", RESULT)
    assert there.moved == [".da3/manifest.json: False", "transforms.json", ".da3/manifest.json: True"]
    names = {file.name for file in there.files()}
    assert names == {"transforms.json", ".da3/infer/x.npz", ".da3/manifest.json"}


@pytest.mark.parametrize("damage", ["deleted", "cut", "flipped", "no manifest"])
def test_what_was_lost_or_changed_there_is_not_finished(far: str, tmp_path: Path, damage: str) -> None:
    there = RemoteFolder(f"{far}/room")
    push(session(tmp_path / "room"), there, "key", RESULT)
    if damage == "deleted":
        there.delete("transforms.json")
    else:
        there.write(
            *{"cut": ("transforms.json", b""), "flipped": ("transforms.json", b"[]")}.get(
                damage, (".da3/manifest.json", b"{")
            )
        )
    assert finished_at(there, "key", verify=damage == "flipped") is None


def test_another_machine_goes_on_from_what_was_sent(far: str, tmp_path: Path) -> None:
    there = Counted(f"{far}/room")
    push(session(tmp_path / "a" / "room"), there, "key", None)
    other = tmp_path / "b" / "room"
    pull(there, other)
    assert contents(other) == {"transforms.json": b"{}", ".da3/infer/x.npz": b".da3/infer/x.npz"}
    (other / "transforms.json").write_text("[3]")  # it goes on, and is interrupted before it sends anything
    there.moved.clear()
    pull(there, other)
    assert there.moved == [] and (other / "transforms.json").read_text() == "[3]"
    push(other, there, "key", None)
    pull(there, tmp_path / "a" / "room")
    assert (tmp_path / "a" / "room" / "transforms.json").read_text() == "[3]"


def test_what_is_damaged_there_is_left_out_and_no_name_leads_outside(far: str, tmp_path: Path) -> None:
    there = RemoteFolder(f"{far}/room")
    push(session(tmp_path / "room"), there, "key", None)
    there.write("transforms.json", b"[9]")
    told = json.loads(there.read(".da3/manifest.json") or b"")
    told["files"]["../stray"] = told["files"]["transforms.json"]
    there.write(".da3/manifest.json", json.dumps(told).encode())
    told["files"]["gone.json"] = told["files"]["transforms.json"]
    there.write(".da3/manifest.json", json.dumps(told).encode())
    here = tmp_path / "b" / "room"
    lost = pull(there, here)
    assert sorted(contents(here)) == [".da3/infer/x.npz"]
    assert sorted(lost) == ["gone.json", "transforms.json"]
    push(session(here), there, "key", RESULT, lost)
    assert there.read("transforms.json") == b"{}"


def test_captures_are_told_by_names(far: str, pictures: Path) -> None:
    root = RemoteFolder(far)
    sent(pictures, root / "room 10")
    sent(pictures, root / "room 2")
    for name in ("garden.MP4", "notes/list.txt", "loose.jpg", "old/.da3/lock", ".hidden/a.jpg", "scan.zip"):
        root.write(name, b"x")
    found, left_out = find_remote_captures(far)
    assert [one.name for one in found] == ["garden.MP4", "room 2", "room 10", "scan.zip"]
    assert found[1].url == f"{far}/room 2" and found[1].path == scratch_for(far) / "room 2"
    assert {dropped.frame for dropped in left_out} == {"notes", "loose.jpg", "old"}
    before = {one.name: one.stamp for one in found}
    root.write("room 2/c.jpg", b"new")
    changed = {one.name for one in find_remote_captures(far)[0] if one.stamp != before[one.name]}
    assert changed == {"room 2"}


def test_what_is_not_there_or_not_known_is_one_line(far: str, tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="no folder with photographs"):
        find_remote_captures(f"{far}/nowhere")
    with pytest.raises(CaptureError, match=r"a\.png cannot be read"):
        RemoteFolder(far).download("a.png", tmp_path / "a.png")
    with pytest.raises(UsageError, match="nosuch"):
        find_remote_captures("nosuch://there")


def test_a_server_that_is_away_may_be_there_later(bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    (tmp_path / "a").write_text("a")
    with pytest.raises(ExportError, match="try again later") as told:
        RemoteFolder(f"s3://{bucket}/below").upload(tmp_path / "a", "a")
    assert getattr(told.value.__cause__, "errno", None) == 5


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    def absent(url: str) -> Any:
        raise ImportError("Install s3fs")

    monkeypatch.setattr(fsspec.core, "url_to_fs", absent)
    with pytest.raises(MissingExtraError, match=r"da3-pipeline\[s3\]"):
        RemoteFolder("s3://bucket/x").files()


def test_scratch_of_somebody_else_is_refused(scratch: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    scratch.symlink_to(tmp_path / "theirs")
    with pytest.raises(UsageError, match="DA3_PIPELINE_SCRATCH"):
        scratch_for("s3://bucket/x")
    os.unlink(scratch)
    assert scratch_for("s3://bucket/x") != scratch_for("s3://bucket/y")
