"""Presets: for one kind of capture each, a few settings that serve it better than the defaults, with why.

Each is a file of this folder, `NAME.toml`: `about`, a clause, and a table `[[setting]]` for each value with `name` (as
`mask.still`), `value` and `why`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Preset", "PresetValue", "load_preset", "nested", "preset_names"]

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class PresetValue:
    """A setting, by its path in PipelineConfig, its value, and why it is that."""

    name: str
    value: Any
    why: str


@dataclass(frozen=True)
class Preset:
    """about: which captures it is for, a clause."""

    name: str
    about: str
    values: tuple[PresetValue, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """Its values by path, and its name, which reports tell."""
        return {"preset": self.name} | {one.name: one.value for one in self.values}


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as PipelineConfig takes them, from values by path."""
    settings: dict[str, Any] = {}
    for path, value in values.items():
        *above, last = path.split(".")
        place = settings
        for part in above:
            place = place.setdefault(part, {})
        place[last] = value
    return settings


def preset_names() -> list[str]:
    """In the order of the alphabet."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_preset(name: str) -> Preset:
    """Raises UsageError where there is none of this name."""
    if name not in preset_names():
        raise UsageError(f"--preset {name}: there is no such preset; there are {', '.join(preset_names())}")
    document = tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    return Preset(name, document["about"], tuple(PresetValue(**one) for one in document["setting"]))
