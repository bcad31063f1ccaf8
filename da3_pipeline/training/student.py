"""The student's trainer: everything of it that the shared loop does not know."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..model import DepthAnything3, any_view, build, load
from .config import LossConfig, Phase, StudentConfig
from .evaluation.watch import Watch
from .export import averaged_network
from .leak import apply_fold, make_leaky, mostly_negative, set_leak
from .loop.contract import OPEN_SITTING, Findings, Place, Sitting
from .loop.run import run
from .optimisers import make_camera_optimiser, make_optimisers
from .pretrained.adaptation import adapt, freeze, load_trunk
from .pretrained.sources import pretrained_trunk
from .probe import Probes
from .run_files import load_textures
from .samples import Batch, ScenePool, normalise_images, render_scenes, spoilt
from .sources.mixture import draw_pool, open_sources
from .step import StepOptions, student_loss
from .teacher.labels import Teacher
from .warm_start import warm_start

__all__ = ["Sitting", "fine_tuned", "train"]

_SAMPLE_SCENES = 32


def train(config: StudentConfig, folder: Path, sitting: Sitting = OPEN_SITTING) -> None:
    """Train, or go on training, in `folder`; `run_files` says what is found there.

    Raises UsageError when the folder holds a run of another configuration.
    """
    run(StudentTask, config, folder, sitting)


class _Objective(nn.Module):
    """The student and its probes, to their loss."""

    def __init__(self, net: DepthAnything3, probes: Probes, weights: LossConfig) -> None:
        super().__init__()
        self.net, self.probes, self.weights = net, probes, weights

    def forward(self, images: Tensor, batch: Batch, options: StepOptions) -> tuple[Tensor, dict[str, float]]:
        return student_loss(self.net, self.probes, batch, self.weights, options)


class StudentTask:
    """The student in one process; see `loop.contract.Task`."""

    def __init__(self, config: StudentConfig, folder: Path, sitting: Sitting, place: Place, fresh: bool) -> None:
        self.config, self.device = config, place.device
        self.atlas = load_textures(folder)
        self.data = open_sources(config.data)
        self.teacher = Teacher.from_source(config.teacher, place.device) if config.teacher else None
        self.net = self._network(fresh)
        self.probes = Probes(config.model).to(self.device)
        self.objective: nn.Module = _Objective(self.net, self.probes, config.losses)
        self.optimisers: list[Optimizer] = make_optimisers(self.net, self.probes, config)
        self.camera_optimiser = make_camera_optimiser(self.net, config)
        self.watch = Watch(config, folder, sitting.captures, place.rank)
        self._pools: dict[int, tuple[int, ScenePool]] = {}

    def begin(self, step: int, average: nn.Module) -> None:
        config = self.config
        if step == config.camera_leak_until and config.camera_leak > 0:
            self._fold_leak(cast(DepthAnything3, cast(Any, average).module))
        set_leak(self.net, config.leak(step))
        set_leak(average, config.leak(step))
        for group in self.camera_optimiser.param_groups:
            group["lr"] = config.rate(step) * config.camera_rate

    def draw(self, step: int, shard: int) -> tuple[Tensor, Batch, StepOptions]:
        config = self.config
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
        rng = np.random.default_rng([config.seed, step, shard])
        batch = self._pool(step, shard).draw(rng, phase.batch(views, size), views)
        batch = Batch(**{name: value.to(self.device) for name, value in vars(batch).items()})
        if shared.random() < config.turned:
            batch = batch.turned(int(shared.choice((1, 3))))
        if config.label_noise > 0:
            batch = replace(batch, depth=spoilt(batch.depth, config.label_noise, _generator(config, step, shard)))
        if self.teacher is not None and step >= config.teacher_from:
            batch = self.teacher.relabelled(batch, _generator(config, step, shard))
        return batch.images, batch, options

    def update(self, step: int) -> None:
        """One step of every optimiser; once the leak is folded the camera decoder has one of its own."""
        if self.config.camera_leak > 0 and step >= self.config.camera_leak_until:
            self.camera_optimiser.step()
            self.camera_optimiser.zero_grad(set_to_none=True)  # without gradients the others leave it alone
        for optimiser in self.optimisers:
            optimiser.step()

    def evaluate(self, average: nn.Module, samples: int) -> Findings:
        net = cast(DepthAnything3, average)
        return Findings(self.watch.look(net, samples), self.watch.pictures(net))

    def beside(self) -> dict[str, Any]:
        return {"probes": self.probes.state_dict(), "camera_optimiser": self.camera_optimiser.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        self.probes.load_state_dict(state["probes"])
        self.camera_optimiser.load_state_dict(state["camera_optimiser"])

    def _pool(self, step: int, shard: int) -> ScenePool:
        """A shard's pool of the round that a step belongs to."""
        phase, start = self.config.phase(step)
        first = step - (step - start) % phase.steps_per_pool
        begun, pool = self._pools.get(shard, (-1, None))
        if pool is None or begun != first:
            rng = np.random.default_rng([self.config.seed, first, shard, 1])
            size, share = _pool_size(self.config, phase, step), self.config.data_share
            pool = ScenePool(draw_pool(rng, self.atlas, self.data, share, phase.pool_scenes, phase.pool_views, size))
            self._pools[shard] = first, pool
        return pool

    def _fold_leak(self, average: DepthAnything3) -> None:
        """Close the camera decoder's rectifiers, alike in every process."""
        set_leak(self.net, self.config.camera_leak)  # a run that is resumed at this step has set none yet
        with torch.no_grad():
            tokens = self.net.trunk(self._sample_pairs(), None, "first").camera[-1]
        flips = mostly_negative(self.net, tokens)
        for net in (self.net, average):
            apply_fold(net, flips, self.config.camera_leak)

    def _sample_pairs(self) -> Tensor:
        """(B, 2, 3, H, W) input of the network, the same in every process."""
        scenes = render_scenes(range(_SAMPLE_SCENES), self.atlas, 2, self.config.phases[0].sizes[0])
        return normalise_images(scenes.images).to(self.device)

    def _network(self, fresh: bool) -> DepthAnything3:
        """With the weights that training starts from, if fresh; alike in every process."""
        config, generator = self.config, torch.Generator().manual_seed(self.config.seed)
        net = any_view(build(config.model, generator=generator))
        if fresh and config.start:
            net.load_state_dict(_without_gaussians(_start(config.start)))
        elif fresh and config.trunk:
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


def _start(text: str) -> DepthAnything3:
    return averaged_network(Path(text)) if Path(text).is_dir() else any_view(load(text))


def _without_gaussians(net: DepthAnything3) -> dict[str, Tensor]:
    return {name: value for name, value in net.state_dict().items() if not name.startswith("gs_head.")}


def fine_tuned(config: StudentConfig, start: str) -> StudentConfig:
    """The run that trains the network `start` further: its shape, its weights, and no scaffold for fresh ones."""
    model = replace(_start(start).config, gaussian_head=False)
    off = {"trunk": "", "warm_start": False, "camera_leak": 0.0}
    return config.model_copy(update={"model": model, "start": start, **off})


def _generator(config: StudentConfig, step: int, shard: int) -> torch.Generator:
    seed = int(np.random.default_rng([config.seed, step, shard, 3]).integers(0, 2**62))
    return torch.Generator().manual_seed(seed)


def _pool_size(config: StudentConfig, phase: Phase, step: int) -> tuple[int, int]:
    start = config.phase(step)[1]
    first = step - (step - start) % phase.steps_per_pool
    return phase.sizes[int(np.random.default_rng([config.seed, first, 2]).integers(0, len(phase.sizes)))]
