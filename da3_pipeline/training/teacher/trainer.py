"""The teacher's trainer: everything of it that the shared loop does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from ...model import build
from ...model.monocular import MonocularNetwork
from ..evaluation.depth import measure_depth
from ..loop.contract import OPEN_SITTING, Findings, Place, Sitting
from ..loop.run import run
from ..loop.tensorboard import beside_truth
from ..pretrained.adaptation import freeze, load_trunk
from ..pretrained.sources import pretrained_trunk
from ..run_files import load_textures
from ..samples import Batch, ScenePool, normalise_images, render_scenes
from ..sources.mixture import draw_pool, open_sources
from ..synthetic.scenes import HELD_OUT_SEED
from .alignment import align_depth
from .config import TeacherConfig
from .losses import teacher_loss
from .predict import predict

__all__ = ["TeacherTask", "train_teacher"]

_AT_ONCE = 8
_SHOWN = 4  # held-out views in a validation picture
_BETAS = (0.9, 0.98)


def train_teacher(config: TeacherConfig, folder: Path, sitting: Sitting = OPEN_SITTING) -> None:
    """Train, or go on training, in `folder`, until the steps are done or the time is up.

    Raises UsageError when the folder holds a run of another configuration.
    """
    run(TeacherTask, config, folder, sitting)


class _Objective(nn.Module):
    def __init__(self, net: MonocularNetwork, bf16: bool) -> None:
        super().__init__()
        self.net, self.bf16 = net, bf16

    def forward(self, images: Tensor, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        depth, sky = predict(self.net, images, self.bf16)
        terms = teacher_loss(depth, sky, batch.depth[:, 0], batch.K[:, 0], generator)
        total = torch.stack(list(terms.values())).sum()
        return total, {"loss": float(total.detach()), **{name: float(value.detach()) for name, value in terms.items()}}


class TeacherTask:
    """The teacher in one process; see `loop.contract.Task`."""

    def __init__(self, config: TeacherConfig, folder: Path, sitting: Sitting, place: Place, fresh: bool) -> None:
        self.config, self.device = config, place.device
        self.atlas = load_textures(folder)
        self.data = open_sources(config.data)
        self.net = self._network(fresh)
        self.objective: nn.Module = _Objective(self.net, config.bf16)
        self.optimisers: list[Optimizer] = [self._optimiser()]
        self._pools: dict[int, tuple[int, ScenePool]] = {}
        count, size = config.held_out_scenes if place.rank == 0 else 0, config.sizes[0]
        seeds = range(HELD_OUT_SEED, HELD_OUT_SEED + count)
        self.held_out = render_scenes(seeds, self.atlas, 1, size) if count else None

    def begin(self, step: int, average: nn.Module) -> None:
        """Nothing but the learning rates changes."""

    def draw(self, step: int, shard: int) -> tuple[Tensor, Batch, torch.Generator]:
        config = self.config
        batch = self._pool(step, shard).draw(np.random.default_rng([config.seed, step, shard]), config.batch, 1)
        batch = Batch(**{name: value.to(self.device) for name, value in vars(batch).items()})
        return normalise_images(batch.images[:, 0]), batch, self.generator(step, shard)

    def generator(self, step: int, shard: int) -> torch.Generator:
        """What is drawn beside the sample: points, windows, hypotheses."""
        seed = int(np.random.default_rng([self.config.seed, step, shard, 2]).integers(0, 2**62))
        return torch.Generator().manual_seed(seed)

    def size(self, step: int) -> tuple[int, int]:
        """(width, height) of a step, the same in all of its shards."""
        rng = np.random.default_rng([self.config.seed, step - step % self.config.steps_per_pool])
        return self.config.sizes[int(rng.integers(0, len(self.config.sizes)))]

    def update(self, step: int) -> None:
        self.optimisers[0].step()

    @torch.no_grad()
    def evaluate(self, average: nn.Module, samples: int) -> Findings:
        """Depth of the average on held-out scenes, after scale and shift: errors, and the sky's share told right."""
        if self.held_out is None:
            return Findings({}, {})
        views, (depth, sky) = self.held_out, self.on_held_out(cast(MonocularNetwork, average))
        truth = views.depth[:, 0]
        aligned = align_depth(depth, truth, truth > 0, torch.Generator().manual_seed(0)).apply(depth)
        figures = measure_depth(F.relu(aligned) + 1e-6, truth)
        right = float(((sky > 0.5) == (truth == 0)).float().mean())
        shown = beside_truth(*(part[:_SHOWN] for part in (views.images[:, 0], truth, aligned)))
        return Findings(
            {"abs_rel": figures.abs_rel, "delta1": figures.delta1, "sky_right": right}, {"image_truth_depth": shown}
        )

    def on_held_out(self, net: MonocularNetwork) -> tuple[Tensor, Tensor]:
        """Depth and sky (N, H, W) of the held-out views, of which this process must have some."""
        assert self.held_out is not None
        pictures = torch.split(self.held_out.images[:, 0], _AT_ONCE)
        parts = [predict(net, normalise_images(part.to(self.device))) for part in pictures]
        depth, sky = (torch.cat(same).cpu() for same in zip(*parts, strict=True))
        return depth, sky

    def beside(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing beside the network."""

    def _pool(self, step: int, shard: int) -> ScenePool:
        """A shard's pool of the round that a step belongs to."""
        config = self.config
        first = step - step % config.steps_per_pool
        begun, pool = self._pools.get(shard, (-1, None))
        if pool is None or begun != first:
            size = self.size(step)
            rng = np.random.default_rng([config.seed, first, shard, 1])
            drawn = draw_pool(
                rng, self.atlas, self.data, config.data_share, config.pool_scenes, config.pool_views, size
            )
            pool = ScenePool(drawn)
            self._pools[shard] = first, pool
        return pool

    def _network(self, fresh: bool) -> MonocularNetwork:
        net = build(self.config.model, generator=torch.Generator().manual_seed(self.config.seed))
        assert isinstance(net, MonocularNetwork), "a teacher sees one picture at a time"
        if fresh and self.config.trunk:
            load_trunk(net, pretrained_trunk(self.config.trunk))
        if self.config.frozen_blocks:
            freeze(net, self.config.frozen_blocks)
        return net.to(self.device).train()

    def _optimiser(self) -> torch.optim.Optimizer:
        """AdamW; the trunk at `block_rate`, the head at `learning_rate`; biases, norms and gains do not decay."""
        alike: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, p in self.net.named_parameters():
            if p.requires_grad:
                rate = self.config.block_rate if name.startswith("backbone.") else self.config.learning_rate
                alike.setdefault((rate, self.config.weight_decay if p.ndim >= 2 else 0.0), []).append(p)
        groups: list[dict[str, Any]] = [
            {"params": same, "lr": rate, "weight_decay": decay} for (rate, decay), same in alike.items()
        ]
        return torch.optim.AdamW(groups, betas=_BETAS)
