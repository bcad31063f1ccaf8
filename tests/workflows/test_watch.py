"""Captures as they arrive, with a clock of the test's own and an executor that does as it is told."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from da3_workflows.batch import Batch
from da3_workflows.tasks import Report, Task
from da3_workflows.watch import watch
from PIL import Image
from pydantic import BaseModel

from da3_pipeline.errors import CaptureError, UsageError
from da3_pipeline.progress import Progress

DONE = {"status": "done", "reason": "good", "frames_posed": 2, "frames": 2}


class Settings(BaseModel):
    seed: int = 0


class Recording:
    """Ends each capture at once, and remembers when it was begun."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.began: list[tuple[str, float]] = []

    def run(self, tasks: Sequence[Task], progress: Progress) -> Generator[Report, None, None]:
        for task in tasks:
            self.began.append((task.name, self._clock.now_s))
            status = "failed" if "bad" in task.name else "done"
            yield Report(task, DONE | {"status": status}, 0, 1.0)


class Clock:
    """Sleeping is where time passes, and where things happen to the folder: `at` second -> what."""

    def __init__(self, **at: Callable[[], None]) -> None:
        self.now_s = 1000.0
        self._due = sorted((float(second.removeprefix("s")), what) for second, what in at.items())

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        if self.now_s > 2000:
            raise KeyboardInterrupt
        while self._due and self.now_s >= 1000 + self._due[0][0]:
            self._due.pop(0)[1]()


class Heard:
    def __init__(self) -> None:
        self.said: list[str] = []

    def begin(self, stage: str) -> None: ...

    def step(self, done: int, total: int, note: str = "") -> None: ...

    def end(self, summary: str) -> None:
        self.said.append(summary)


def photo(path: Path, width: int = 8) -> Callable[[], None]:
    def put() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (width, 6), "teal").save(path)

    return put


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    return folder


def watched(root: Path, clock: Clock, **options: Any) -> tuple[Recording, list[Any]]:
    """What was begun when, and the groups, until the clock ends it or nothing is left to do."""
    executor = Recording(clock)
    batch = Batch(root.parent / "out", Settings(), executor=executor)  # type: ignore[arg-type]
    groups = []
    try:
        for group in watch(root, batch, clock=clock, sleep=clock.sleep, **options):
            groups.append(group)
    except KeyboardInterrupt:
        assert not options.get("once")
    return executor, groups


def test_an_upload_is_begun_when_it_has_stopped_growing(root: Path) -> None:
    """A photograph each eight seconds, the last at 32."""
    puts = {f"s{second}": photo(root / "room" / f"{second}.png") for second in (0, 8, 16, 24, 32)}
    executor, groups = watched(root, Clock(**puts), settled_s=10.0)
    ((name, second),) = executor.began
    assert name == "room" and 1042 <= second <= 1046
    assert [record.status for group in groups for record in group.records] == ["done"]


def test_a_file_that_grows_is_no_less_an_upload_than_a_folder(root: Path) -> None:
    clip = root / "clip.mp4"

    def grow() -> None:
        with open(clip, "ab") as file:
            file.write(b"\0\0\0\x18ftypmp42")
        os.utime(clip, (5, 5))  # a file system whose clock stands still

    executor, _ = watched(root, Clock(s0=grow, s9=grow, s18=grow), settled_s=10.0)
    ((name, second),) = executor.began
    assert name == "clip.mp4" and second >= 1028


def test_a_capture_that_changes_is_done_again_and_others_are_not(root: Path) -> None:
    photo(root / "room" / "a.png")()
    photo(root / "hall" / "a.png")()
    clock = Clock(s100=photo(root / "room" / "b.png"), s200=photo(root / "room" / "a.png", width=9))
    executor, _ = watched(root, clock, settled_s=10.0)
    assert [name for name, _ in executor.began] == ["hall", "room", "room", "room"]
    documented = json.loads((root.parent / "out" / "batch.json").read_text())
    assert [entry["name"] for entry in documented["captures"]] == ["hall", "room"]


