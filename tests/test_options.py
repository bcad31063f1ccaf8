"""Times on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from da3_pipeline.cli import EXIT_BAD_INPUT

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("1:30", 90.0), ("0:01:30.5", 90.5), ("1:00:00", 3600.0), ("2.25", 2.25)]
)
def test_times_are_seconds_or_clock(
    text: str, seconds: float, cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from da3_pipeline import pipeline
    from da3_pipeline.errors import UsageError

    seen = []

    def stand_in(sources: object, output: object, config: pipeline.PipelineConfig, *_: object, **__: object) -> None:
        seen.append(config.select)
        raise UsageError("enough")

    monkeypatch.setattr(pipeline, "run", stand_in)
    assert cli("run", tmp_path, "-o", tmp_path / "out", "--to", text, "--every", 4)[0] == EXIT_BAD_INPUT
    assert (seen[0].start_s, seen[0].end_s, seen[0].every) == (0.0, seconds, 4)


@pytest.mark.parametrize("text", ["soon", "1:2:3:4", "-3", "1:x"])
def test_what_is_no_time_is_refused(text: str, cli: Run, tmp_path: Path) -> None:
    code, _, said = cli("run", tmp_path, "-o", tmp_path / "out", f"--from={text}")
    assert code == EXIT_BAD_INPUT and "hh:mm:ss" in said.replace("\n", " ")


@pytest.mark.parametrize(("text", "named"), [("2;4", "--downscale 2;4"), ("1", "downscale"), ("2,64", "downscale")])
def test_what_are_no_factors_is_refused(text: str, named: str, cli: Run, tmp_path: Path) -> None:
    code, _, said = cli("run", tmp_path, "-o", tmp_path / "out", "--downscale", text)
    assert code == EXIT_BAD_INPUT and named in said
