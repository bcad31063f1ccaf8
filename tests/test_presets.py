"""Presets: data that sets what there is, says why, and yields to what the user gives."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from da3_pipeline import pipeline, presets
from da3_pipeline.cli.assembled import settings_of
from da3_pipeline.cli.options import capture_options
from da3_pipeline.config import PipelineConfig
from da3_pipeline.errors import UsageError
from da3_pipeline.presets import load_preset, preset_names

Run = Callable[..., tuple[int, str, str]]
DEFAULTS = {name: one.default for name, one in inspect.signature(capture_options).parameters.items()}


def settings(*given: str, **options: Any) -> dict[str, Any]:
    """Of the command line with these options, of which `given` were said."""
    config = PipelineConfig.model_validate(settings_of(DEFAULTS | options, given))
    return config.model_dump(mode="json")


def value_of(config: dict[str, Any], name: str) -> Any:
    for part in name.split("."):
        config = config[part]
    return config


def test_without_options_the_settings_are_the_defaults() -> None:
    assert settings() == PipelineConfig().model_dump(mode="json")


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_changes_few_values_that_there_are_and_says_why(name: str) -> None:
    preset, before, after = load_preset(name), settings(), settings("preset", preset=name)
    assert 1 <= len(preset.values) <= 6 and preset.about and after["preset"] == name
    for one in preset.values:
        assert value_of(before, one.name) != value_of(after, one.name) == one.value, one.name
        assert len(one.why) > 20 and not one.why.endswith(".")
        place: Any = after
        *above, last = one.name.split(".")
        for part in above:
            place = place[part]
        place[last] = value_of(before, one.name)
    assert after == before | {"preset": name}  # nothing else is changed


def test_what_is_given_beats_the_preset_even_where_it_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presets, "_FOLDER", tmp_path)
    (tmp_path / "crowd.toml").write_text('about = "a"\n[[setting]]\nname = "mask.people"\nvalue = true\nwhy = "b"\n')
    assert settings("preset", preset="crowd")["mask"]["people"] is True
    assert settings("preset", "mask_people", preset="crowd", mask_people=False)["mask"]["people"] is False


def test_every_option_is_a_setting() -> None:
    """Each by itself changes what it should, and no option is forgotten."""
    values: dict[str, Any] = dict.fromkeys(DEFAULTS, True)
    values |= dict.fromkeys(("masks", "dual_fisheye", "predictions", "intrinsics", "poses", "rig"), Path("x"))
    values |= {
        "panorama": "yes",
        "max_frames": 7,
        "fps": 2.0,
        "every": 3,
        "from_": 1.0,
        "to": 9.0,
        "model": "da3-giant",
    }
    values |= {"poses_as": "fixed", "downscale": "2,4", "metric_model": "da3metric-large", "metric": "gps"}
    values |= {"distance": ["a.jpg,b.jpg=2"], "matcher": "sift", "device": "cpu", "seed": 3}
    values["mask_still"] = False
    del values["preset"]
    before = json.dumps(settings_of(DEFAULTS, ()), default=str)
    for name, value in values.items():
        changed = settings_of(DEFAULTS | {name: value}, (name,))
        assert json.dumps(changed, default=str, sort_keys=True) != json.dumps(json.loads(before), sort_keys=True), name


def test_one_that_there_is_not_is_named_with_those_that_there_are(cli: Run, tmp_path: Path) -> None:
    code, _, told = cli("run", tmp_path, "-o", tmp_path / "out", "--preset", "moon")
    assert code == 2 and "--preset moon" in told and all(name in told for name in preset_names())
    with pytest.raises(UsageError, match="no such preset"):
        load_preset("../presets/object_turntable")


@pytest.mark.parametrize("command", ["run", "batch", "watch"])
def test_commands_take_it_alike(command: str, cli: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[PipelineConfig] = []

    def stand_in(*arguments: Any, **named: Any) -> None:
        seen.extend(one for one in (*arguments, *named.values()) if isinstance(one, PipelineConfig))
        raise UsageError("enough")

    monkeypatch.setattr(pipeline, "run", stand_in)
    monkeypatch.setattr("da3_workflows.batch.run_batch", stand_in)
    monkeypatch.setattr("da3_workflows.batch.Batch", stand_in)
    rest = ("--preset", "object_turntable", "--model", "da3-nano", "--no-mask-still", "--seed", 5)
    code, _, told = cli(command, tmp_path, "-o", tmp_path / "out", *rest)
    assert code == 2 and "enough" in told
    (config,) = seen
    assert (config.preset, config.mask.still, config.refine.seed) == ("object_turntable", False, 5)
