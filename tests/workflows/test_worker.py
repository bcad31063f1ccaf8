from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from da3_workflows.worker import serve

from da3_pipeline import pipeline
from da3_pipeline.config import PipelineConfig
from da3_pipeline.errors import CaptureError


def task(source: str = "room", **config: Any) -> str:
    settings = PipelineConfig.model_validate(config).model_dump(mode="json")
    return json.dumps({"source": source, "output": "out", "config": settings, "split": True})


def answers(monkeypatch: pytest.MonkeyPatch, run: Any, **config: Any) -> tuple[int, list[dict[str, Any]]]:
    monkeypatch.setattr(pipeline, "run", run)
    stream = io.StringIO()
    code = serve(task(**config), stream)
    return code, [json.loads(line) for line in stream.getvalue().splitlines()]


def test_the_result_counts_frames_and_gives_the_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
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

    code, lines = answers(monkeypatch, run, refine={"seed": 5})
    assert code == 0
    assert lines == [
        {"begin": "refine"},
        {"step": [3, 3, "a.jpg"]},
        {"end": "3 frames"},
        {"result": {"status": "below gates", "reason": "good", "frames_posed": 2, "frames": 3}},
    ]


def test_an_expected_error_is_a_failure_with_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any, **flags: bool) -> Any:
        raise CaptureError("room: empty folder")

    assert answers(monkeypatch, run) == (2, [{"result": {"status": "failed", "reason": "room: empty folder"}}])


def test_any_other_error_is_a_crash_with_its_traceback_in_the_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: Any, **flags: bool) -> Any:
        raise ZeroDivisionError("no extent")

    code, lines = answers(monkeypatch, run)
    assert (code, lines) == (1, [{"result": {"status": "crashed", "reason": "ZeroDivisionError: no extent"}}])
    assert "Traceback" in capsys.readouterr().err


def test_an_interruption_gives_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any, **flags: bool) -> Any:
        raise KeyboardInterrupt

    assert answers(monkeypatch, run) == (130, [])


def test_the_process_itself_answers_through_the_pipe(tmp_path: Path) -> None:
    settings = PipelineConfig().model_dump(mode="json")
    missing = {"source": str(tmp_path / "nowhere"), "output": str(tmp_path / "out"), "config": settings}
    done = subprocess.run(
        [sys.executable, "-m", "da3_workflows"], input=json.dumps(missing), capture_output=True, text=True, check=False
    )
    last = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 2, done.stderr
    assert last["result"]["status"] == "failed"
    assert "nowhere" in last["result"]["reason"]
    assert not (tmp_path / "out").exists()
