from __future__ import annotations

import json
import os
import shutil
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from da3_workflows import batch as batch_module
from da3_workflows.batch import run_batch
from da3_workflows.records import CaptureRecord, Journal
from da3_workflows.tasks import Report, Task
from PIL import Image
from pydantic import BaseModel

from da3_pipeline.errors import CaptureError, UsageError
from da3_pipeline.export.staging import staged
from da3_pipeline.progress import Progress
from da3_pipeline.storage.store import Session
from da3_pipeline.versions import STAGE_VERSIONS

DONE = {"status": "done", "reason": "2 of 2 frames posed", "frames_posed": 2, "frames": 2}
BELOW = {"status": "below gates", "reason": "too few tracks", "frames_posed": 1, "frames": 2}
FAILED = {"status": "failed", "reason": "garden.mp4: no readable frame"}


class Settings(BaseModel):
    """Stands for PipelineConfig, of which a batch needs the JSON alone."""

    seed: int = 0


def finish(folder: Path) -> None:
    """A data set and its report, as a session leaves them."""
    with Session.open(folder) as session:
        with staged(session.output) as new:
            (new / "transforms.json").write_text("{}")
        (session.output / "report.json").write_text("{}")
        session.remember_report("key", [session.output / "report.json"])


class ScriptedExecutor:
    """Ends captures as told (exit status, result), leaving outputs for those that finish; remembers what it ran."""

    def __init__(self, endings: Mapping[str, tuple[int, dict[str, Any] | None]], interrupt_at: str = "") -> None:
        self._endings = endings
        self._interrupt_at = interrupt_at
        self.ran: list[str] = []
        self.closed = False

    def run(self, tasks: Sequence[Task], progress: Progress) -> Generator[Report, None, None]:
        try:
            for task in tasks:
                if task.name == self._interrupt_at:
                    raise KeyboardInterrupt
                self.ran.append(task.name)
                status, result = self._endings.get(task.name, (0, DONE))
                if status == 0:
                    finish(task.output)
                yield Report(task, result, status, 1.25)
        finally:
            self.closed = True


def batch(captures: Path, executor: ScriptedExecutor, seed: int = 0, **flags: Any) -> Any:
    output = captures.parent / "out"
    return run_batch(captures, output, Settings(seed=seed), executor=executor, **flags)  # type: ignore[arg-type]


def test_each_capture_ends_on_its_own_and_the_summary_says_how(captures: Path) -> None:
    executor = ScriptedExecutor({"garden.mp4": (2, FAILED), "room 2": (-6, None), "room 10": (0, BELOW)})
    summary = batch(captures, executor)
    assert executor.ran == ["garden.mp4", "room 2", "room 10"]
    assert [record.status for record in summary.records] == ["failed", "crashed", "below gates"]
    assert "SIGABRT" in summary.records[1].reason
    assert "room 2.log" in summary.records[1].reason
    assert summary.exit_code == 1


def test_the_page_follows_the_batch(captures: Path) -> None:
    """Before the first capture ends all of them wait; at the end each leads to what came of it."""
    page, seen = captures.parent / "out" / "index.html", list[str]()

    class Looking(ScriptedExecutor):
        def run(self, tasks: Sequence[Task], progress: Progress) -> Generator[Report, None, None]:
            seen.append(page.read_text())
            return super().run(tasks, progress)

    batch(captures, Looking({"garden.mp4": (2, FAILED)}))
    assert seen[0].count('<tr data-status="waiting">') == 3 and seen[0].count('href="') == 0
    text = page.read_text()
    assert text.count('<tr data-status="done">') == 2 and text.count('<tr data-status="failed">') == 1
    assert 'href="./room%2010/report.html"' in text and "<li>notes: " in text


@pytest.mark.parametrize(
    ("endings", "code"),
    [
        ({}, 0),
        ({"room 2": (0, BELOW)}, 3),
        ({"room 2": (0, BELOW), "garden.mp4": (2, FAILED)}, 2),
        ({"room 10": (-9, None), "room 2": (0, BELOW), "garden.mp4": (2, FAILED)}, 1),
    ],
)
def test_the_worst_ending_decides_the_exit_code(captures: Path, endings: dict[str, Any], code: int) -> None:
    assert batch(captures, ScriptedExecutor(endings)).exit_code == code


def test_a_second_run_does_only_what_is_missing(captures: Path) -> None:
    batch(captures, ScriptedExecutor({"garden.mp4": (2, FAILED), "room 2": (0, BELOW)}))
    second = ScriptedExecutor({})
    summary = batch(captures, second)
    assert second.ran == ["garden.mp4"]
    assert [(record.status, record.reused) for record in summary.records] == [
        ("done", False),
        ("below gates", True),
        ("done", True),
    ]


