"""From a training run to the file that ships."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from pydantic import TypeAdapter

from ..errors import WeightsError
from ..model import DepthAnything3, ModelConfig, Network, any_view, build, save_checkpoint
from .run_files import CHECKPOINT, CONFIG

__all__ = ["averaged", "averaged_network", "export_run"]


def averaged(folder: Path) -> Network:
    """The moving average of the weights in a run's last checkpoint, in evaluation mode, whatever was trained.

    Raises WeightsError when the folder holds no run.
    """
    if not (folder / CHECKPOINT).exists() or not (folder / CONFIG).exists():
        raise WeightsError(f"{folder} holds no {CHECKPOINT}: give the --folder of a training run")
    described = json.loads((folder / CONFIG).read_text())["model"]
    net = build(TypeAdapter(ModelConfig).validate_python(described))
    state = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)["ema"]
    net.load_state_dict(
        {key.removeprefix("module."): value for key, value in state.items() if key.startswith("module.")}
    )
    return net.eval()


def averaged_network(folder: Path) -> DepthAnything3:
    """As `averaged`, of a run of the student or of Gaussians."""
    return any_view(averaged(folder))


def export_run(folder: Path, path: Path) -> None:
    """Write the averaged weights in half precision, in the published checkpoint format."""
    save_checkpoint(averaged(folder), path, torch.float16)
