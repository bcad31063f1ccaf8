from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from da3_workflows import worker

from da3_pipeline import pipeline
from da3_pipeline.config import PipelineConfig
from da3_pipeline.errors import CaptureError, SessionBusyError

Answers = Callable[..., list[dict[str, Any]]]


def task(log: Path, source: str = "room", through: str = "", **config: Any) -> str:
    settings = PipelineConfig.model_validate(config).model_dump(mode="json")
    told = {"source": source, "output": "out", "log": str(log), "config": settings, "split": True}
    return json.dumps(told | {"through": through})


class Requests:
    """Tasks, and then silence until all of them are answered."""

    def __init__(self, lines: list[str], answered: io.StringIO) -> None:
        self._lines, self._answered = lines, answered

    def __iter__(self) -> Iterator[str]:
        yield from self._lines
        pause = threading.Event()  # not time.sleep: other tests count how often that is called
        while self._answered.getvalue().count('"result"') < len(self._lines):
            pause.wait(0.02)
        pause.wait(0.05)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Answers]:
    """What tasks are answered, `pipeline.run` replaced; resident memory left out."""
    kept = [os.dup(number) for number in (1, 2)]

    def call(run: Any, times: int = 1, **config: Any) -> list[dict[str, Any]]:
        monkeypatch.setattr(pipeline, "run", run)
        stream = io.StringIO()
        assert worker.serve(Requests([task(tmp_path / "log", **config)] * times, stream), stream) == 0  # type: ignore[arg-type]
        lines = [json.loads(line) for line in stream.getvalue().splitlines()]
        for line in lines:
            if "result" in line:
                assert line["result"].pop("resident_mb") > 10
        return lines

    yield call
    for number, copy in zip((1, 2), kept, strict=True):
        os.dup2(copy, number)
        os.close(copy)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_the_result_counts_frames_and_gives_the_verdict(answers: Answers) -> None:
    def run(sources: Any, output: Any, config: PipelineConfig, progress: Any, **flags: bool) -> Any:
        assert (sources, output) == ([Path("room")], Path("out"))
        assert config.refine.seed == 5
        assert flags == {"split": True, "overwrite": False, "verify": False}
        progress.begin("refine")
        progress.step(3, 3, "a.jpg")
        progress.end("3 frames")
        scene = SimpleNamespace(
            frames=("a", "b", "c"), pose_source=("refined", "prior", "none"), verdict=SimpleNamespace(summary="good")
        )
        return SimpleNamespace(passed=False, scene=scene)

    assert answers(run, refine={"seed": 5}) == [
        {"begin": "refine"},
        {"step": [3, 3, "a.jpg"]},
        {"end": "3 frames"},
        {"result": {"status": "below gates", "reason": "good", "frames_posed": 2, "frames": 3}},
    ]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (CaptureError("room: empty folder"), {"status": "failed", "reason": "room: empty folder"}),
        (SessionBusyError("out: busy"), {"status": "failed", "reason": "out: busy", "busy": True}),
        (ZeroDivisionError("no extent"), {"status": "crashed", "reason": "ZeroDivisionError: no extent"}),
        (OSError(errno.EACCES, "no"), {"status": "crashed", "reason": "PermissionError: [Errno 13] no"}),
        (OSError(errno.EIO, "far"), {"status": "crashed", "reason": "OSError: [Errno 5] far", "passing": True}),
        (MemoryError(), {"status": "crashed", "reason": "MemoryError: ", "passing": True}),
    ],
)
def test_what_went_wrong_and_whether_it_may_pass(answers: Answers, error: Exception, told: dict[str, Any]) -> None:
    def run(*_: Any, **flags: bool) -> Any:
        raise error

    assert answers(run) == [{"result": told}]


def test_one_task_after_another_and_what_is_printed_goes_into_the_log(
    answers: Answers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: Any, **flags: bool) -> Any:
        os.write(2, b"a native library complains\n")
        raise ZeroDivisionError("no extent")

    assert len(answers(run, times=3)) == 3
    assert (tmp_path / "log").read_text().count("a native library complains") == 3
    assert capsys.readouterr().err.count("Traceback") == 3


def test_an_interruption_gives_no_result(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run(*_: Any, **flags: bool) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "run", run)
    monkeypatch.setattr(worker, "_print_to", lambda log: None)
    stream = io.StringIO()
    assert worker.serve(Requests([task(tmp_path / "log")], stream), stream) == 130  # type: ignore[arg-type]
    assert stream.getvalue() == ""


def test_the_process_itself_answers_through_the_pipe(tmp_path: Path) -> None:
    settings = PipelineConfig().model_dump(mode="json")
    missing = {"source": str(tmp_path / "nowhere"), "output": str(tmp_path / "out"), "config": settings}
    request = json.dumps(missing | {"log": str(tmp_path / "log")})
    process = subprocess.Popen([sys.executable, "-m", "da3_workflows"], stdin=-1, stdout=-1, text=True)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{request}\n{request}\n")
    process.stdin.flush()
    for _ in range(2):
        result = next(told["result"] for told in map(json.loads, process.stdout) if "result" in told)
        assert result["status"] == "failed" and "nowhere" in result["reason"]
    process.stdin.close()
    assert process.wait(60) == 0
    process.stdout.close()
    assert not (tmp_path / "out").exists()


def test_the_first_stages_alone_where_no_more_is_asked_for(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any, **__: Any) -> Any:
        raise AssertionError("all of it")

    def advance(sources: Any, output: Any, config: Any, progress: Any, **told: Any) -> None:
        assert (sources, output) == ([Path("room")], Path("out"))
        assert told == {"through": "infer", "overwrite": False, "verify": False}

    monkeypatch.setattr(pipeline, "advance", advance)
    assert answers(run, through="infer") == [{"result": {"status": "part done", "reason": ""}}]


@pytest.mark.parametrize("way", ["its asker is gone", "SIGTERM", "interrupted where SIGINT was ignored and blocked"])
def test_a_worker_ends_with_its_asker_and_leaves_the_session_in_order(tmp_path: Path, way: str) -> None:
    code = """
import sys, time
from pathlib import Path
from da3_pipeline import pipeline
from da3_workflows import worker

def run(sources, output, *_, **__):
    Path(output).write_text("under way")
    try:
        time.sleep(60)
    finally:
        Path(output).write_text("left in order")

pipeline.run = run
sys.exit(worker.serve(sys.stdin, sys.stdout))
"""
    out = tmp_path / "out"
    settings = PipelineConfig().model_dump(mode="json")
    request = {"source": "room", "output": str(out), "log": str(tmp_path / "log"), "config": settings}
    if "ignored" in way:
        code = f"""import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
os.execv(sys.executable, [sys.executable, "-c", {code!r}])
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=subprocess.DEVNULL, text=True)
    assert process.stdin is not None
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    for _ in range(600):
        if out.exists() and out.read_text():
            break
        time.sleep(0.1)
    if way != "its asker is gone":
        process.send_signal(signal.SIGTERM if way == "SIGTERM" else signal.SIGINT)
    else:
        process.stdin.close()
    assert process.wait(30) == 130
    assert out.read_text() == "left in order"
    assert "Aborted at" not in (tmp_path / "log").read_text()
    process.stdin.close()
