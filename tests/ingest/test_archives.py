"""Archives as sources: unpacked once, into the work folder alone, within bounds; else one line that says what to do."""

from __future__ import annotations

import json
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from da3_pipeline.errors import CaptureError
from da3_pipeline.ingest.archives import unpacked
from da3_pipeline.ingest.config import ArchiveConfig
from da3_pipeline.ingest.projects.registry import find_project
from da3_pipeline.progress import SilentProgress
from da3_pipeline.storage.store import sources_fingerprint

Run = Callable[..., tuple[int, str, str]]


def zipped(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def unpack(source: Path, work: Path, **limits: float) -> Path:
    return unpacked([source], work, ArchiveConfig.model_validate(limits), SilentProgress())[0]


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_archive_becomes_its_files(tmp_path: Path) -> None:
    """Folders of either slash, and none of what systems add; other sources stay what they are."""
    entries = (("rgbd/0.jpg", b"a"), ("depth\\0.depth", b"b"), ("metadata", b"c"), ("__MACOSX/rgbd/._0.jpg", b"d"))
    source = zipped(tmp_path / "scan.r3d", *entries)
    (tmp_path / "photos").mkdir()
    found = unpacked([source, tmp_path / "photos"], tmp_path / "work", ArchiveConfig(), SilentProgress())
    assert files(found[0]) == {"rgbd/0.jpg": b"a", "depth/0.depth": b"b", "metadata": b"c"}
    assert found[0].name == "scan" and found[1] == tmp_path / "photos"


def test_what_is_unpacked_stays_until_its_archive_changes(tmp_path: Path) -> None:
    """Also its identity as a source, or nothing could be resumed."""
    source, work = zipped(tmp_path / "a.zip", ("1.jpg", b"one")), tmp_path / "work"
    first = unpack(source, work)
    key = sources_fingerprint([first], tmp_path)
    (first / "mark").write_bytes(b"")
    assert unpack(source, work) == first and (first / "mark").exists()
    (first / "mark").unlink()
    (work / first.parent.name).rename(tmp_path / "gone")
    assert sources_fingerprint([unpack(source, work)], tmp_path) == key
    zipped(source, ("1.jpg", b"another"))
    os.utime(source, ns=(10**18, 10**18))
    second = unpack(source, work)
    assert files(second) == {"1.jpg": b"another"} and not first.exists()


def link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("link.jpg")
    entry.create_system = 3
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../../evil.jpg", "leads out"),
        ("a/../../evil.jpg", "leads out"),
        ("/etc/evil.jpg", "leads out"),
        ("..\\evil.jpg", "leads out"),
        ("C:\\evil.jpg", "leads out"),
        (link(), "a link"),
    ],
    ids=["parent", "parent inside", "absolute", "parent in Windows", "drive", "link"],
)
def test_nothing_leaves_the_folder(name: str | zipfile.ZipInfo, said: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source = zipped(tmp_path / "in" / "a.zip", ("0.jpg", b"0"), (name, b"/etc"))
    with pytest.raises(CaptureError, match=said) as caught:
        unpack(source, tmp_path / "work" / "deep" / "deeper")
    assert str(source) in str(caught.value) and "give the folder" in str(caught.value)
    assert files(tmp_path) == {"in/a.zip": source.read_bytes()}


def test_more_than_a_capture_holds_is_refused_before_it_is_written(tmp_path: Path) -> None:
    source = zipped(tmp_path / "a.zip", *((f"{k}.jpg", bytes(10_000)) for k in range(5)), method=zipfile.ZIP_DEFLATED)
    for limits, said in (
        ({"most_files": 4}, "5 files, more than 4"),
        ({"most_bytes": 49_999}, "GB, more than"),
        ({"free_to_grow_bytes": 0}, "as no capture does"),
    ):
        with pytest.raises(CaptureError, match=said):
            unpack(source, tmp_path / "work", **limits)
    assert not (tmp_path / "work").exists()
    assert len(files(unpack(source, tmp_path / "work"))) == 5


def test_what_is_no_whole_archive_is_one_line(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "whole.zip", ("1.jpg", bytes(range(256)) * 8)).read_bytes()
    bad = {
        "empty": b"",
        "text": b"no archive",
        "cut off": whole[:-30],
        "other bytes": whole.replace(b"\x07\x08", b"\x08\x08"),
    }
    for name, content in bad.items():
        (tmp_path / f"{name}.zip").write_bytes(content)
        with pytest.raises(CaptureError, match=r"cannot be read .*copy it again, or unpack it yourself") as caught:
            unpack(tmp_path / f"{name}.zip", tmp_path / "work")
        assert "\n" not in str(caught.value)
    assert not [path for path in (tmp_path / "work").rglob("*") if path.is_file()]


def test_whatever_python_raises_of_an_archive_is_one_line(tmp_path: Path) -> None:
    """Of a file without a name an IndexError, which fuzzing found."""
    source = zipped(tmp_path / "a.zip", ("1.jpg", b"one"))
    data = bytearray(source.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 28 : at + 30] = bytes(2)
    del data[at + 46 : at + 46 + len("1.jpg")]
    data[-10] -= len("1.jpg")  # of the directory's size
    source.write_bytes(data)
    with pytest.raises(CaptureError) as caught:
        unpack(source, tmp_path / "work")
    assert str(source) in str(caught.value) and "\n" not in str(caught.value)


def test_a_password_is_asked_of_nobody(tmp_path: Path) -> None:
    data = bytearray(zipped(tmp_path / "a.zip", ("1.jpg", b"1")).read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + at] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(CaptureError, match="has a password"):
        unpack(tmp_path / "a.zip", tmp_path / "work")


def test_a_run_reads_an_archive_and_leaves_nothing_where_it_fails(cli: Run, tmp_path: Path) -> None:
    source = zipped(tmp_path / "photos.zip", ("readme.txt", b"no pictures"))
    code, _, said = cli("run", source, "-o", tmp_path / "out")
    assert code == 2 and "no photographs or videos found" in said
    assert not (tmp_path / "out").exists()


def test_photographs_of_an_archive_are_those_of_its_folder(tmp_path: Path) -> None:
    from da3_pipeline import ingest
    from da3_pipeline.ingest.config import IngestConfig

    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for k in range(3):
            picture = np.random.default_rng(k).integers(0, 255, (80, 96, 3), np.uint8)
            Image.fromarray(picture).save(tmp_path / f"{k}.png")
            archive.write(tmp_path / f"{k}.png", f"day 1/{k}.png")
    folder = unpack(tmp_path / "photos.zip", tmp_path / "out" / ".da3" / "unpacked")
    capture = ingest.run([folder], IngestConfig(), SilentProgress(), exclude=tmp_path / "out")
    assert [photo.name for photo in capture.photos] == [f"day 1/{k}.png" for k in range(3)]


def test_an_archive_of_record3d_is_its_project(tmp_path: Path) -> None:
    told = {
        "w": 640,
        "h": 480,
        "dw": 8,
        "dh": 6,
        "K": [500, 0, 0, 0, 510, 0, 320, 240, 1],
        "poses": [[0, 0, 0, 1, 1, 2, 3]],
    }
    entries = (("metadata", json.dumps(told).encode()), ("rgbd/0.jpg", b"picture"), ("rgbd/0.depth", b"packed"))
    project = find_project(unpack(zipped(tmp_path / "scan.r3d", *entries), tmp_path / "work"))
    assert project is not None and project.program == "Record3D"
    (view,) = project.views
    np.testing.assert_allclose(view.cam_from_world, [[1, 0, 0, -1], [0, -1, 0, 2], [0, 0, -1, 3]])
    assert view.depth is not None and view.depth.path.read_bytes() == b"packed"
