"""The student's trainer: one or several processes that average their gradients.

Everything random is drawn from (seed, step, process), so that a run that is killed and resumed from its last
checkpoint goes on exactly as if nothing had happened.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, multiprocessing, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..errors import UsageError
from ..model import DepthAnything3, any_view, build
from .config import Phase, StudentConfig
from .evaluate import evaluate_pairs, held_out_views
from .leak import apply_fold, make_leaky, mostly_negative, set_leak
from .optimisers import make_camera_optimiser, make_optimisers, set_rate
from .probe import Probes
from .samples import Batch, ScenePool, normalise_images, render_scenes
from .step import StepOptions, student_loss
from .synthetic.atlas import build_atlas
from .synthetic.photographs import find_photographs
from .synthetic.scenes import HELD_OUT_SEED
from .warm_start import warm_start

__all__ = ["CHECKPOINT", "CONFIG", "LOG", "train"]

CHECKPOINT = "checkpoint.pt"
CONFIG = "config.json"
LOG = "log.jsonl"
_LOG_EVERY = 20
_SAMPLE_SCENES = 32
_PATIENCE = timedelta(days=1)


def train(config: StudentConfig, folder: Path) -> None:
    """Train, or go on training, in `folder`: checkpoint.pt and log.jsonl are written there.

    Raises UsageError when the folder holds a run of another configuration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    described = folder / CONFIG
    wanted = config.model_dump_json(indent=1)
    if described.exists() and (folder / CHECKPOINT).exists() and not _same_run(described.read_text(), wanted):
        raise UsageError(f"{folder} holds a run of another configuration: choose another folder")
    described.write_text(wanted)
    if config.processes == 1:
        _work(0, config, folder, "")
        return
    meeting = f"file://{(folder / 'meeting').absolute()}"
    (folder / "meeting").unlink(missing_ok=True)
    multiprocessing.spawn(_work, (config, folder, meeting), nprocs=config.processes)  # type: ignore[attr-defined, no-untyped-call]


def _same_run(old: str, new: str) -> bool:
    """Equal but for the schedule's length, which may be extended."""
    a, b = (json.loads(text) for text in (old, new))
    free = ("phases", "decay_from", "losses", "evaluate_every", "checkpoint_every")
    return all(a[key] == b[key] for key in a if key not in free)


def _work(rank: int, config: StudentConfig, folder: Path, meeting: str) -> None:
    torch.set_num_threads(1 if config.processes > 1 else torch.get_num_threads())
    if config.processes > 1:
        dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=config.processes, timeout=_PATIENCE)
    try:
        _Run(rank, config, folder).work()
    finally:
        if config.processes > 1:
            dist.destroy_process_group()


