from __future__ import annotations

import json
import os
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from da3_workflows.batch import run_batch
from da3_workflows.executors import Report, Task
from PIL import Image
from pydantic import BaseModel

from da3_pipeline.errors import CaptureError, UsageError
from da3_pipeline.export.staging import staged
from da3_pipeline.progress import Progress
from da3_pipeline.store import Session
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


def batch(captures: Path, executor: ScriptedExecutor, seed: int = 0, **flags: bool) -> Any:
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
    (captures.parent / "out" / "batch.json").write_text('{"captures": [{"name": "room 2"')
    again = ScriptedExecutor({})
    batch(captures, again)
    assert len(again.ran) == 3


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
