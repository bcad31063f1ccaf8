"""The teacher's trainer, in one process. Everything random is drawn from (seed, step): a run resumes exactly."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ...model import build
from ...model.config import PATCH
from ...model.monocular import MonocularNetwork
from ..evaluation.depth import measure_depth
from ..pretrained.adaptation import freeze, load_trunk
from ..pretrained.sources import pretrained_trunk
from ..run_files import append_to_log, claim, load_state, load_textures, save_state, save_textures
from ..samples import Batch, ScenePool, normalise_images, render_scenes
from ..synthetic.scenes import HELD_OUT_SEED
from .alignment import align_depth
from .config import TeacherConfig
from .losses import teacher_loss

__all__ = ["predict", "train_teacher"]

_LOG_EVERY = 20
_AT_ONCE = 8
_BETAS = (0.9, 0.98)


def train_teacher(
    config: TeacherConfig, folder: Path, max_minutes: float = float("inf"), pictures: tuple[Path, ...] = ()
) -> None:
    """Train, or go on training, in `folder`, until the steps are done or the time is up.

    Raises UsageError when the folder holds a run of another configuration.
    """
    claim(folder, config)
    save_textures(folder, config, pictures)
    _Run(config, folder).work(max_minutes)


def predict(net: MonocularNetwork, images: Tensor, bf16: bool = False) -> tuple[Tensor, Tensor]:
    """depth and sky (N, H, W) of normalised images (N, 3, H, W), the sky's depth as it comes; gradients flow."""
    size = (images.shape[-2], images.shape[-1])
    grid = (size[0] // PATCH, size[1] // PATCH)
    with torch.autocast(images.device.type, torch.bfloat16, bf16):
        taps = net.trunk(images[:, None]).patches
        kept = [net.head.reduced(level, tap[:, 0].float(), grid, None) for level, tap in enumerate(taps)]
        depth, sky = net.head.decode(kept, size)
    return depth.float(), sky.float()


class _Run:
    def __init__(self, config: TeacherConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.atlas = load_textures(folder)
        state = load_state(folder, self.device)
        self.net = self._network(fresh=state is None)
        self.trained = [p for p in self.net.parameters() if p.requires_grad]
        self.optimiser = self._optimiser()
        self.ema = AveragedModel(self.net, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay))  # type: ignore[no-untyped-call]
        self.step = 0
        if state is not None:
            self.step = int(state["step"])
            self.net.load_state_dict(state["net"])
            self.ema.load_state_dict(state["ema"])
            self.optimiser.load_state_dict(state["optimiser"])
        count, size = config.held_out_scenes, config.sizes[0]
        seeds = range(HELD_OUT_SEED, HELD_OUT_SEED + count)
        self.held_out = render_scenes(seeds, self.atlas, 1, size) if count else None

    def work(self, max_minutes: float) -> None:
        config, begun = self.config, time.monotonic()
        pool: ScenePool | None = None
        figures: list[dict[str, float]] = []
        go_on = True
        while go_on and self.step < config.steps:
            if pool is None or self.step % config.steps_per_pool == 0:
                pool = self._pool()
            figures.append(self._train_step(pool))
            self.step += 1
            if self.step % _LOG_EVERY == 0:
                means = {name: float(np.mean([line[name] for line in figures])) for name in figures[0]}
                append_to_log(self.folder, {"step": self.step, **means})
                figures = []
            if self.step % config.evaluate_every == 0 and self.held_out is not None:
                append_to_log(self.folder, {"step": self.step, **self._evaluate(self.held_out)})
            go_on = time.monotonic() - begun < 60 * max_minutes
            if not go_on or self.step % config.checkpoint_every == 0 or self.step == config.steps:
                self._save()

    def _train_step(self, pool: ScenePool) -> dict[str, float]:
        config = self.config
        batch = pool.draw(np.random.default_rng([config.seed, self.step]), config.batch, 1)
        batch = Batch(**{name: value.to(self.device) for name, value in vars(batch).items()})
        depth, sky = predict(self.net, normalise_images(batch.images[:, 0]), config.bf16)
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + self.step)
        terms = teacher_loss(depth, sky, batch.depth[:, 0], batch.K[:, 0], generator)
        for group in self.optimiser.param_groups:
            group["lr"] = group["full_rate"] * config.rate(self.step)
        total = torch.stack(list(terms.values())).sum()
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.trained, config.clip_norm)
        self.optimiser.step()
        self.ema.update_parameters(self.net)
        return {"loss": float(total.detach()), **{name: float(value.detach()) for name, value in terms.items()}}

    @torch.no_grad()
    def _evaluate(self, views: Batch) -> dict[str, float]:
        """Depth of the average on held-out scenes, after scale and shift: errors, and the sky's share told right."""
        net = self.ema.module
        assert isinstance(net, MonocularNetwork)
        parts = [
            predict(net, normalise_images(part.to(self.device))) for part in torch.split(views.images[:, 0], _AT_ONCE)
        ]
        depth, sky = (torch.cat(same).cpu() for same in zip(*parts, strict=True))
        truth = views.depth[:, 0]
        aligned = align_depth(depth, truth, truth > 0, torch.Generator().manual_seed(0)).apply(depth)
        figures = measure_depth(F.relu(aligned) + 1e-6, truth)
        right = float(((sky > 0.5) == (truth == 0)).float().mean())
        return {"abs_rel": figures.abs_rel, "delta1": figures.delta1, "sky_right": right}

    def _pool(self) -> ScenePool:
        """The pool of the round that the step belongs to."""
        config = self.config
        first = self.step - self.step % config.steps_per_pool
        draw = np.random.default_rng([config.seed, first, 1])
        size = config.sizes[int(draw.integers(0, len(config.sizes)))]
        seeds = [int(seed) for seed in draw.integers(0, HELD_OUT_SEED, config.pool_scenes)]
        return ScenePool(render_scenes(seeds, self.atlas, config.pool_views, size))

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
            {"params": same, "lr": rate, "full_rate": rate, "weight_decay": decay}
            for (rate, decay), same in alike.items()
        ]
        return torch.optim.AdamW(groups, betas=_BETAS)

    def _save(self) -> None:
        state = {
            "step": self.step,
            "net": self.net.state_dict(),
            "ema": self.ema.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        save_state(state, self.folder)