class _Run:
    """The state of one process."""

    def __init__(self, rank: int, config: StudentConfig, folder: Path) -> None:
        self.rank, self.config, self.folder = rank, config, folder
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        photographs = find_photographs() if config.photographic_textures else ()
        self.atlas = build_atlas(config.seed, config.procedural_textures, config.photographic_textures, photographs)
        self.net = self._fresh_network()
        self.probes = Probes(config.model).to(self.device)
        self.trained = [p for p in (*self.net.parameters(), *self.probes.parameters()) if p.requires_grad]
        self.optimisers = make_optimisers(self.net, self.probes, config)
        self.camera_optimiser = make_camera_optimiser(self.net, config)
        average = get_ema_multi_avg_fn(config.ema_decay)  # type: ignore[no-untyped-call]
        self.ema = AveragedModel(self.net, multi_avg_fn=average)
        self.step = self.samples = 0
        if (folder / CHECKPOINT).exists():
            self._restore()
        self.held_out = held_out_views(config.held_out_scenes) if rank == 0 and config.held_out_scenes else None

    def work(self) -> None:
        pool, since, figures = self._pool(self.step), time.monotonic(), []
        while self.step < self.config.steps:
            if self._pool_starts(self.step):
                pool = self._pool(self.step)
            figures.append(self._train_step(pool))
            self.step += 1
            if self.step % _LOG_EVERY == 0:
                now = time.monotonic()
                self._report({**_mean(figures), "rate": self.config.rate(self.step), "seconds": now - since})
                since, figures = now, []
            if self.step % self.config.evaluate_every == 0 and self.held_out is not None:
                found = evaluate_pairs(cast(DepthAnything3, self.ema.module), self.held_out)
                self._report({f"{who}_{what}": v for who, f in found.items() for what, v in asdict(f).items()})
            if self.step % self.config.checkpoint_every == 0 or self.step == self.config.steps:
                self._save()

    def _train_step(self, pool: ScenePool) -> dict[str, float]:
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
        self._average_gradients()
        nn.utils.clip_grad_norm_(self.trained, config.clip_norm)
        self._update()
        self.ema.update_parameters(self.net)
        self.samples += len(batch.images) * config.processes
        return figures

    def _update(self) -> None:
        """One step of every optimiser; once the leak is folded the camera decoder has one of its own."""
        if self.config.camera_leak > 0 and self.step >= self.config.camera_leak_until:
            self.camera_optimiser.step()
            self.camera_optimiser.zero_grad(set_to_none=True)  # without gradients the others leave it alone
        for optimiser in self.optimisers:
            optimiser.step()

    def _average_gradients(self) -> None:
        if self.config.processes == 1:
            return
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.trained]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.config.processes
        for parameter, gradient in zip(self.trained, torch.split(flat, [p.numel() for p in self.trained]), strict=True):
            parameter.grad = gradient.view_as(parameter)

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
        with torch.no_grad():
            pairs = torch.unflatten(self._sample_images(), 0, (-1, 2))
            tokens = self.net.trunk(pairs, None, "first").camera[-1]
        flips = mostly_negative(self.net, tokens)
        for net in (self.net, cast(DepthAnything3, self.ema.module)):
            apply_fold(net, flips, self.config.camera_leak)

    def _sample_images(self) -> Tensor:
        """(N, 3, H, W) input of the network, the same in every process; pairs of views one after the other."""
        scenes = render_scenes(range(_SAMPLE_SCENES), self.atlas, 2, self.config.phases[0].sizes[0])
        return normalise_images(scenes.images.flatten(0, 1)).to(self.device)

    def _fresh_network(self) -> DepthAnything3:
        generator = torch.Generator().manual_seed(self.config.seed)
        net = any_view(build(self.config.model, generator=generator))
        if self.config.warm_start:
            warm_start(net, self._sample_images().cpu(), generator)
        if self.config.camera_leak > 0:
            make_leaky(net)
        return net.to(self.device).train()

    def _report(self, figures: dict[str, float]) -> None:
        if self.rank == 0:
            line: dict[str, Any] = {"step": self.step, "samples": self.samples, **figures}
            with (self.folder / LOG).open("a") as log:
                log.write(json.dumps({k: round(v, 5) if isinstance(v, float) else v for k, v in line.items()}) + "\n")

    def _save(self) -> None:
        if self.rank != 0:
            return
        state = {
            "step": self.step,
            "samples": self.samples,
            "net": self.net.state_dict(),
            "ema": self.ema.state_dict(),
            "probes": self.probes.state_dict(),
            "camera_optimiser": self.camera_optimiser.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
        }
        partial = self.folder / (CHECKPOINT + ".partial")
        torch.save(state, partial)
        partial.replace(self.folder / CHECKPOINT)

    def _restore(self) -> None:
        state = torch.load(self.folder / CHECKPOINT, map_location=self.device, weights_only=True)
        self.step, self.samples = int(state["step"]), int(state["samples"])
        self.net.load_state_dict(state["net"])
        self.ema.load_state_dict(state["ema"])
        self.probes.load_state_dict(state["probes"])
        if "camera_optimiser" in state:
            self.camera_optimiser.load_state_dict(state["camera_optimiser"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)


def _pool_size(config: StudentConfig, phase: Phase, step: int) -> tuple[int, int]:
    start = config.phase(step)[1]
    first = step - (step - start) % phase.steps_per_pool
    return phase.sizes[int(np.random.default_rng([config.seed, first, 2]).integers(0, len(phase.sizes)))]


def _mean(figures: list[dict[str, float]]) -> dict[str, float]:
    names = sorted({name for line in figures for name in line})
    return {name: float(np.mean([line[name] for line in figures if name in line])) for name in names}
