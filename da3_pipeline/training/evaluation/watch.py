"""What a run is measured by while it goes on: held-out scenes, and photographs that it never learns from.

The first process looks at the scenes, the last one at the photographs, so that neither waits long for the other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...model import DepthAnything3, save_checkpoint
from ..config import StudentConfig
from ..loop.tensorboard import beside_truth
from ..run_files import BEST
from .depth import evaluate_depth, predict_depth
from .poses import evaluate_pairs, evaluate_photographs, held_out_views, load_posed_photographs

__all__ = ["Watch"]

_LONGEST_PX = 168
_BEST_FIGURE = "best.json"
_SHOWN = 3  # sets of views in a validation picture


class Watch:
    """The part of one process in the evaluation of a run."""

    def __init__(self, config: StudentConfig, folder: Path, captures: Sequence[Path], rank: int) -> None:
        self._folder = folder
        count, size = config.held_out_scenes, config.held_out_size
        self._scenes = held_out_views(count, 2, size) if rank == 0 and count else None
        mine = captures if rank == config.processes - 1 else ()
        self._photographs = {path.name: load_posed_photographs(path, _LONGEST_PX) for path in mine}

    def look(self, net: DepthAnything3, samples: int) -> dict[str, float]:
        """Figures by name, empty in a process that has nothing to look at.

        Where there are photographs, the network with the best mean AUC@30 of their pairs so far is kept in the
        folder, in half precision.
        """
        figures: dict[str, float] = {}
        if self._scenes is not None:
            found = evaluate_pairs(net, self._scenes)
            figures |= {f"{who}_{what}": value for who, f in found.items() for what, value in asdict(f).items()}
            depth = evaluate_depth(net, self._scenes)
            figures |= {f"{who}_{what}": value for who, f in depth.items() for what, value in asdict(f).items()}
        for name, photographs in self._photographs.items():
            pairs = evaluate_photographs(net, photographs, whole=False)["pairs"]["network"]
            figures |= {f"{name}_{what}": value for what, value in asdict(pairs).items()}
        areas = [figures[f"{name}_auc_30"] for name in self._photographs]
        if areas:
            figures["photographs_auc_30"] = float(np.mean(areas))
            self._keep_the_best(net, figures, samples)
        return figures

    @torch.no_grad()
    def pictures(self, net: DepthAnything3) -> dict[str, Tensor]:
        """Held-out views beside true and predicted depth, at one scale a set, for validation; (3, H, W) by name."""
        if self._scenes is None:
            return {}
        views = self._scenes.select(torch.arange(min(_SHOWN, len(self._scenes.images))), torch.arange(2)[None])
        depth = predict_depth(net, views.images).cpu()
        known = views.depth > 0
        ratio = torch.where(known, views.depth / depth.clamp_min(1e-6), torch.nan)
        scaled = depth * ratio.flatten(1).nanmedian(1).values[:, None, None, None]
        parts = (part.flatten(0, 1) for part in (views.images, views.depth, scaled))
        return {"image_truth_depth": beside_truth(*parts)}

    def _keep_the_best(self, net: DepthAnything3, figures: dict[str, float], samples: int) -> None:
        record = self._folder / _BEST_FIGURE
        best = json.loads(record.read_text())["photographs_auc_30"] if record.exists() else -1.0
        if figures["photographs_auc_30"] > best:
            save_checkpoint(net, self._folder / BEST, torch.float16)
            record.write_text(json.dumps({"samples": samples, **figures}))
