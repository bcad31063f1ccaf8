"""Every benchmark on one page: run as a user runs it, kept, and told where it fails."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from da3_pipeline.benchmark.fresh_process import Finished
from da3_pipeline.benchmark.together import sections
from da3_pipeline.benchmark.together.scenes import rendered_set, scene_with_truth
from da3_pipeline.benchmark.together.sections import PLANS, Plan, measure_sections, plans_named
from da3_pipeline.cli import app
from da3_pipeline.errors import UsageError
from da3_pipeline.progress import SilentProgress


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What would be run, in place of running it; the second benchmark fails."""
    calls: list[list[str]] = []

    def run(command: list[str]) -> Finished:
        calls.append(command[3:])
        failed = command[4] == PLANS[1].words[0]
        return Finished(int(failed), "a table\n", "noise\nit is broken\n" if failed else "", 2.5, 3.0)

    monkeypatch.setattr(sections, "run_metered", run)
    return calls


def test_each_is_run_once_and_what_failed_again(asked: list[list[str]], tmp_path: Path) -> None:
    def ran() -> list[Any]:
        return measure_sections(PLANS[:3], tmp_path / "scene", tmp_path / "c", tmp_path / "r", True, SilentProgress())

    first = ran()
    assert [(one.text, one.failure) for one in first] == [("a table", ""), ("a table", "it is broken"), ("a table", "")]
    assert [one.seconds for one in first] == [2.5] * 3 and len(asked) == 3
    assert ran() == first and len(asked) == 4 and asked[3] == asked[1]
    assert not any("{" in word for words in asked for word in words)
    assert asked[1][:3] == ["bench", "robustness", str(tmp_path / "scene")]
    assert str(tmp_path / "c" / "speed") in asked[0] and first[0].command.startswith(
        "da3-pipeline bench speed da3-nano"
    )


def test_other_sizes_are_not_taken_for_these(asked: list[list[str]], tmp_path: Path) -> None:
    plan = Plan("a", "A", "About.", ("long", "200"), ("long", "20"))
    for words, quick in ((plan, True), (plan, False), (replace(plan, quick=("long", "30")), True), (plan, False)):
        measure_sections([words], tmp_path, tmp_path, tmp_path / "r", quick, SilentProgress())
    assert [words[-1] for words in asked] == ["20", "200", "30"]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_the_words_are_a_command(plan: Plan) -> None:
    """They parse: options and arguments exist, and have values of their kind."""
    commands = typer.main.get_command(app).commands["bench"].commands  # type: ignore[attr-defined]
    for words in (plan.quick, plan.words):
        assert commands[words[0]].make_context(words[0], list(words[1:])).params


def test_those_that_are_named(tmp_path: Path) -> None:
    assert plans_named([]) == PLANS and [plan.name for plan in plans_named(["long", "speed"])] == ["long", "speed"]
    with pytest.raises(UsageError, match="there are geometry, speed, robustness"):
        plans_named(["lpng"])
    assert len({plan.name for plan in PLANS}) == len(PLANS)


def test_every_command_of_bench_has_a_place() -> None:
    """Left out: what asks for a capture or weights, or is part of another."""
    commands = set(typer.main.get_command(app).commands["bench"].commands)  # type: ignore[attr-defined]
    parts = {"forward", "scaling", "memory", "datasets", "run", "pose", "doppelgangers"}
    assert commands == {plan.words[0] for plan in PLANS} | parts | {"all", "geometry"}


def test_scenes_are_rendered_once_and_strecha_stands_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from da3_pipeline.benchmark.together import scenes

    asked: list[int] = []

    def render(root: Path, kind: str, views: int) -> None:
        asked.append(views)
        for part in ("images", "depth", "truth.json"):
            (root / kind / part).mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(scenes, "render_scene", render)
    quick, whole = (rendered_set(tmp_path, size, SilentProgress()) for size in (True, False))
    assert quick != whole and asked == [12] * 3 + [30] * 3
    assert scene_with_truth([quick]) == quick / "rendered" / "room"
    for part in ("images", "truth.json"):
        (tmp_path / "more" / "strecha" / "castle" / part).mkdir(parents=True)
    assert scene_with_truth([quick, tmp_path / "more"]) == tmp_path / "more" / "strecha" / "castle"
    (tmp_path / "more" / "strecha" / "castle" / "images" / "0.jpg").touch()
    for part in ("images", "truth.json"):
        (tmp_path / "more" / "strecha" / "fountain" / part).mkdir(parents=True)
    assert scene_with_truth([tmp_path / "more"]) == tmp_path / "more" / "strecha" / "castle"
    assert scene_with_truth([tmp_path / "more"], quick=True) == tmp_path / "more" / "strecha" / "fountain"


def test_one_command_makes_one_page(
    cli: Any, asked: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from da3_pipeline.benchmark.datasets.rendered import render_scene
    from da3_pipeline.benchmark.together import scenes

    def small(root: Path, quick: bool, progress: Any) -> Path:
        render_scene(root / "rendered", "room", views=3, size=(48, 36))
        return root

    monkeypatch.setattr(scenes, "rendered_set", small)
    code, out, _ = cli("bench", "all", "--quick", "-o", tmp_path / "out", "--method", "floor:constant")
    assert code == 0 and out.strip().endswith("index.html")
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count("<pre") == len(PLANS) - 1 and "it is broken" in page and "floor:constant" in page
    assert re.search(r"da3-pipeline bench all --quick -o \S+ --method floor:constant", page)
    assert "MB at most in one process; the grid&#39;s own holds" in page
    assert "## Scenarios" in (tmp_path / "out" / "results.md").read_text()
    again = len(asked)
    cli("bench", "all", "--quick", "-o", tmp_path / "out", "--only", "long")
    assert len(asked) == again and "floor" not in (tmp_path / "out" / "index.html").read_text()
