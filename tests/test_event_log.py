"""The log for programs: one line of JSON an event, whatever happens and whatever things are called."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from da3_pipeline import pipeline
from da3_pipeline.errors import CaptureError, UsageError
from da3_pipeline.event_log import LOG_VARIABLE, EventLog
from da3_pipeline.progress import Progress, SilentProgress

Run = Callable[..., tuple[int, str, str]]
EVIL = 'a\x1b[2J\u202eb\n{"event": "end"}\udce9'


def events(path: Path) -> list[dict[str, Any]]:
    """Every line is a document by itself, without control characters."""
    text = path.read_text(encoding="ascii")
    assert text.endswith("\n") and all(character == "\n" or character.isprintable() for character in text)
    return [json.loads(line) for line in text.splitlines()]


def outcome(passed: bool) -> Any:
    verdict = SimpleNamespace(passed=passed, unverified=False, summary="as told", gates=(), not_measured=())
    scene = SimpleNamespace(verdict=verdict, prediction=SimpleNamespace(source="truth"), figures={})
    return SimpleNamespace(scene=scene, others=(), passed=passed, result=SimpleNamespace(folder=Path("out")))


def one_stage(ending: Any) -> Callable[..., Any]:
    """Stands for the pipeline: a stage, a warning, and then this."""

    def run(sources: Any, output: Path, config: Any, progress: Progress, **flags: bool) -> Any:
        progress.begin("ingest")
        progress.step(1, 2, "a.jpg")
        logging.getLogger("da3_pipeline.ingest").warning("%s is odd", EVIL[:-1])  # pytest's workers send text alone
        progress.end(f"3 photographs of {EVIL}")
        if isinstance(ending, BaseException):
            raise ending
        return ending

    return run


@pytest.mark.parametrize(
    ("ending", "code", "error"),
    [
        (outcome(True), 0, None),
        (outcome(False), 3, None),
        (CaptureError(f"{EVIL}: no readable frame"), 2, "no readable frame"),
    ],
)
def test_a_run_tells_its_stages_warnings_and_how_it_ended(
    ending: Any, code: int, error: str | None, cli: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pipeline, "run", one_stage(ending))
    log = tmp_path / "logs" / "events.jsonl"
    assert cli("run", "photos", "-o", tmp_path / "session", "--model", "da3-nano", "--log", log)[0] == code
    found = events(log)
    assert [one["event"] for one in found] == ["start", "stage_start", "warning", "stage_end", "end"]
    assert {one["session"] for one in found} == {"session"}
    assert all(datetime.fromisoformat(one["time"]).tzinfo is not None for one in found)
    start, begun, warning, ended, end = found
    assert (start["command"], begun["stage"], ended["stage"]) == ("run", "ingest", "ingest")
    assert warning["message"] == 'a?[2J?b {"event": "end"} is odd' and warning["level"] == "warning"
    assert ended["seconds"] >= 0 and end["seconds"] >= ended["seconds"] and "photographs" in ended["summary"]
    assert end["exit_code"] == code
    assert (error is None and "error" not in end) or error in end["error"]
    assert LOG_VARIABLE not in os.environ


def test_the_variable_stands_for_the_option(cli: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pipeline, "run", one_stage(outcome(True)))
    monkeypatch.setenv(LOG_VARIABLE, str(tmp_path / "events.jsonl"))
    assert cli("run", "photos", "-o", tmp_path / "session", "--model", "da3-nano")[0] == 0
    assert events(tmp_path / "events.jsonl")[-1]["exit_code"] == 0


def test_a_batch_tells_its_captures_and_the_stages_of_each(cli: Run, tmp_path: Path) -> None:
    """Stages by the workers themselves, of one that fails in its first."""
    (tmp_path / "captures" / "room").mkdir(parents=True)
    (tmp_path / "captures" / "room" / "a.jpg").write_bytes(b"no picture")
    log = tmp_path / "events.jsonl"
    code, _, _ = cli("batch", tmp_path / "captures", "-o", tmp_path / "out", "--model", "da3-nano", "--log", log)
    found = events(log)
    assert code == found[-1]["exit_code"] == 2
    assert [one["event"] for one in found] == ["start", "stage_start", "capture_end", "end"]
    assert found[1]["session"] == "room" and found[1]["stage"] == "ingest"
    assert (found[2]["capture"], found[2]["status"], found[2]["tries"]) == ("room", "failed", 1)


def test_a_log_that_cannot_be_written_is_said_at_once(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, told = cli(
        "run", "photos", "-o", tmp_path / "out", "--model", "da3-nano", "--log", tmp_path / "file" / "x"
    )
    assert code == 2 and "choose another --log" in told
    with pytest.raises(UsageError, match="cannot be written"):
        EventLog(tmp_path).check()
    EventLog(tmp_path).tell("start")  # later it costs nothing
    assert isinstance(EventLog(None).listening(SilentProgress()), SilentProgress)


def test_lines_of_several_processes_do_not_mix(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    told = "from pathlib import Path\nfrom da3_pipeline.event_log import EventLog\n"
    told += f"for k in range(300): EventLog(Path({str(log)!r})).tell('event', number=k, filling='x' * 500)"
    both = [subprocess.Popen([sys.executable, "-c", told]) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0]
    assert sorted(one["number"] for one in events(log)) == sorted([*range(300), *range(300)])
