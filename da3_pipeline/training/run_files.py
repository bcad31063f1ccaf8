"""What a training run leaves in its folder, and how it is picked up again."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Protocol

import torch

from ..errors import UsageError, WeightsError
from ..settings import Settings
from .config import StudentConfig
from .synthetic.atlas import Atlas, build_atlas
from .synthetic.photographs import DEBIAN_FOLDERS, find_photographs

__all__ = [
    "BEST",
    "CHECKPOINT",
    "CONFIG",
    "LOG",
    "TEXTURES",
    "Textured",
    "append_to_log",
    "claim",
    "load_state",
    "load_textures",
    "read_config",
    "save_state",
    "save_textures",
    "steps_done",
]

BEST = "best.safetensors"
CHECKPOINT = "checkpoint.pt"
CONFIG = "config.json"
LOG = "log.jsonl"
TEXTURES = "textures.pt"

_FREE = frozenset({"phases", "decay_from", "losses", "evaluate_every", "checkpoint_every", "keep_every"})
"""What of a run's configuration may change while it goes on: the schedule to come, and what is written when."""


class Textured(Protocol):
    """Of a run's configuration, what its textures are made of."""

    @property
    def seed(self) -> int: ...
    @property
    def procedural_textures(self) -> int: ...
    @property
    def photographic_textures(self) -> int: ...


def claim(folder: Path, config: Settings) -> None:
    """Make `folder` the run of this configuration.

    Raises UsageError when it holds a run of another one, whatever may change while a run goes on apart.
    """
    folder.mkdir(parents=True, exist_ok=True)
    described, wanted = folder / CONFIG, config.model_dump_json(indent=1)
    if described.exists() and (folder / CHECKPOINT).exists():
        old, new = _described(described, type(config)), json.loads(wanted)
        if any(old.get(key) != new[key] for key in new if key not in _FREE):
            raise UsageError(f"{folder} holds a run of another configuration: choose another folder")
    described.write_text(wanted)


def _described(path: Path, kind: type[Settings]) -> dict[str, Any]:
    """What a run says of itself; what it does not know of, as its defaults are. Empty if it is of another kind."""
    try:
        known: dict[str, Any] = json.loads(kind.model_validate_json(path.read_text()).model_dump_json())
    except ValueError:
        return {}
    return known


def read_config(folder: Path) -> StudentConfig:
    """The configuration of the run in `folder`. Raises WeightsError when it holds none."""
    if not (folder / CHECKPOINT).exists() or not (folder / CONFIG).exists():
        raise WeightsError(f"{folder} holds no {CHECKPOINT}: give the --folder of a training run")
    return StudentConfig.model_validate_json((folder / CONFIG).read_text())


def steps_done(folder: Path) -> int:
    """Steps behind the last checkpoint."""
    state = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True, mmap=True)
    return int(state["step"])


def save_state(state: dict[str, Any], folder: Path, keep_as: str | None = None) -> None:
    """Write the checkpoint whole or not at all; with `keep_as` under that name, too."""
    partial = folder / (CHECKPOINT + ".partial")
    torch.save(state, partial)
    partial.replace(folder / CHECKPOINT)
    if keep_as is not None:
        kept = folder / keep_as
        kept.unlink(missing_ok=True)
        try:
            os.link(folder / CHECKPOINT, kept)  # costs nothing: the next checkpoint is another file
        except OSError:
            shutil.copyfile(folder / CHECKPOINT, kept)


def load_state(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The last checkpoint, None where there is none yet."""
    path = folder / CHECKPOINT
    return torch.load(path, map_location=device, weights_only=True) if path.exists() else None


def save_textures(folder: Path, config: Textured, pictures: tuple[Path, ...] = ()) -> None:
    """Build the run's textures, once: a run that is picked up elsewhere must not depend on what is installed there.

    pictures: folders of photographs beside the usual ones.
    """
    if (folder / TEXTURES).exists():
        return
    photographs = find_photographs((*DEBIAN_FOLDERS, *pictures)) if config.photographic_textures else ()
    atlas = build_atlas(config.seed, config.procedural_textures, config.photographic_textures, photographs)
    partial = folder / (TEXTURES + ".partial")
    torch.save({"texels": atlas.texels, "styles": list(atlas.styles)}, partial)
    partial.replace(folder / TEXTURES)


def load_textures(folder: Path) -> Atlas:
    """What `save_textures` wrote; processes share its memory."""
    stored = torch.load(folder / TEXTURES, mmap=True, weights_only=True)
    return Atlas(stored["texels"], tuple(stored["styles"]))


def append_to_log(folder: Path, figures: dict[str, Any]) -> None:
    """One line of JSON. Processes may append at the same time: a line is written at once."""
    line = json.dumps({key: round(v, 5) if isinstance(v, float) else v for key, v in figures.items()}) + "\n"
    with (folder / LOG).open("a") as log:
        log.write(line)
