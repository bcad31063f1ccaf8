"""The student of metric depth: depth as a camera of 300 px focal length would have it (Metric3D, Yin et al. 2023)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from ...model import MonocularNetwork, metres_from_canonical
from ..evaluation.depth import measure_depth
from ..loop.contract import OPEN_SITTING, Findings, Place, Sitting
from ..loop.run import run
from ..loop.tensorboard import beside_truth
from ..losses import gradient_loss
from ..samples import Batch, normalise_images
from ..sources.mixture import open_sources
from ..teacher.labels import Teacher
from ..teacher.predict import predict
from ..teacher.trainer import TeacherTask
from .config import MetricConfig

__all__ = ["MetricTask", "metric_loss", "train_metric"]

_SHOWN = 4


def train_metric(config: MetricConfig, folder: Path, sitting: Sitting = OPEN_SITTING) -> None:
    """Train, or go on training, in `folder`. Raises UsageError where a source of data is not in metres."""
    open_sources(config.data, in_metres=True)
    run(MetricTask, config, folder, sitting)


def metric_loss(
    depth: Tensor, sky: Tensor, metres: Tensor, K: Tensor, gradient: float = 0.5, sky_weight: float = 1.0
) -> dict[str, Tensor]:
    """The weighted terms by name, of canonical depth and sky (B, H, W) as predicted.

    metres (B, H, W): true depth, 0 at the sky and where nothing is known. K (B, 3, 3) in pixels. Depth is compared in
    canonical metres, by L1 over what is known; depth beyond the sky's limit does not exist for it.
    """
    known = metres > 0
    wanted = metres / metres_from_canonical(torch.ones_like(metres), K)
    error = torch.where(known, (depth - wanted).abs(), 0.0).sum() / known.sum().clamp_min(1)
    return {
        "depth": error,
        "gradient": gradient * gradient_loss(depth, wanted, known),
        "sky": sky_weight * (sky - (~known).to(sky.dtype)).square().mean(),
    }


class _Objective(nn.Module):
    def __init__(self, net: MonocularNetwork, config: MetricConfig) -> None:
        super().__init__()
        self.net, self.config = net, config

    def forward(self, images: Tensor, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        depth, sky = predict(self.net, images, self.config.bf16)
        weights = self.config.gradient, self.config.sky
        terms = metric_loss(depth, sky, batch.depth[:, 0], batch.K[:, 0], *weights)
        total = torch.stack(list(terms.values())).sum()
        return total, {"loss": float(total.detach()), **{name: float(value.detach()) for name, value in terms.items()}}


class MetricTask(TeacherTask):
    """The student in one process; see `loop.contract.Task`."""

    def __init__(self, config: MetricConfig, folder: Path, sitting: Sitting, place: Place, fresh: bool) -> None:
        super().__init__(config, folder, sitting, place, fresh)
        self.settings = config
        self.objective = _Objective(self.net, config)
        self.teacher = Teacher.from_source(config.teacher, place.device) if config.teacher else None

    def draw(self, step: int, shard: int) -> tuple[Tensor, Batch]:  # type: ignore[override]
        _, batch, generator = super().draw(step, shard)
        rng, shared = (np.random.default_rng([self.settings.seed, step, *of, 4]) for of in ((shard,), ()))
        if self.teacher is not None:
            told = self.teacher.relabelled(batch, generator).depth
            keeps = torch.from_numpy(rng.random(len(told)) < self.settings.own_labels).to(told.device)
            batch = replace(batch, depth=torch.where(keeps[:, None, None, None], batch.depth, told))
        if shared.random() < self.settings.turned:
            batch = batch.turned(int(shared.choice((1, 3))))
        return normalise_images(batch.images[:, 0]), batch

    @torch.no_grad()
    def evaluate(self, average: nn.Module, samples: int) -> Findings:
        """Of the average on held-out scenes, in metres: errors without alignment, and as the teacher's with a scale."""
        if self.held_out is None:
            return Findings({}, {})
        views, (depth, sky) = self.held_out, self.on_held_out(cast(MonocularNetwork, average))
        truth = views.depth[:, 0]
        metres = metres_from_canonical(depth, views.K[:, 0])
        known = truth > 0
        off = ((metres - truth).abs() / truth.clamp_min(1e-6))[known]
        ratio = (metres / truth.clamp_min(1e-6))[known]
        figures = {
            "metric_abs_rel": float(off.mean()),
            "metric_delta1": 100 * float(((ratio < 1.25) & (ratio > 0.8)).float().mean()),
            "scaled_abs_rel": measure_depth(metres, truth).abs_rel,
            "sky_right": float(((sky > 0.5) == (truth == 0)).float().mean()),
        }
        return Findings(
            figures,
            {"image_truth_depth": beside_truth(*(part[:_SHOWN] for part in (views.images[:, 0], truth, metres)))},
        )
