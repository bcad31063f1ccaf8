"""python -m da3_pipeline.training"""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from da3_pipeline.model import load
from da3_pipeline.training import __main__ as command
from da3_pipeline.training.config import PRESETS, StudentConfig


def test_train_export_and_evaluate(tmp_path: Path, tiny: StudentConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    short = tiny.model_copy(update={"phases": (tiny.phases[0].model_copy(update={"until": 2}),), "decay_from": 1})
    monkeypatch.setitem(PRESETS, "short", short)
    runner = CliRunner()

    def run(*arguments: str) -> str:
        result = runner.invoke(command.app, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    folder, file = str(tmp_path / "run"), tmp_path / "short.safetensors"
    run("student", "--preset", "short", "--seed", "3", "--folder", folder)
    run("export", "--folder", folder, "--output", str(file))
    assert load(file).config == tiny.model
    report = run("evaluate", "--model", str(file), "--scenes", "2", "--longest-px", "70")
    assert "2 held-out scenes, 2 views, 70 px" in report
    assert report.count("rotation_deg") == len(("network", "constant", "random"))
