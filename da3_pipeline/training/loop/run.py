"""One loop for all trainers: one process or several under DDP, accumulation, clipping, average, checkpoints, figures.

A step's batch is made of `processes * accumulate` shards, each drawn from (seed, step, shard). So two processes take
the steps that one process takes with twice the accumulation, and a run that is killed and resumed from its last
checkpoint goes on exactly as if nothing had happened.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.optim.swa_utils import AveragedModel

from ...errors import MissingExtraError
from ...settings import Settings
from ..run_files import append_to_log, claim, load_state, save_state, save_textures
from .contract import OPEN_SITTING, LoopConfig, Place, Sitting, TaskKind
from .tensorboard import Board

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["run"]

_LOG_EVERY = 20
_PATIENCE = timedelta(days=1)


def run(kind: TaskKind, config: Settings, folder: Path, sitting: Sitting = OPEN_SITTING) -> None:
    """Train, or go on training, in `folder`; `run_files` says what is found there.

    config: also a `LoopConfig`. Under torchrun its processes are used as they are. Raises UsageError when the folder
    holds a run of another configuration, MissingExtraError without Lightning Fabric.
    """
    claim(folder, config)
    save_textures(folder, config, sitting.pictures)  # type: ignore[arg-type]
    # bound beforehand: Fabric looks into what it passes on for modules, and refuses frozen dataclasses
    _fabric(config).launch(partial(_work, kind=kind, config=config, folder=folder, sitting=sitting))  # type: ignore[arg-type]


def _fabric(config: LoopConfig) -> Fabric:
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.strategies.ddp import DDPStrategy
    except ImportError as error:
        raise MissingExtraError("training", "train") from error
    if config.processes == 1:
        return Fabric(devices=1)
    # what a step does not reach (the camera encoder without poses) is found anew in each step
    strategy = DDPStrategy(
        start_method="popen" if dist.is_torchelastic_launched() else "spawn",
        process_group_backend=None if torch.cuda.is_available() else "gloo",
        timeout=_PATIENCE,
        find_unused_parameters=True,
    )
    return Fabric(strategy=strategy, devices=config.processes)


def _work(fabric: Fabric, kind: TaskKind, config: LoopConfig, folder: Path, sitting: Sitting) -> None:
    torch.set_num_threads(1 if config.processes > 1 else torch.get_num_threads())
    _Run(fabric, kind, config, folder, sitting).work()


class _Run:
    """The state of one process."""

    def __init__(self, fabric: Fabric, kind: TaskKind, config: LoopConfig, folder: Path, sitting: Sitting) -> None:
        self.fabric, self.config, self.folder, self.sitting = fabric, config, folder, sitting
        place = Place(fabric.global_rank, fabric.world_size, fabric.device)
        state = load_state(folder, place.device)
        self.task = kind(config, folder, sitting, place, state is None)
        self.trained = [p for p in self.task.objective.parameters() if p.requires_grad]
        self.objective = fabric.setup_module(self.task.objective)
        self.full_rates = [[group["lr"] for group in o.param_groups] for o in self.task.optimisers]
        self.ema = AveragedModel(self.task.net, multi_avg_fn=_moving_average(config.ema_decay))
        self.step = self.samples = 0
        if state is not None:
            self._restore(state)
        self.board = Board(folder, self.step) if sitting.tensorboard and place.rank == 0 else None
        self.left = self.saved = time.monotonic()

    def work(self) -> None:
        since, figures, go_on = time.monotonic(), [], True
        while go_on and self.step < self.config.steps:
            found, go_on = self._train_step()
            figures.append(found)
            self.step += 1
            if self.step % _LOG_EVERY == 0:
                now = time.monotonic()
                share = {"rate": self.config.rate(self.step), "seconds": now - since}
                if self.fabric.global_rank == 0:
                    self._report({**_mean(figures), **share}, "train")
                since, figures = now, []
            if self.step % self.config.evaluate_every == 0:
                found_here = self.task.evaluate(self.ema.module, self.samples)
                self._report(found_here.figures, "validation")
                if self.board is not None:
                    self.board.pictures(found_here.pictures, self.step)
            if self.fabric.global_rank == 0 and (not go_on or self._is_time_to_save()):
                self._save()
        if self.board is not None:
            self.board.close()

    def _train_step(self) -> tuple[dict[str, float], bool]:
        """The figures of one step, and whether there is time for another."""
        config, step, parts = self.config, self.step, self.config.accumulate
        self.task.begin(step, self.ema)
        for optimiser, rates in zip(self.task.optimisers, self.full_rates, strict=True):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = config.rate(step) * rate
            optimiser.zero_grad(set_to_none=True)
        figures, seen = [], 0
        for part in range(parts):
            drawn = self.task.draw(step, part * self.fabric.world_size + self.fabric.global_rank)
            with self.fabric.no_backward_sync(self.objective, enabled=part < parts - 1):
                loss, found = self.objective(*drawn)
                self.fabric.backward(loss / parts)
            figures.append(found)
            seen += len(drawn[0])
        go_on = self._agreed(time.monotonic() - self.left < 60 * self.sitting.max_minutes)
        nn.utils.clip_grad_norm_(self.trained, config.clip_norm)
        self.task.update(step)
        if (step + 1) % config.ema_every == 0:
            self.ema.update_parameters(self.task.net)
        self.samples += seen * self.fabric.world_size
        return _mean(figures), go_on

    def _agreed(self, go_on: bool) -> bool:
        """All processes leave when the first to run out of time wants to."""
        if self.fabric.world_size == 1:
            return go_on
        leaving = torch.tensor(float(not go_on), device=self.fabric.device)
        return float(self.fabric.all_reduce(leaving, reduce_op="sum")) == 0  # type: ignore[arg-type]

    def _report(self, figures: dict[str, float], kind: str) -> None:
        if figures:
            append_to_log(self.folder, {"step": self.step, "samples": self.samples, **figures})
            if self.board is not None:
                self.board.figures(figures, kind, self.step)

    def _is_time_to_save(self) -> bool:
        due = time.monotonic() - self.saved > 60 * self.sitting.save_minutes
        return due or self.step % self.config.checkpoint_every == 0 or self.step == self.config.steps or self._keeps()

    def _keeps(self) -> bool:
        return self.config.keep_every > 0 and self.step % self.config.keep_every == 0

    def _save(self) -> None:
        state = {
            "step": self.step,
            "samples": self.samples,
            "net": self.task.net.state_dict(),
            "ema": self.ema.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.task.optimisers],
            **self.task.beside(),
        }
        save_state(state, self.folder, f"checkpoint-{self.samples:07d}.pt" if self._keeps() else None)
        self.saved = time.monotonic()

    def _restore(self, state: dict[str, Any]) -> None:
        self.step, self.samples = int(state["step"]), int(state["samples"])
        self.task.net.load_state_dict(state["net"])
        self.ema.load_state_dict(state["ema"])
        self.task.restore(state)
        for optimiser, saved in zip(self.task.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)


def _moving_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """Exponential, over a ninth of its own age while it is young, so that it soon forgets the start."""

    @torch.no_grad()
    def average(averaged: Any, current: Any, count: Any) -> None:
        kept = min(decay, (1 + int(count)) / (10 + int(count)))
        torch._foreach_lerp_(list(averaged), list(current), 1 - kept)

    return average


def _mean(figures: list[dict[str, float]]) -> dict[str, float]:
    names = sorted({name for line in figures for name in line})
    return {name: float(np.mean([line[name] for line in figures if name in line])) for name in names}
