"""Help, examples, version, completion, and what a program reads."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import typer

import da3_pipeline
from da3_pipeline import pipeline
from da3_pipeline.cli import app
from da3_pipeline.cli.examples import EXAMPLES
from da3_pipeline.config import PipelineConfig
from da3_pipeline.files.strict_json import strict_json

Run = Callable[..., tuple[int, str, str]]


def commands(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    yield path, group
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, f"{path} {name}".strip())


COMMANDS = dict(commands(typer.main.get_command(app)))


def options(path: str) -> set[str]:
    return {name for option in COMMANDS[path].params for name in (*option.opts, *option.secondary_opts)}


@pytest.mark.parametrize("path", COMMANDS)
def test_every_help_ends_with_examples_whose_options_exist(
    path: str, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    code, page, _ = cli(*path.split(), "--help")
    assert code == 0
    for line, purpose in EXAMPLES[path]:
        assert f"{line}  # {purpose}" in page
        words = shlex.split(line)
        command = max((known for known in COMMANDS if " ".join(words[1:]).startswith(known)), key=len)
        assert command.startswith(path)
        assert {word for word in words if re.match(r"--?[a-z]", word)} <= options(command)


def test_a_batch_takes_every_option_of_a_run() -> None:
    assert options("run") - options("batch") == {"sources"}  # it has a folder of captures in their place
    assert {"--jobs", "--masks", "--matcher", "--split", "--overwrite"} <= options("batch")
    assert options("batch") <= options("watch")


def test_options_of_a_batch_reach_its_captures(tmp_path: Path, cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def run_batch(captures: Path, output: Path, config: PipelineConfig, **rest: Any) -> Any:
        given.update(rest, config=config)
        return SimpleNamespace(as_json=lambda: "{}", as_table=lambda: "", exit_code=0)

    monkeypatch.setattr("da3_workflows.batch.run_batch", run_batch)
    words = ("--matcher", "disk", "--undistort", "--split", "--distance", "a,b=2", "--no-refine", "--json")
    assert cli("batch", tmp_path, "-o", tmp_path / "out", *words)[:2] == (0, "{}\n")
    config = given["config"]
    assert (config.refine.matcher, config.refine.refine, config.export.undistort) == ("disk", False, True)
    assert config.georegister.distance == ("a,b=2",)
    assert (given["split"], given["overwrite"], type(given["executor"]).__name__) == (True, False, "LocalExecutor")


def test_the_version_is_the_packages(cli: Run) -> None:
    assert cli("--version")[:2] == (0, f"da3-pipeline {da3_pipeline.__version__}\n")


def test_values_are_completed(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_DA3_PIPELINE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "da3-pipeline run --matcher a")
    monkeypatch.setenv("COMP_CWORD", "3")
    assert cli()[1].split() == ["auto", "aliked"]


@pytest.mark.parametrize("command", ["run", "batch", "watch"])
def test_who_asks_for_json_gets_it_also_of_an_error(tmp_path: Path, cli: Run, command: str) -> None:
    code, stdout, stderr = cli(command, tmp_path / "nowhere", "-o", tmp_path / "out", "--json")
    assert code == 2
    assert f"error: {json.loads(stdout)['error']}" in stderr
    assert "nowhere" in json.loads(stdout)["error"]


def test_json_has_no_numbers_that_json_does_not_know() -> None:
    value = {"a": [1.5, float("nan"), (np.float64("inf"), np.int64(3))], 2: Path("é")}
    text = strict_json(value)

    def refuse(word: str) -> None:
        raise AssertionError(word)

    assert json.loads(text, parse_constant=refuse) == {"a": [1.5, None, [None, 3]], "2": "é"}


@pytest.mark.parametrize("make", [str, Path, lambda path: [str(path)], lambda path: [path]])
def test_paths_are_text_or_paths_one_or_several(
    rendered_capture: Path, make: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(
        pipeline, "_refined", lambda stages, sources, config: asked.append(sources) or (None, (), config)
    )
    monkeypatch.setattr(pipeline, "_georegistered", lambda stages, scene, config: scene)
    da3_pipeline.reconstruct(make(rendered_capture / "images"))
    assert asked == [[rendered_capture / "images"]]


def test_a_scene_shows_in_one_line(rendered_capture: Path, tmp_path: Path) -> None:
    outcome = da3_pipeline.run(str(rendered_capture / "images"), str(tmp_path / "session"))
    scene = outcome.scene
    assert repr(scene).startswith(f"Scene(10 of 10 frames posed, 1 camera, {len(scene.tracks)} tracks: ")
    assert repr(scene.prediction) == f"Prediction(10 frames by {scene.prediction.source})"
    assert repr(outcome) == f"Outcome({scene!r}, 10 images in {tmp_path / 'session'})"
    assert len(repr(replace(scene, dropped=scene.dropped))) < 300


def test_sigterm_while_libraries_are_imported_is_an_interruption(tmp_path: Path) -> None:
    """COLMAP's answer, a native stack, is in force between its import and ours."""
    code = """
import os, signal, sys
from da3_pipeline.cli import configured, main

def importing(options, given):
    import pyceres
    os.kill(os.getpid(), signal.SIGTERM)

configured.__globals__["settings_of"] = importing
sys.argv = ["da3-pipeline", "batch", "captures", "-o", "out"]
main()
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert (ended.returncode, ended.stderr.strip()) == (
        130,
        "error: interrupted; run the same command again to resume",
    )
