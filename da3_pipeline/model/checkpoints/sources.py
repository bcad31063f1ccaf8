"""From a model's name to a file: shipped with the package, placed by hand, or fetched from the Hugging Face hub."""

from __future__ import annotations

import os
from pathlib import Path

from ...errors import WeightsError
from ...guard.bounded import read_json
from ..config import ModelConfig
from ..variants import VARIANTS, Variant, variant
from .hub import WEIGHTS_FILE, HubError, fetch, hub_client, size_on_hub

__all__ = [
    "WEIGHTS_FILE",
    "WEIGHTS_FOLDER_VARIABLE",
    "fetch_checkpoint",
    "find_checkpoint",
    "local_checkpoint",
    "weights_folder",
]

WEIGHTS_FOLDER_VARIABLE = "DA3_PIPELINE_WEIGHTS"
_SHIPPED = Path(__file__).parents[1] / "weights"
_ANSWER_S = 10.0
"""How long a fetch waits for the hub's first answer: the client's own limit for one try, of which it makes six."""


def weights_folder() -> Path:
    """Where checkpoints placed by hand are looked for: $DA3_PIPELINE_WEIGHTS, or a folder in the user's cache."""
    given = os.environ.get(WEIGHTS_FOLDER_VARIABLE)
    return Path(given) if given else Path.home() / ".cache" / "da3-pipeline" / "weights"


def local_checkpoint(name: str) -> Path | None:
    """The file of a registered network that is on this machine already: shipped, placed by hand, or fetched before."""
    entry = variant(name)
    path = (_SHIPPED if entry.hub_repo is None else weights_folder()) / f"{name}.safetensors"
    if path.is_file() or entry.hub_repo is None:
        return path if path.is_file() else None
    cached = hub_client().try_to_load_from_cache(entry.hub_repo, WEIGHTS_FILE)
    return Path(cached) if isinstance(cached, str) else None


def find_checkpoint(name_or_path: str | Path) -> tuple[Path, ModelConfig | None]:
    """The checkpoint file, and its configuration as far as the name or a config.json beside it tells.

    name_or_path: a registered name, a safetensors file, or a folder with model.safetensors and, perhaps,
    config.json. A registered name wins over a file of the same name. Raises WeightsError when nothing is there.
    """
    name = str(name_or_path)
    if name in VARIANTS:
        entry = VARIANTS[name]
        shipped = entry.hub_repo is None
        return fetch_checkpoint(name), None if shipped else entry.config
    path = Path(name_or_path)
    if path.is_dir():
        return path / WEIGHTS_FILE, _named_config(path / "config.json")
    if not path.exists():
        raise WeightsError(f"{name} is neither a file nor a known model; known: {', '.join(VARIANTS)}")
    return path, None


def _named_config(path: Path) -> ModelConfig | None:
    """The configuration that a published config.json names; None where there is none or it names nothing."""
    if not path.exists():
        return None
    try:
        name = read_json(path).get("model_name")
    except (OSError, ValueError, AttributeError) as error:
        raise WeightsError(f"{path} is not a readable model description: {error}") from error
    if name is None:
        return None
    if name not in VARIANTS:
        raise WeightsError(f"{path} names the model {name!r}, which this version cannot run")
    return VARIANTS[name].config


def fetch_checkpoint(name: str, answered: bool = False) -> Path:
    """The file of a registered network, from the hub into its cache on this machine where it is not there already.

    answered: the hub has just said that it has it, so it is not asked again. Raises UsageError on an unknown name,
    WeightsError where it cannot be fetched.
    """
    return local_checkpoint(name) or _fetch(variant(name), answered)


def _fetch(entry: Variant, answered: bool) -> Path:
    if entry.hub_repo is None:
        raise WeightsError(f"the weights of {entry.name} are missing from this installation: install the package again")
    try:
        if not answered:
            size_on_hub(entry.hub_repo, _ANSWER_S)
        return fetch(entry.hub_repo)
    except HubError as error:
        raise WeightsError(
            f"the weights of {entry.name} cannot be fetched ({error}): "
            f"download https://huggingface.co/{entry.hub_repo}/resolve/main/{WEIGHTS_FILE} "
            f"and place it as {weights_folder() / f'{entry.name}.safetensors'}, or pass its path as the model; "
            "da3-nano is built in and needs no download"
        ) from error
