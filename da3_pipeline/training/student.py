"""The student's trainer: one or several processes that average their gradients.

Everything random is drawn from (seed, step, process), so that a run that is killed and resumed from its last
checkpoint goes on exactly as if nothing had happened.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, multiprocessing, nn
from torch.optim.swa_utils import AveragedModel

from ..model import DepthAnything3, any_view, build
from .config import Phase, StudentConfig
from .evaluation.watch import Watch
from .leak import apply_fold, make_leaky, mostly_negative, set_leak
from .optimisers import make_camera_optimiser, make_optimisers, set_rate
from .pretrained.adaptation import adapt, freeze, load_trunk
from .pretrained.sources import pretrained_trunk
from .probe import Probes
from .run_files import append_to_log, claim, load_state, load_textures, save_state, save_textures
from .samples import Batch, ScenePool, normalise_images, render_scenes
from .step import StepOptions, student_loss
from .synthetic.scenes import HELD_OUT_SEED
from .warm_start import warm_start

__all__ = ["Sitting", "train"]

_LOG_EVERY = 20
_SAMPLE_SCENES = 32
_PATIENCE = timedelta(days=1)


@dataclass(frozen=True)
class Sitting:
    """What belongs to one sitting rather than to the run, and changes nothing of its result.

    max_minutes: after these the run is saved and left. save_minutes: the longest time between two checkpoints.
    captures: folders of photographs with a truth.json, to be evaluated on. pictures: folders of photographs for
    textures beside the usual ones; read when the run begins.
    """

    max_minutes: float = float("inf")
    save_minutes: float = 5.0
    captures: tuple[Path, ...] = ()
    pictures: tuple[Path, ...] = ()


def train(config: StudentConfig, folder: Path, sitting: Sitting = Sitting()) -> None:
    """Train, or go on training, in `folder`; `run_files` says what is found there.

    Raises UsageError when the folder holds a run of another configuration.
    """
    claim(folder, config)
    save_textures(folder, config, sitting.pictures)
    if config.processes == 1:
        _work(0, config, folder, sitting, "")
        return
    meeting = f"file://{(folder / 'meeting').absolute()}"
    (folder / "meeting").unlink(missing_ok=True)
    multiprocessing.spawn(_work, (config, folder, sitting, meeting), nprocs=config.processes)  # type: ignore[attr-defined, no-untyped-call]


def _work(rank: int, config: StudentConfig, folder: Path, sitting: Sitting, meeting: str) -> None:
    torch.set_num_threads(1 if config.processes > 1 else torch.get_num_threads())
    if config.processes > 1:
        dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=config.processes, timeout=_PATIENCE)
    try:
        _Run(rank, config, folder, sitting).work()
    finally:
        if config.processes > 1:
            dist.destroy_process_group()


class _Run:
    """The state of one process."""

    def __init__(self, rank: int, config: StudentConfig, folder: Path, sitting: Sitting) -> None:
        self.rank, self.config, self.folder, self.sitting = rank, config, folder, sitting
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.atlas = load_textures(folder)
        state = load_state(folder, self.device)
        self.net = self._network(fresh=state is None)
        self.probes = Probes(config.model).to(self.device)
        self.trained = [p for p in (*self.net.parameters(), *self.probes.parameters()) if p.requires_grad]
        self.optimisers = make_optimisers(self.net, self.probes, config)
        self.camera_optimiser = make_camera_optimiser(self.net, config)
        self.ema = AveragedModel(self.net, multi_avg_fn=_moving_average(config.ema_decay))
        self.step = self.samples = 0
        if state is not None:
            self._restore(state)
        self.watch = Watch(config, folder, sitting.captures, rank)
        self.left = self.saved = time.monotonic()

    def work(self) -> None:
        pool: ScenePool | None = None
        since, figures, go_on = time.monotonic(), [], True
        while go_on and self.step < self.config.steps:
            if pool is None or self._pool_starts(self.step):
                pool = self._pool(self.step)
            found, go_on = self._train_step(pool)
            figures.append(found)
            self.step += 1
            if self.step % _LOG_EVERY == 0:
                now = time.monotonic()
                share = {"rate": self.config.rate(self.step), "seconds": now - since}
                if self.rank == 0:
                    self._report({**_mean(figures), **share})
                since, figures = now, []
            if self.step % self.config.evaluate_every == 0:
                self._report(self.watch.look(cast(DepthAnything3, self.ema.module), self.samples))
            if self.rank == 0 and (not go_on or self._is_time_to_save()):
                self._save()

    def _train_step(self, pool: ScenePool) -> tuple[dict[str, float], bool]:
        """The figures of one step, and whether there is time for another."""
        config, step = self.config, self.step
        phase, _ = config.phase(step)
        shared = np.random.default_rng([config.seed, step])
        views = int(shared.choice(phase.views))
        options = StepOptions(
            correspondence=config.correspondence_weight(step),
            probed=config.losses.probe > 0,
            dense_share=phase.dense_share,
            conditioned=bool(shared.random() < phase.pose_conditioning),
            bf16=config.bf16,
        )
        size = _pool_size(config, phase, step)
        batch = pool.draw(np.random.default_rng([config.seed, step, self.rank]), phase.batch(views, size), views)
        if step == config.camera_leak_until and config.camera_leak > 0:
            self._fold_leak()
        set_leak(self.net, config.leak(step))
        set_leak(self.ema, config.leak(step))
        batch = Batch(**{name: value.to(self.device) for name, value in vars(batch).items()})
        set_rate([*self.optimisers, self.camera_optimiser], config.rate(step))
        loss, figures = student_loss(self.net, self.probes, batch, config.losses, options)
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        go_on = self._average_gradients(time.monotonic() - self.left < 60 * self.sitting.max_minutes)
        nn.utils.clip_grad_norm_(self.trained, config.clip_norm)
        self._update()
        if (step + 1) % config.ema_every == 0:
            self.ema.update_parameters(self.net)
        self.samples += len(batch.images) * config.processes
        return figures, go_on

    def _update(self) -> None:
        """One step of every optimiser; once the leak is folded the camera decoder has one of its own."""
        if self.config.camera_leak > 0 and self.step >= self.config.camera_leak_until:
            self.camera_optimiser.step()
            self.camera_optimiser.zero_grad(set_to_none=True)  # without gradients the others leave it alone
        for optimiser in self.optimisers:
            optimiser.step()

    def _average_gradients(self, go_on: bool) -> bool:
        """Over the processes, which all leave when the first to run out of time wants to.

        A step either reaches a parameter in every process or in none: what is drawn for it is shared.
        """
        if self.config.processes == 1:
            return go_on
        reached = [p for p in self.trained if p.grad is not None]
        leaving = torch.full((1,), float(not go_on), device=self.device)
        flat = torch.cat([*(cast(Tensor, p.grad).flatten() for p in reached), leaving])
        dist.all_reduce(flat)
        flat /= self.config.processes
        for parameter, gradient in zip(reached, torch.split(flat[:-1], [p.numel() for p in reached]), strict=True):
            parameter.grad = gradient.view_as(parameter)
        return float(flat[-1]) == 0

    def _pool_starts(self, step: int) -> bool:
        phase, start = self.config.phase(step)
        return (step - start) % phase.steps_per_pool == 0

    def _pool(self, step: int) -> ScenePool:
        """The pool of the round that a step belongs to."""
        phase, start = self.config.phase(step)
        first = step - (step - start) % phase.steps_per_pool
        draw = np.random.default_rng([self.config.seed, first, self.rank, 1])
        seeds = [int(seed) for seed in draw.integers(0, HELD_OUT_SEED, phase.pool_scenes)]
        size = _pool_size(self.config, phase, step)
        return ScenePool(render_scenes(seeds, self.atlas, phase.pool_views, size))

    def _fold_leak(self) -> None:
        """Close the camera decoder's rectifiers, alike in every process."""
        set_leak(self.net, self.config.camera_leak)  # a run that is resumed at this step has set none yet
        with torch.no_grad():
            tokens = self.net.trunk(self._sample_pairs(), None, "first").camera[-1]
        flips = mostly_negative(self.net, tokens)
        for net in (self.net, cast(DepthAnything3, self.ema.module)):
            apply_fold(net, flips, self.config.camera_leak)

    def _sample_pairs(self) -> Tensor:
        """(B, 2, 3, H, W) input of the network, the same in every process."""
        scenes = render_scenes(range(_SAMPLE_SCENES), self.atlas, 2, self.config.phases[0].sizes[0])
        return normalise_images(scenes.images).to(self.device)

    def _network(self, fresh: bool) -> DepthAnything3:
        """With the weights that training starts from, if fresh; alike in every process."""
        config, generator = self.config, torch.Generator().manual_seed(self.config.seed)
        net = any_view(build(config.model, generator=generator))
        if fresh and config.trunk:
            load_trunk(net, pretrained_trunk(config.trunk))
            adapt(net, self._sample_pairs().cpu(), generator)
        if fresh and config.warm_start:
            warm_start(net, self._sample_pairs().flatten(0, 1).cpu(), generator)
        if config.camera_leak > 0:
            make_leaky(net)
        if config.warm_start:
            net.trunk.pos_embed.requires_grad_(False)
        if config.frozen_blocks:
            freeze(net, config.frozen_blocks)
        return net.to(self.device).train()

    def _report(self, figures: dict[str, float]) -> None:
        if figures:
            append_to_log(self.folder, {"step": self.step, "samples": self.samples, **figures})

    def _is_time_to_save(self) -> bool:
        due = time.monotonic() - self.saved > 60 * self.sitting.save_minutes
        return due or self.step % self.config.checkpoint_every == 0 or self.step == self.config.steps or self._keeps()

    def _keeps(self) -> bool:
        return self.config.keep_every > 0 and self.step % self.config.keep_every == 0

    def _save(self) -> None:
        state = {
            "step": self.step,
            "samples": self.samples,
            "net": self.net.state_dict(),
            "ema": self.ema.state_dict(),
            "probes": self.probes.state_dict(),
            "camera_optimiser": self.camera_optimiser.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
        }
        save_state(state, self.folder, f"checkpoint-{self.samples:07d}.pt" if self._keeps() else None)
        self.saved = time.monotonic()

    def _restore(self, state: dict[str, Any]) -> None:
        self.step, self.samples = int(state["step"]), int(state["samples"])
        self.net.load_state_dict(state["net"])
        self.ema.load_state_dict(state["ema"])
        self.probes.load_state_dict(state["probes"])
        self.camera_optimiser.load_state_dict(state["camera_optimiser"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)


def _moving_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """Exponential, over a ninth of its own age while it is young, so that it soon forgets the start."""

    @torch.no_grad()
    def average(averaged: Any, current: Any, count: Any) -> None:
        kept = min(decay, (1 + int(count)) / (10 + int(count)))
        torch._foreach_lerp_(list(averaged), list(current), 1 - kept)

    return average


def _pool_size(config: StudentConfig, phase: Phase, step: int) -> tuple[int, int]:
    start = config.phase(step)[1]
    first = step - (step - start) % phase.steps_per_pool
    return phase.sizes[int(np.random.default_rng([config.seed, first, 2]).integers(0, len(phase.sizes)))]


def _mean(figures: list[dict[str, float]]) -> dict[str, float]:
    names = sorted({name for line in figures for name in line})
    return {name: float(np.mean([line[name] for line in figures if name in line])) for name in names}
