"""Frames at a rate, and stretches of video, as they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from da3_pipeline.errors import SelectionError
from da3_pipeline.ingest import IngestConfig
from da3_pipeline.ingest import run as ingest
from da3_pipeline.progress import SilentProgress
from da3_pipeline.select import SelectConfig, run
from da3_pipeline.types import FrameSet

Views = Callable[..., list[np.ndarray]]
Film = Callable[[Path, list[np.ndarray]], Path]


@pytest.fixture(scope="module")
def clip(views: Views, film: Film, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds, 60 frames, along a wall."""
    return film(tmp_path_factory.mktemp("clip") / "a.mp4", views(0, 6.0 * np.arange(60)))


def chosen(clip: Path, folder: Path, **settings: object) -> tuple[list[int], FrameSet]:
    capture = ingest([clip], IngestConfig(), SilentProgress())
    found = run(capture, SelectConfig.model_validate(settings), SilentProgress(), folder)
    return [int(Path(frame.name).stem) for frame in found.frames], found


def test_every_so_many(clip: Path, tmp_path: Path) -> None:
    numbers, found = chosen(clip, tmp_path, every=7, max_frames=3)
    assert numbers == list(range(0, 60, 7))
    assert all(frame.training for frame in found.frames)
    assert {dropped.reason for dropped in found.dropped} == {"every 7 frames were asked for"}
    assert len(found.dropped) + len(numbers) == 60


@pytest.mark.parametrize(
    ("fps", "numbers"),
    [(5.0, list(range(0, 60, 6))), (4.0, [0, 7, 15, 22, 30, 37, 45, 52]), (90.0, list(range(60)))],
)
def test_so_many_a_second(fps: float, numbers: list[int], clip: Path, tmp_path: Path) -> None:
    taken, _ = chosen(clip, tmp_path, fps=fps)
    assert len(taken) == len(numbers) and np.abs(np.array(taken) - numbers).max() <= (fps == 4.0)


def test_a_stretch_is_counted_from_the_first_frame(clip: Path, tmp_path: Path) -> None:
    taken, found = chosen(clip, tmp_path, start_s=0.5, end_s=1.0, every=5)
    assert taken == [15, 20, 25, 30]
    reasons = {dropped.frame: dropped.reason for dropped in found.dropped}
    assert "outside" in reasons["a/000014.jpg"] and "outside" in reasons["a/000031.jpg"]
    assert "asked for" in reasons["a/000016.jpg"] and "outside" not in reasons["a/000016.jpg"]


def test_by_motion_too_frames_come_from_the_stretch(clip: Path, tmp_path: Path) -> None:
    everywhere, _ = chosen(clip, tmp_path / "a")
    taken, _ = chosen(clip, tmp_path / "b", start_s=1.0)
    assert min(everywhere) < 20 and min(taken) >= 30 and max(taken) > 50


def test_a_clip_that_ends_before_is_named(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(SelectionError, match=r"a\.mp4: it lasts 1\.97 s.*--from"):
        chosen(clip, tmp_path, start_s=3.0)


@pytest.mark.parametrize("settings", [{"fps": 2.0, "every": 3}, {"start_s": 2.0, "end_s": 1.0}])
def test_what_contradicts_itself_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        SelectConfig.model_validate(settings)