def test_new_photographs_new_settings_and_lost_outputs_are_done_again(captures: Path) -> None:
    batch(captures, ScriptedExecutor({}))
    Image.new("RGB", (8, 6)).save(captures / "room 10" / "b.jpg")
    (captures.parent / "out" / "room 2" / "transforms.json").unlink()
    (captures.parent / "out" / "garden.mp4" / "report.json").write_text("")
    after_change = ScriptedExecutor({})
    batch(captures, after_change)
    assert after_change.ran == ["garden.mp4", "room 2", "room 10"]
    other_seed = ScriptedExecutor({})
    batch(captures, other_seed, seed=1)
    assert other_seed.ran == ["garden.mp4", "room 2", "room 10"]


def test_what_no_stat_tells_is_done_again_where_verifying_is_asked_for(captures: Path) -> None:
    batch(captures, ScriptedExecutor({}))
    changed = captures.parent / "out" / "room 2" / "transforms.json"
    times = changed.stat()
    changed.write_text("[]")
    os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))
    plain, verifying = ScriptedExecutor({}), ScriptedExecutor({})
    batch(captures, plain)
    batch(captures, verifying, verify=True)
    assert (plain.ran, verifying.ran) == ([], ["room 2"])


def test_a_stage_of_another_version_is_a_reason_to_do_all_again(
    captures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch(captures, ScriptedExecutor({}))
    monkeypatch.setitem(STAGE_VERSIONS, "georegister", STAGE_VERSIONS["georegister"] + 1)
    again = ScriptedExecutor({})
    batch(captures, again)
    assert again.ran == ["garden.mp4", "room 2", "room 10"]


def test_an_interruption_keeps_what_is_finished(captures: Path) -> None:
    first = ScriptedExecutor({}, interrupt_at="room 10")
    with pytest.raises(KeyboardInterrupt):
        batch(captures, first)
    assert first.closed
    second = ScriptedExecutor({})
    assert batch(captures, second).exit_code == 0
    assert second.ran == ["room 10"]


def test_damaged_records_cost_a_run_and_no_error(captures: Path) -> None:
    batch(captures, ScriptedExecutor({}))
    journal = captures.parent / "out" / ".da3-batch" / "records.jsonl"
    first = journal.read_text().splitlines()[0]
    journal.write_text(first[:-20] + "\n[[[\n" + first)
    again = ScriptedExecutor({})
    batch(captures, again)
    assert len(again.ran) == 2


class Trying(ScriptedExecutor):
    """As told for each try of a capture; what is told no more is done."""

    def __init__(self, tries: Mapping[str, list[Report | dict[str, Any] | int]]) -> None:
        super().__init__({})
        self._tries = {name: list(endings) for name, endings in tries.items()}

    def run(self, tasks: Sequence[Task], progress: Progress) -> Generator[Report, None, None]:
        for task in tasks:
            ending = (self._tries.get(task.name) or [DONE]).pop(0)
            self.ran.append(task.name)
            if ending == DONE:
                finish(task.output)
            if isinstance(ending, int):
                yield Report(task, None, ending, 1.0)
            elif isinstance(ending, dict):
                yield Report(task, ending, 0, 1.0)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long a batch waited before each round."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


FAR = {"status": "crashed", "reason": "OSError: far", "passing": True}
BUSY = {"status": "failed", "reason": "another run is at work", "busy": True}


def test_what_may_pass_is_tried_again_after_all_others_and_later_each_time(captures: Path, waits: list[float]) -> None:
    executor = Trying({"garden.mp4": [-9, FAR], "room 2": [{"status": "crashed", "reason": "a bug"}], "room 10": [FAR]})
    summary = batch(captures, executor, retries=2)
    assert executor.ran == ["garden.mp4", "room 2", "room 10", "garden.mp4", "room 10", "garden.mp4"]
    assert [(one.status, one.tries) for one in summary.records] == [("done", 3), ("crashed", 1), ("done", 2)]
    assert [wait for wait in waits if wait] == [1.0, 2.0]


def test_tries_come_to_an_end(captures: Path, waits: list[float]) -> None:
    executor = Trying({"room 2": [-9] * 9})
    summary = batch(captures, executor, retries=1)
    assert executor.ran.count("room 2") == 2
    assert (summary.records[1].status, summary.records[1].tries) == ("crashed", 2)
    assert "want of memory" in summary.records[1].reason


def test_a_capture_that_another_batch_has_in_hand_is_waited_for_and_its_result_taken(
    captures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one finishes while this one waits."""
    other = Trying({})
    executor = Trying({"room 2": [BUSY] * 99})
    rounds: list[float] = []

    def waiting(seconds: float) -> None:
        rounds.append(seconds)
        if len(rounds) == 4:
            monkeypatch.setattr("time.sleep", lambda seconds: None)
            batch(captures, other)

    monkeypatch.setattr("time.sleep", waiting)
    summary = batch(captures, executor, retries=0)
    assert other.ran == ["room 2"]
    assert [(record.status, record.reused) for record in summary.records] == [
        ("done", False),
        ("done", True),
        ("done", False),
    ]
    assert summary.exit_code == 0


def test_a_capture_whose_other_batch_gave_up_is_done_here(captures: Path, waits: list[float]) -> None:
    executor = Trying({"room 2": [BUSY, BUSY]})
    summary = batch(captures, executor, retries=0)
    assert executor.ran.count("room 2") == 3
    assert (summary.records[1].status, summary.records[1].tries) == ("done", 1)


def test_names_that_no_session_can_have_are_changed_and_told_apart(captures: Path) -> None:
    odd = [b"caf\xe9", b"batch.json", b"x" * 250, b"x" * 249 + b"y"]
    for name in odd:
        shutil.copytree(captures / "room 2", captures / os.fsdecode(name))
    (captures / "circle").symlink_to("circle")
    summary = batch(captures, ScriptedExecutor({os.fsdecode(b"caf\xe9"): (-40, None)}))
    status = {os.fsencode(record.name): record.status for record in summary.records}
    assert [status[name] for name in odd] == ["crashed", "done", "done", "done"]
    sessions = {entry for entry in os.listdir(os.fsencode(captures.parent / "out")) if not entry.startswith(b".")}
    assert len(sessions) == 8 and {b"batch.json", b"index.html"} <= sessions and max(map(len, sessions)) <= 200
    assert any(record.reason.startswith("its process ended by signal 40") for record in summary.records)
    assert "circle" in {dropped.frame for dropped in summary.left_out}
    again = ScriptedExecutor({})
    batch(captures, again)
    assert list(map(os.fsencode, again.ran)) == [b"caf\xe9"]


def test_a_thousand_captures_cost_little_each(tmp_path: Path) -> None:
    """Counted in bytes written, not in time: no file is written anew for each of them."""
    journal = Journal(tmp_path / "records.jsonl")
    for number in range(1000):
        journal.add(CaptureRecord(f"capture {number}", "done", "key", "good", 1.0))
    journal.add(CaptureRecord("capture 3", "failed", "key", "bad", 1.0))
    assert len(journal.read()) == 1000
    assert journal.read()["capture 3"].status == "failed"


@pytest.mark.parametrize(("write_s", "most"), [(0.0, 101), (1.0, 2)])
def test_what_people_look_at_is_written_once_a_second_and_less_often_where_that_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_s: float, most: int
) -> None:
    """A thousand captures that end ten a second."""
    now_s, written = [100.0], []

    def write(*_: Any) -> None:
        now_s[0] += write_s
        written.append(now_s[0])

    monkeypatch.setattr("time.monotonic", lambda: now_s[0])
    monkeypatch.setattr(batch_module, "write_records", write)
    monkeypatch.setattr(batch_module, "write_index", lambda *_: None)
    (tmp_path / ".da3-batch").mkdir()
    records = batch_module._Records(tmp_path)
    for number in range(1000):
        now_s[0] += 0.1
        records.add(CaptureRecord(f"capture {number}", "done", "key", "good", 1.0))
    assert 0.7 * most <= len(written) <= most


def test_records_on_disk_are_those_of_the_summary(captures: Path) -> None:
    summary = batch(captures, ScriptedExecutor({"garden.mp4": (2, FAILED)}))
    on_disk = json.loads((captures.parent / "out" / "batch.json").read_text())
    assert on_disk == json.loads(summary.as_json())
    assert [entry["name"] for entry in on_disk["captures"]] == ["garden.mp4", "room 2", "room 10"]
    assert {entry["frame"] for entry in on_disk["left_out"]} == {"1 photographs", "notes", "old run"}


def test_the_table_has_a_line_for_each_capture_and_a_count(captures: Path) -> None:
    batch(captures, ScriptedExecutor({"room 2": (0, BELOW)}))
    lines = batch(captures, ScriptedExecutor({})).as_table().splitlines()
    assert lines[0].split() == ["capture", "status", "frames", "seconds"]
    assert lines[1].split() == ["garden.mp4", "done*", "2/2", "1.2", "2", "of", "2", "frames", "posed"]
    assert "below gates*" in lines[2]
    assert lines[2].endswith("too few tracks")
    assert lines[-1] == "3 captures: 2 done, 1 below gates (* 3 from an earlier batch)"
    assert len({line.index("1.2") for line in lines[1:4]}) == 1


def test_the_captures_folder_cannot_be_the_output(captures: Path) -> None:
    with pytest.raises(UsageError, match="another folder"):
        run_batch(captures, captures, Settings(), executor=ScriptedExecutor({}))  # type: ignore[arg-type]


def test_nothing_is_written_where_there_is_no_capture(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CaptureError):
        run_batch(tmp_path / "empty", tmp_path / "out", Settings(), executor=ScriptedExecutor({}))  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