def test_what_failed_is_tried_again_once_it_has_changed_and_not_before(root: Path) -> None:
    photo(root / "bad room" / "a.png")()
    executor, groups = watched(root, Clock(s300=photo(root / "bad room" / "b.png")), settled_s=10.0)
    assert [name for name, _ in executor.began] == ["bad room"] * 2
    assert groups[0].exit_code == 2


@pytest.mark.parametrize("partial", ["room/b.jpg.part", "room/b.mp4.CRDOWNLOAD", "room/x.tmp", "room/b.download/b.mp4"])
def test_an_unfinished_download_is_waited_for_by_its_name(root: Path, partial: str) -> None:
    photo(root / "room" / "a.png")()
    (root / partial).parent.mkdir(exist_ok=True)
    (root / partial).write_bytes(b"half")
    heard = Heard()
    clock = Clock(s500=lambda: (root / partial).rename(root / "room" / "b.jpg"))
    executor, _ = watched(root, clock, settled_s=10.0, progress=heard)
    ((name, second),) = executor.began
    assert name == "room" and 1510 <= second <= 1514
    waited_for = "b.mp4" if "download/" in partial else Path(partial).name
    assert heard.said == [f"room: waits for {waited_for}", "room: is arriving"]


def test_an_odd_name_and_what_is_no_capture_stop_nothing(root: Path) -> None:
    names = [os.fsdecode(b"caf\xe9"), "x" * 250, "a\nb", "batch.json", "room"]
    for name in names:
        photo(root / name / "a.png")()
    (root / "circle").symlink_to("circle")
    (root / "notes").mkdir()
    (root / "notes" / "list.txt").write_text("tripod")
    executor, groups = watched(root, Clock(), settled_s=10.0, once=True)
    assert sorted(name for name, _ in executor.began) == sorted(names)
    assert [dropped.frame for group in groups for dropped in group.left_out] == ["notes"]


def test_once_ends_when_all_that_has_settled_is_done_and_names_the_rest(root: Path) -> None:
    photo(root / "room" / "a.png")()
    photo(root / "hall" / "a.png")()
    clock = Clock(**{f"s{k}": photo(root / "hall" / f"{k}.png") for k in range(1, 60)})
    executor, groups = watched(root, clock, settled_s=10.0, once=True)
    assert [name for name, _ in executor.began] == ["room"]
    assert [(one.frame, one.reason) for one in groups[-1].left_out] == [("hall", "is arriving")]
    assert clock.now_s < 1016


def test_a_second_watch_does_only_what_is_missing(root: Path) -> None:
    photo(root / "bad room" / "a.png")()
    watched(root, Clock(), settled_s=10.0, once=True)
    executor, _ = watched(root, Clock(), settled_s=10.0, once=True)
    assert [name for name, _ in executor.began] == ["bad room"]


def test_a_folder_that_goes_away_is_waited_for_and_one_that_never_was_is_an_error(root: Path) -> None:
    photo(root / "room" / "a.png")()
    away = root.with_name("away")
    heard = Heard()
    clock = Clock(s4=lambda: root.rename(away), s50=lambda: away.rename(root))
    executor, _ = watched(root, clock, settled_s=10.0, progress=heard)
    assert [name for name, _ in executor.began] == ["room"]
    assert any("no such folder" in said for said in heard.said)
    with pytest.raises(CaptureError, match="no such folder"):
        watched(root / "nowhere", Clock())
    with pytest.raises(UsageError, match="another folder"):
        watched(root.parent / "out", Clock())


def test_looking_takes_a_fifth_of_the_time_at_most(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system so slow that a look takes thirty seconds."""
    clock = Clock()
    looks: list[float] = []

    def slow(name: str) -> list[tuple[str, int, int]]:
        looks.append(clock.now_s)
        clock.now_s += 30.0
        return [(name, 1, 1)]

    monkeypatch.setattr("da3_workflows.arrivals.file_stamps", slow)
    photo(root / "notes.png")()
    watched(root, clock, settled_s=1000.0)
    gaps = [later - earlier for earlier, later in pairwise(looks)]
    assert len(gaps) >= 3 and all(gap >= 150.0 for gap in gaps)
