from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from da3_workflows.executors import LocalExecutor, executor_named
from da3_workflows.tasks import Report, Task

from da3_pipeline.errors import UsageError
from da3_pipeline.progress import SilentProgress


class RecordingProgress:
    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def begin(self, stage: str) -> None:
        self.calls.append(("begin", stage))

    def step(self, done: int, total: int, note: str = "") -> None:
        self.calls.append(("step", done, total, note))

    def end(self, summary: str) -> None:
        self.calls.append(("end", summary))


def tasks(folder: Path, *kinds: str) -> list[Task]:
    return [
        Task(f"{kind} {index}", Path(kind), folder / f"{kind}-{index}", {"greeting": "hé"}, folder / f"{index}.log")
        for index, kind in enumerate(kinds)
    ]


def test_a_capture_that_aborts_takes_nothing_with_it(tmp_path: Path, command: list[str]) -> None:
    wanted = tasks(tmp_path, "good", "abort", "good")
    reports = list(LocalExecutor(command=command).run(wanted, SilentProgress()))
    assert [report.task for report in reports] == wanted
    assert [report.exit_status for report in reports] == [0, -6, 0]
    assert [report.result is None for report in reports] == [False, True, False]
    assert reports[0].result is not None
    assert reports[0].result["reason"] == "hé"
    assert "about to abort" in (tmp_path / "1.log").read_text()


def test_progress_of_a_single_job_comes_through_under_the_captures_name(tmp_path: Path, command: list[str]) -> None:
    progress = RecordingProgress()
    list(LocalExecutor(command=command).run(tasks(tmp_path, "good"), progress))
    assert progress.calls == [
        ("begin", "good 0"),
        ("begin", "good 0: infer"),
        ("step", 1, 2, "good"),
        ("end", "2 frames"),
    ]


def test_progress_says_when_a_capture_ends_amid_a_stage(tmp_path: Path) -> None:
    script = """import json; print(json.dumps({"begin": "ingest"}))
print(json.dumps({"result": {"status": "failed", "reason": "no readable frame"}}))"""
    for code, last in ((script, "no readable frame"), ("raise SystemExit(7)", "ended before it was finished")):
        progress = RecordingProgress()
        list(LocalExecutor(command=[sys.executable, "-c", code]).run(tasks(tmp_path, "good"), progress))
        assert progress.calls[-1] == ("end", last)


def test_several_jobs_share_the_cores_and_count_captures(
    tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    progress = RecordingProgress()
    reports = list(LocalExecutor(jobs=3, command=command).run(tasks(tmp_path, "good", "abort", "good"), progress))
    assert sorted(report.exit_status for report in reports) == [-6, 0, 0]
    assert {report.result["threads"] for report in reports if report.result} == {"2"}
    assert [call[:3] for call in progress.calls[1:-1]] == [("step", 1, 3), ("step", 2, 3), ("step", 3, 3)]


def test_a_worker_that_cannot_start_properly_is_reported(tmp_path: Path) -> None:
    executor = LocalExecutor(command=[sys.executable, "-c", "raise SystemExit(7)"])
    (report,) = executor.run(tasks(tmp_path, "good"), SilentProgress())
    assert (report.result, report.exit_status) == (None, 7)


def test_closing_interrupts_the_captures_under_way_and_starts_no_other(tmp_path: Path, command: list[str]) -> None:
    wanted = tasks(tmp_path, "good", "sleep", "good")
    reports = LocalExecutor(command=command).run(wanted, SilentProgress())
    assert next(reports).exit_status == 0
    for _ in range(600):  # until the second is under way
        if wanted[1].output.exists() and wanted[1].output.read_text():
            break
        time.sleep(0.1)
    reports.close()
    assert wanted[1].output.read_text() == "interrupted"
    assert not (tmp_path / "2.log").exists()


def pids(reports: list[Report]) -> list[int]:
    return [report.result["pid"] for report in reports if report.result]


def test_a_process_stays_for_the_next_capture_and_is_replaced_once_it_died(tmp_path: Path, command: list[str]) -> None:
    reports = list(
        LocalExecutor(command=command).run(tasks(tmp_path, "good", "good", "abort", "good"), SilentProgress())
    )
    first, second, third = pids(reports)
    assert first == second != third


def test_a_process_that_has_grown_makes_place(tmp_path: Path, command: list[str]) -> None:
    reports = list(LocalExecutor(command=command).run(tasks(tmp_path, "grows", "good", "good"), SilentProgress()))
    first, second, third = pids(reports)
    assert first != second == third
    assert reports[0].result is not None and "resident_mb" not in reports[0].result


def test_processes_end_with_the_batch(tmp_path: Path, command: list[str]) -> None:
    reports = list(LocalExecutor(2, command).run(tasks(tmp_path, "good", "good", "good"), SilentProgress()))
    assert not any(is_alive(pid) for pid in pids(reports))


def test_a_signal_without_a_name_is_one_more_way_to_end(tmp_path: Path, command: list[str]) -> None:
    reports = list(LocalExecutor(command=command).run(tasks(tmp_path, "real-time", "good"), SilentProgress()))
    assert [report.exit_status for report in reports] == [-40, 0]


def test_a_child_that_holds_the_pipe_holds_nobody_up_and_is_ended(tmp_path: Path, command: list[str]) -> None:
    wanted = tasks(tmp_path, "holds", "good")
    reports = list(LocalExecutor(command=command).run(wanted, SilentProgress()))
    assert [report.exit_status for report in reports] == [3, 0]
    assert reports[0].seconds < 30
    assert not is_alive(int(wanted[0].output.read_text()))


def test_what_takes_too_long_is_ended_and_said_so(tmp_path: Path, command: list[str]) -> None:
    wanted = tasks(tmp_path, "sleep", "good")
    reports = list(LocalExecutor(command=command, limit_s=3.0).run(wanted, SilentProgress()))
    assert reports[0].result is None and "time limit" in reports[0].why
    assert reports[1].result is not None


def test_a_command_that_is_not_there_is_a_report(tmp_path: Path) -> None:
    (report,) = LocalExecutor(command=["/no/such/program"]).run(tasks(tmp_path, "good"), SilentProgress())
    assert report.result is None and "could not be started" in report.why


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False


def test_executors_are_named(tmp_path: Path) -> None:
    assert isinstance(executor_named("local", 2, None), LocalExecutor)
    with pytest.raises(UsageError, match="known: local, ray"):
        executor_named("slurm", 1, None)
    with pytest.raises(UsageError, match="add that"):
        executor_named("local", 1, None, "auto")
