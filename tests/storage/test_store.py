"""The session folder: round trips, resume, refusal of folders that are not ours."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from da3_pipeline.errors import ExportError, UsageError
from da3_pipeline.files.fingerprint import fingerprint
from da3_pipeline.geometry import Camera, PixelMap
from da3_pipeline.storage.store import Session, file_stamps, sources_fingerprint
from da3_pipeline.types import Dropped, Frame, FrameSet, GpsPosition, Prediction, StageRecord

RECORD = StageRecord("infer", 1.5, 100.0, reused=False, cpu_seconds=2.5)


def prediction(folder: Path) -> Prediction:
    generator = np.random.default_rng(0)
    frame = Frame(
        name="a b/é'.jpg",
        path=folder / ".da3" / "stills" / "x.jpg",
        width=64,
        height=48,
        camera_id="phone",
        fingerprint="0",
        gps=GpsPosition(1.0, 2.0, None),
        known_camera=Camera.pinhole(64, 48, 50.0),
        known_cam_from_world=np.eye(3, 4),
    )
    other = Frame("b.jpg", Path("/elsewhere/b.jpg"), 64, 48, "phone", "1")
    depth = generator.random((2, 4, 6), dtype=np.float32)
    depth[0, 0, 0] = np.nan
    return Prediction(
        frames=FrameSet((frame, other), (Dropped("c.jpg", "is empty"),)),
        source="test",
        depth=depth,
        conf=np.ones_like(depth),
        cam_from_world=generator.normal(size=(2, 3, 4)),
        cameras={"phone": Camera.pinhole(64, 48, 50.0)},
        view_intrinsics=np.tile(np.eye(3), (2, 1, 1)),
        pixel_maps=(PixelMap((10.0, 12.0), (0.5, 0.0)),) * 2,
    )


def same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if hasattr(a, "__dataclass_fields__"):
        return type(a) is type(b) and all(same(getattr(a, name), getattr(b, name)) for name in a.__dataclass_fields__)
    return a == b


def test_an_artefact_comes_back_bit_for_bit(tmp_path: Path) -> None:
    artefact = prediction(tmp_path)
    with Session.open(tmp_path) as session:
        session.save("infer", "key", artefact, RECORD)
        loaded = session.load("infer", "key")
    assert loaded is not None
    assert same(loaded[0], artefact)
    assert loaded[1] == StageRecord("infer", 1.5, 100.0, reused=True, cpu_seconds=2.5)


def test_paths_inside_the_session_move_with_it(tmp_path: Path) -> None:
    with Session.open(tmp_path / "old") as session:
        session.save("infer", "key", prediction(tmp_path / "old"), RECORD)
    (tmp_path / "old").rename(tmp_path / "new")
    with Session.open(tmp_path / "new") as session:
        loaded = session.load("infer", "key")
    assert loaded is not None
    frames = loaded[0].frames.frames
    assert frames[0].path == tmp_path / "new" / ".da3" / "stills" / "x.jpg"
    assert frames[1].path == Path("/elsewhere/b.jpg")


def test_another_fingerprint_or_a_damaged_artefact_is_not_used(tmp_path: Path) -> None:
    with Session.open(tmp_path) as session:
        session.save("infer", "key", prediction(tmp_path), RECORD)
        assert session.load("infer", "other") is None
        assert session.load("select", "key") is None
        (tmp_path / ".da3" / "infer" / "arrays.npz").write_bytes(b"PK broken")
        assert session.load("infer", "key") is None
        (tmp_path / ".da3" / "infer" / "stage.json").write_text("{")
        assert session.load("infer", "key") is None


def test_a_stored_artefact_is_found_whatever_its_fingerprint_and_not_once_it_is_damaged(tmp_path: Path) -> None:
    with Session.open(tmp_path) as session:
        session.save("infer", "key", prediction(tmp_path), RECORD)
        assert same(Session(tmp_path).stored("infer"), prediction(tmp_path))
        assert session.stored("refine") is None
        arrays = tmp_path / ".da3" / "infer" / "arrays.npz"
        arrays.write_bytes(arrays.read_bytes()[:100])
        assert session.stored("infer") is None
        assert session.load("infer", "key") is None


def test_overwrite_forgets_stages_and_keeps_exported_files(tmp_path: Path) -> None:
    with Session.open(tmp_path) as session:
        session.save("infer", "key", prediction(tmp_path), RECORD)
    (tmp_path / "transforms.json").write_text("{}")
    with Session.open(tmp_path, overwrite=True) as session:
        assert session.load("infer", "key") is None
    assert (tmp_path / "transforms.json").exists()


def test_a_folder_with_other_content_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="not empty"), Session.open(tmp_path, overwrite=overwrite):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_file_as_output_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file"), Session.open(tmp_path / "file"):
        pass


def test_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    with Session.open(tmp_path), pytest.raises(UsageError, match="another run"), Session.open(tmp_path):
        pass


def test_a_run_that_fails_at_once_leaves_no_folder(tmp_path: Path) -> None:
    output = tmp_path / "new" / "deep"
    with pytest.raises(RuntimeError, match="early"), Session.open(output):
        raise RuntimeError("early")
    assert not output.exists()


def test_an_unwritable_place_is_an_export_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ExportError, match="Read-only"), Session.open(tmp_path / "new"):
        pass


def test_a_full_disk_keeps_the_earlier_artefact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Session.open(tmp_path) as session:
        session.save("infer", "key", prediction(tmp_path), RECORD)

        def full(*args: object, **kwargs: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(np, "savez", full)
        with pytest.raises(ExportError, match="free some space"):
            session.save("infer", "newer", prediction(tmp_path), RECORD)
        assert session.load("infer", "key") is not None


def test_fingerprints_follow_content(tmp_path: Path) -> None:
    assert fingerprint("a", {"x": 1, "y": 2}) == fingerprint("a", {"y": 2, "x": 1})
    assert fingerprint("a", 1) != fingerprint("a", 2)
    photo = tmp_path / "photos" / "a.jpg"
    photo.parent.mkdir()
    photo.write_bytes(b"1")
    before = sources_fingerprint([photo.parent], exclude=tmp_path)
    assert before == sources_fingerprint([photo.parent], exclude=tmp_path)
    inside = photo.parent / "out"
    inside.mkdir()
    (inside / "images.jpg").write_bytes(b"2")
    assert before == sources_fingerprint([photo.parent], exclude=inside)
    photo.write_bytes(b"12")
    assert before != sources_fingerprint([photo.parent], exclude=inside)


def test_what_lies_behind_links_is_watched_too(tmp_path: Path) -> None:
    elsewhere, source = tmp_path / "elsewhere" / "deep", tmp_path / "photos"
    elsewhere.mkdir(parents=True)
    source.mkdir()
    (source / "album").symlink_to(elsewhere.parent)
    (elsewhere / "again").symlink_to(source)  # a circle
    (elsewhere / "a.jpg").write_bytes(b"1")
    before = sources_fingerprint([source], tmp_path / "out")
    assert sources_fingerprint([source], tmp_path / "out") == before
    (elsewhere / "a.jpg").write_bytes(b"22")
    assert sources_fingerprint([source], tmp_path / "out") != before


def test_files_in_a_folder_that_a_configuration_names_are_part_of_its_identity(tmp_path: Path) -> None:
    model = tmp_path / "sparse" / "0"
    model.mkdir(parents=True)
    (model / "images.bin").write_bytes(b"1")
    settings = {"poses": str(tmp_path / "sparse")}
    before = file_stamps(settings)
    (model / "images.bin").write_bytes(b"22")
    assert file_stamps(settings) != before


def test_files_named_by_a_configuration_are_part_of_its_identity(tmp_path: Path) -> None:
    weights = tmp_path / "net.safetensors"
    settings = {"infer": {"model": str(weights), "names": ["da3-nano", 3]}}
    assert file_stamps(settings) == []
    weights.write_bytes(b"123")
    assert [stamp[:2] for stamp in file_stamps(settings)] == [(str(weights), 3)]


def test_a_run_that_fails_after_dear_work_can_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="late"), Session.open(tmp_path / "new") as session:
        session.save("ingest", "key", prediction(tmp_path), RECORD)
        session.save("infer", "key", prediction(tmp_path), RECORD)
        raise RuntimeError("late")
    with Session.open(tmp_path / "new") as session:
        assert session.load("infer", "key") is not None


def test_a_run_that_fails_after_cheap_work_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="early"), Session.open(tmp_path / "new") as session:
        session.save("ingest", "key", prediction(tmp_path), RECORD)
        raise RuntimeError("early")
    assert not (tmp_path / "new").exists()


def mapped(path: Path, array: np.ndarray) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    return np.load(path, mmap_mode="r")


def test_maps_on_disk_are_linked_not_written_again(tmp_path: Path) -> None:
    """Two artefacts hold one file; it stays when the folder that it came from goes."""
    with Session.open(tmp_path) as session:
        artefact = prediction(tmp_path)
        artefact = replace(artefact, depth=mapped(session.chunks / "merged" / "depth.npy", artefact.depth))
        session.save("infer", "key", artefact, RECORD)
        session.save("again", "key", session.load("infer", "key")[0], RECORD)  # type: ignore[index]
        files = list((tmp_path / ".da3").rglob("*.npy"))
        assert len(files) == 3
        assert len({path.stat().st_ino for path in files}) == 1
        shutil.rmtree(session.chunks)
        shutil.rmtree(tmp_path / ".da3" / "infer")
        found = session.load("again", "key")
        assert found is not None
        assert isinstance(found[0].depth, np.memmap)
        assert same(found[0], prediction(tmp_path))


def test_a_part_of_a_map_or_one_that_was_replaced_is_written(tmp_path: Path) -> None:
    with Session.open(tmp_path) as session:
        artefact = prediction(tmp_path)
        stacked = mapped(session.chunks / "two.npy", np.concatenate([artefact.depth, artefact.conf]))
        part = replace(artefact, depth=stacked[:2])
        other = mapped(session.chunks / "one.npy", artefact.conf)
        (session.chunks / "one.npy").unlink()
        np.save(session.chunks / "one.npy", 7 * artefact.conf)
        part = replace(part, conf=other)
        session.save("infer", "key", part, RECORD)
        found = session.load("infer", "key")
        assert found is not None
        assert same(found[0], artefact)


def test_large_arrays_come_back_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("da3_pipeline.storage.codec._LARGE_BYTES", 100)
    with Session.open(tmp_path) as session:
        session.save("infer", "key", prediction(tmp_path), RECORD)
        found = session.load("infer", "key")
        assert found is not None
        assert isinstance(found[0].depth, np.memmap)
        assert same(found[0], prediction(tmp_path))
        largest = max((tmp_path / ".da3" / "infer").glob("*.npy"), key=lambda path: path.stat().st_size)
        largest.write_bytes(largest.read_bytes()[:-8])
        assert session.load("infer", "key") is None
