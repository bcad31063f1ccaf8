"""Every setting of a stage says what it is for, has bounds, is frozen, and is read by the stage."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from da3_pipeline.config import PipelineConfig
from da3_pipeline.settings import Settings

ROOT = Path(__file__).parents[1] / "da3_pipeline"
STAGES = ("select", "georegister", "export")


def settings_of(group: Settings, where: str) -> Iterator[tuple[str, FieldInfo, Any]]:
    """Path, description and value of every setting that is not a group of settings."""
    for name, field in type(group).model_fields.items():
        value = getattr(group, name)
        if isinstance(value, Settings):
            yield from settings_of(value, f"{where}.{name}")
        else:
            yield f"{where}.{name}", field, value


EVERY = [item for stage in STAGES for item in settings_of(getattr(PipelineConfig(), stage), stage)]


def nested(path: str, value: Any) -> dict[str, Any]:
    """The document that sets one setting."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


@pytest.mark.parametrize(("path", "field", "value"), EVERY, ids=[path for path, _, _ in EVERY])
def test_a_setting_says_what_it_is_for_and_has_bounds(path: str, field: FieldInfo, value: Any) -> None:
    assert field.description and len(field.description) > 10
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    assert any(hasattr(bound, name) for bound in field.metadata for name in ("ge", "gt", "le", "lt"))
    outside = 1e12 if path.endswith("novelty") else -1e12
    with pytest.raises(ValidationError, match="than"):
        PipelineConfig.model_validate(nested(path, outside))
    assert PipelineConfig.model_validate(nested(path, value)) == PipelineConfig()


@pytest.mark.parametrize("path", [path for path, _, _ in EVERY])
def test_a_setting_is_read(path: str) -> None:
    stage, name = path.split(".")[0], path.split(".")[-1]
    code = "".join(file.read_text() for file in (ROOT / stage).rglob("*.py"))
    assert re.search(rf"\.{name}\b", code)


def test_an_unknown_setting_is_refused_however_deep() -> None:
    with pytest.raises(ValidationError, match="extra"):
        PipelineConfig.model_validate({"export": {"depth": {"fit": {"round": 3}}}})
