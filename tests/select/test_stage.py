"""The whole stage on films made for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from da3_pipeline import ingest, select
from da3_pipeline.errors import ExportError, SelectionError
from da3_pipeline.imageio import read_rgb
from da3_pipeline.ingest import IngestConfig
from da3_pipeline.progress import SilentProgress
from da3_pipeline.select import SelectConfig
from da3_pipeline.types import Capture, Frame, FrameSet
from da3_pipeline.versions import STAGE_VERSIONS

Views = Callable[..., list[np.ndarray]]
Film = Callable[..., Path]


def capture_of(folder: Path) -> Capture:
    return ingest.run([folder], IngestConfig(), SilentProgress())


def run(folder: Path, stills: Path, **settings: object) -> FrameSet:
    return select.run(capture_of(folder), SelectConfig(**settings), SilentProgress(), stills)


def photo(path: Path, seed: int) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 255, (64, 96, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def index_of(frame: Frame) -> int:
    return int(Path(frame.name).stem)


def test_all_photographs_are_taken_but_twins(tmp_path: Path) -> None:
    for name, seed in (("a.png", 1), ("b.png", 2), ("sub/a.png", 1), ("c.png", 3)):
        photo(tmp_path / "in" / name, seed)
    frames = run(tmp_path / "in", tmp_path / "stills", max_frames=2)
    assert frames.names == ("a.png", "b.png", "c.png")
    assert [(entry.frame, entry.reason) for entry in frames.dropped] == [("sub/a.png", "the same file as a.png")]
    assert not (tmp_path / "stills").exists()


def test_two_photographs_are_enough_and_one_is_not(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "a.png", 1)
    with pytest.raises(SelectionError, match=r"a\.png is the only frame left.*two different views"):
        run(tmp_path / "in", tmp_path / "stills")
    photo(tmp_path / "in" / "b.png", 2)
    assert len(run(tmp_path / "in", tmp_path / "stills")) == 2


def test_twins_alone_are_one_view(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "a.png", 1)
    photo(tmp_path / "in" / "b.png", 1)
    with pytest.raises(SelectionError) as caught:
        run(tmp_path / "in", tmp_path / "stills")
    assert "\n" not in str(caught.value)


def test_a_walk_with_a_rest_and_shaken_frames(tmp_path: Path, views: Views, film: Film) -> None:
    positions = np.concatenate([np.arange(60) * 3.0, np.full(40, 180.0), 180 + np.arange(60) * 3.0])
    blurred = [index for index in range(160) if index % 6 in (2, 3)]
    film(tmp_path / "in" / "walk.mp4", views(1, positions, blurred))
    frames = run(tmp_path / "in", tmp_path / "stills")
    taken = [index_of(frame) for frame in frames.frames]
    assert not set(taken) & set(blurred)
    assert sum(60 <= index < 100 for index in taken) <= 1
    spacing = np.diff(positions[taken]) / np.hypot(320, 192)
    assert np.median(spacing) == pytest.approx(0.04, rel=0.3)
    assert spacing.max() < 0.1
    for frame in frames.frames:
        assert frame.name == f"walk/{index_of(frame):06d}.jpg"
        assert frame.time_s == pytest.approx(index_of(frame) / 30)
        assert frame.video == "walk.mp4"
        assert read_rgb(frame.path).shape == (frame.height, frame.width, 3) == (192, 320, 3)
    reasons = {int(Path(entry.frame).stem): entry.reason for entry in frames.dropped}
    assert set(reasons) | set(taken) == set(range(160))
    assert reasons[84].startswith("stationary")


def test_stills_show_the_frames_they_are_named_after(tmp_path: Path, views: Views, film: Film) -> None:
    source = views(1, np.arange(40) * 12.0)
    film(tmp_path / "in" / "walk.mp4", source)
    for frame in run(tmp_path / "in", tmp_path / "stills").frames:
        assert np.abs(read_rgb(frame.path).astype(int) - source[index_of(frame)]).mean() < 6


def test_a_cut_begins_a_new_shot(tmp_path: Path, views: Views, film: Film) -> None:
    film(tmp_path / "in" / "two.mp4", views(1, np.arange(30) * 8.0) + views(2, np.arange(30) * 8.0))
    frames = run(tmp_path / "in", tmp_path / "stills")
    assert {frame.video for frame in frames.frames if index_of(frame) < 30} == {"two.mp4"}
    assert {frame.video for frame in frames.frames if index_of(frame) >= 30} == {"two.mp4#2"}
    assert len({frame.camera_id for frame in frames.frames}) == 1


def test_the_budget_holds_over_all_videos_and_spares_photographs(tmp_path: Path, views: Views, film: Film) -> None:
    for seed in (1, 2):
        film(tmp_path / "in" / f"{seed}.mp4", views(seed, np.arange(30) * 30.0))
        photo(tmp_path / "in" / f"{seed}.png", seed)
    frames = run(tmp_path / "in", tmp_path / "stills", max_frames=9)
    assert frames.names[:2] == ("1.png", "2.png")
    assert 8 <= len(frames) - 2 <= 9
    assert any("budget of 9 frames" in entry.reason for entry in frames.dropped)


def test_a_second_run_keeps_the_stills_and_gives_the_same(
    tmp_path: Path, views: Views, film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    film(tmp_path / "in" / "walk.mp4", views(1, np.arange(36) * 10.0))
    first = run(tmp_path / "in", tmp_path / "stills")
    lost = first.frames[3].path
    times = {frame.path: frame.path.stat().st_mtime_ns for frame in first.frames}
    content = lost.read_bytes()
    lost.unlink()
    assert run(tmp_path / "in", tmp_path / "stills") == first
    assert lost.read_bytes() == content
    assert all(path.stat().st_mtime_ns == time for path, time in times.items() if path != lost)
    monkeypatch.setitem(STAGE_VERSIONS, "select", STAGE_VERSIONS["select"] + 1)
    assert times.keys().isdisjoint(frame.path for frame in run(tmp_path / "in", tmp_path / "stills").frames)


def test_a_truncated_film_gives_its_first_part(tmp_path: Path, views: Views, film: Film) -> None:
    path = film(tmp_path / "in" / "walk.mp4", views(1, np.arange(100) * 6.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames = run(tmp_path / "in", tmp_path / "stills")
    assert 5 < len(frames) < 30
    assert max(index_of(frame) for frame in frames.frames) < 60


def test_a_tripod_gives_no_two_views(tmp_path: Path, views: Views, film: Film) -> None:
    film(tmp_path / "in" / "still.mp4", views(1, np.full(30, 50.0)))
    with pytest.raises(SelectionError, match="move the camera"):
        run(tmp_path / "in", tmp_path / "stills")


def test_the_same_film_twice_is_used_once(tmp_path: Path, views: Views, film: Film) -> None:
    path = film(tmp_path / "in" / "a.mp4", views(1, np.arange(40) * 8.0))
    (tmp_path / "in" / "b.mp4").write_bytes(path.read_bytes())
    frames = run(tmp_path / "in", tmp_path / "stills")
    assert {frame.video for frame in frames.frames} == {"a.mp4"}
    assert ("b.mp4", "the same file as a.mp4") in [(entry.frame, entry.reason) for entry in frames.dropped]


def test_a_full_disk_is_one_line(tmp_path: Path, views: Views, film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    film(tmp_path / "in" / "walk.mp4", views(1, np.arange(40) * 8.0))

    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("da3_pipeline.select.stills.write_rgb", full)
    with pytest.raises(ExportError, match="No space left on device") as caught:
        run(tmp_path / "in", tmp_path / "stills")
    assert "\n" not in str(caught.value)
