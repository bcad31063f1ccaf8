"""From a training run to the file that ships."""

from __future__ import annotations

from pathlib import Path

import torch

from ..model import DepthAnything3, any_view, build, save_checkpoint
from .run_files import CHECKPOINT, read_config

__all__ = ["averaged_network", "export_student"]


def averaged_network(folder: Path) -> DepthAnything3:
    """The moving average of the weights in a run's last checkpoint, in evaluation mode.

    Raises WeightsError when the folder holds no run.
    """
    config = read_config(folder)
    state = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)["ema"]
    net = any_view(build(config.model))
    net.load_state_dict(
        {key.removeprefix("module."): value for key, value in state.items() if key.startswith("module.")}
    )
    return net.eval()


def export_student(folder: Path, path: Path) -> None:
    """Write the averaged weights in half precision, in the published checkpoint format."""
    save_checkpoint(averaged_network(folder), path, torch.float16)
