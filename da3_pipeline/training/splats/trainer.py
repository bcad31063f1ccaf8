"""The trainer of the Gaussian head: pictures of the context's and of other views, against what was photographed there.

The backbone, its depth and its cameras stay. Gaussians are placed with the true cameras, and with the network's depth
brought to the truth's units by one factor a set: so the head learns what it is to be asked for when cameras are known,
and, as its input does not tell whether they are, when they are not.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ...errors import UsageError
from ...gaussians.rendering import rasterise
from ...gaussians.splats import PinholeView, Splats
from ...model import DepthAnything3, any_view, build, load, normalise_poses
from ...model.config import PATCH
from ...model.gaussian_adapter import place_gaussians
from ..export import averaged_network
from ..loop.contract import OPEN_SITTING, Findings, Place, Sitting
from ..loop.run import run
from ..run_files import load_textures
from ..samples import Batch, ScenePool, normalise_images, render_scenes
from ..sources.mixture import draw_pool, open_sources
from ..synthetic.scenes import HELD_OUT_SEED
from .config import GaussianConfig
from .perceptual import perceptual_distance

__all__ = ["GaussianTask", "gaussian_renderings", "train_gaussians"]

_BETAS = (0.9, 0.98)


def train_gaussians(config: GaussianConfig, folder: Path, sitting: Sitting = OPEN_SITTING) -> None:
    """Train, or go on training, in `folder`.

    Raises UsageError without a source or when the folder holds a run of another configuration.
    """
    if not config.source:
        raise UsageError("Gaussians are trained on a backbone: give --source NAME, FILE or RUN")
    model = replace(_source(config.source).config, gaussian_head=True)
    run(GaussianTask, config.model_copy(update={"model": model}), folder, sitting)


def gaussian_renderings(
    net: DepthAnything3, batch: Batch, context: int, conditioned: bool, bf16: bool = False
) -> tuple[Tensor, Tensor]:
    """Pictures (B, S, 3, H, W) of all views from the Gaussians of the first `context` ones, and how far depth was
    scaled (B,). Gradients reach the Gaussian head alone; sets need some true depth."""
    head, size = net.gs_head, batch.size
    assert head is not None
    grid, aspect = (size[0] // PATCH, size[1] // PATCH), size[1] / size[0]
    images = normalise_images(batch.images[:, :context])
    poses, K, truth = (part[:, :context] for part in (batch.cam_from_world, batch.K, batch.depth))
    with torch.no_grad(), torch.autocast(images.device.type, torch.bfloat16, bf16):
        tokens = net.cam_enc(normalise_poses(poses), K, size) if conditioned else None
        seen = net.trunk(images, tokens, "first")
        taps = [tap.flatten(0, 1).float() for tap in seen.patches]
        depth = net.head(taps, grid, size)[0].float().unflatten(0, images.shape[:2])
        ratio = torch.where(truth > 0, truth / depth.clamp_min(1e-6), torch.nan)
        scale = ratio.flatten(1).nanmedian(1).values.nan_to_num(1.0)
        depth = depth * scale[:, None, None, None]
    reduced = [head.reduced(level, tap, grid, aspect) for level, tap in enumerate(taps)]
    raw, opacity = head.decode(reduced, images.flatten(0, 1))
    placed = place_gaussians(raw, opacity, depth.flatten(0, 1), poses.flatten(0, 1), K.flatten(0, 1), True)
    clouds = [torch.unflatten(part, 0, (len(images), context)).flatten(1, 2) for part in placed]
    pictures = [
        torch.stack([_picture(Splats(*(part[b] for part in clouds)), batch, b, v) for v in range(batch.K.shape[1])])
        for b in range(len(images))
    ]
    return torch.stack(pictures), scale


def _picture(splats: Splats, batch: Batch, index: int, view: int) -> Tensor:
    K = batch.K[index, view]
    focal, centre = (float(K[0, 0]), float(K[1, 1])), (float(K[0, 2]), float(K[1, 2]))
    camera = PinholeView(batch.cam_from_world[index, view], focal, centre, batch.size[1], batch.size[0])
    return rasterise(splats, camera).image.movedim(-1, 0)


class _Objective(nn.Module):
    def __init__(self, net: DepthAnything3, config: GaussianConfig, device: torch.device) -> None:
        super().__init__()
        self.net, self.config = net, config
        self.perceptual = perceptual_distance(device) if config.lpips > 0 else None

    def forward(self, images: Tensor, batch: Batch, context: int, known: bool) -> tuple[Tensor, dict[str, float]]:
        found, _ = gaussian_renderings(self.net, batch, context, known, self.config.bf16)
        wanted = batch.images.float() / 255
        losses = {"mse": (found - wanted).square().mean()}
        if self.perceptual is not None:
            losses["lpips"] = self.config.lpips * self.perceptual(found.flatten(0, 1), wanted.flatten(0, 1))
        total = torch.stack(list(losses.values())).sum()
        return total, {"loss": float(total.detach()), **{name: float(v.detach()) for name, v in losses.items()}}


class GaussianTask:
    """The head in one process; see `loop.contract.Task`."""

    def __init__(self, config: GaussianConfig, folder: Path, sitting: Sitting, place: Place, fresh: bool) -> None:
        self.config, self.device = config, place.device
        self.atlas, self.data = load_textures(folder), open_sources(config.data)
        self.net = self._network(fresh)
        self.objective: nn.Module = _Objective(self.net, config, place.device)
        trained = [p for p in self.net.parameters() if p.requires_grad]
        self.optimisers: list[Optimizer] = [
            torch.optim.AdamW(trained, lr=config.learning_rate, betas=_BETAS, weight_decay=config.weight_decay)
        ]
        self._pools: dict[int, tuple[int, ScenePool]] = {}
        self.held_out = self._held_out() if place.rank == 0 and config.held_out_scenes else None

    def begin(self, step: int, average: nn.Module) -> None:
        """Nothing but the learning rates changes."""

    def draw(self, step: int, shard: int) -> tuple[Tensor, Batch, int, bool]:
        config = self.config
        shared = np.random.default_rng([config.seed, step])
        context, known = int(shared.choice(config.context)), bool(shared.random() < config.pose_conditioning)
        rng = np.random.default_rng([config.seed, step, shard])
        batch = self._pool(step, shard).draw(rng, config.batch, context + config.targets)
        batch = Batch(**{name: value.to(self.device) for name, value in vars(batch).items()})
        return batch.images, batch, context, known

    def update(self, step: int) -> None:
        self.optimisers[0].step()

    @torch.no_grad()
    def evaluate(self, average: nn.Module, samples: int) -> Findings:
        """PSNR in dB of held-out scenes, of the context's views and of others; the pictures beside the truth."""
        if self.held_out is None:
            return Findings({}, {})
        context, net = self.config.context[0], cast(DepthAnything3, average)
        each = [
            (part, gaussian_renderings(net, part, context, True)[0].clamp(0, 1))
            for part in (self.held_out.select(torch.tensor([i]), self._views()) for i in range(len(self.held_out.K)))
        ]
        errors = torch.cat([(found - part.images.float() / 255).square().mean((2, 3, 4)) for part, found in each])
        decibels = -10 * errors.clamp_min(1e-10).log10()
        figures = {
            "psnr_context_db": float(decibels[:, :context].mean()),
            "psnr_db": float(decibels[:, context:].mean()),
        }
        rows = [torch.cat([part.images[0, -1].float() / 255, found[0, -1]], -1).cpu() for part, found in each[:4]]
        return Findings(figures, {"photograph_rendering": torch.cat(rows, -2)})

    def beside(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing beside the network."""

    def _views(self) -> Tensor:
        return torch.arange(self.config.context[0] + self.config.targets)[None]

    def _held_out(self) -> Batch:
        """Views as they were rendered: a photograph's noise is nothing that Gaussians should know."""
        seeds = range(HELD_OUT_SEED, HELD_OUT_SEED + self.config.held_out_scenes)
        views = self.config.context[0] + self.config.targets
        drawn = render_scenes(list(seeds), self.atlas, views, self.config.sizes[0])
        return Batch(**{name: value.to(self.device) for name, value in vars(drawn).items()})

    def _pool(self, step: int, shard: int) -> ScenePool:
        config, first = self.config, step - step % self.config.steps_per_pool
        begun, pool = self._pools.get(shard, (-1, None))
        if pool is None or begun != first:
            size = config.sizes[int(np.random.default_rng([config.seed, first]).integers(0, len(config.sizes)))]
            rng, views = np.random.default_rng([config.seed, first, shard, 1]), max(config.context) + config.targets
            pool = ScenePool(draw_pool(rng, self.atlas, self.data, config.data_share, config.pool_scenes, views, size))
            self._pools[shard] = first, pool
        return pool

    def _network(self, fresh: bool) -> DepthAnything3:
        assert self.config.model is not None, "set when the run begins"
        net = any_view(build(self.config.model, generator=torch.Generator().manual_seed(self.config.seed)))
        if fresh:
            net.load_state_dict(_source(self.config.source).state_dict(), strict=False)
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(name.startswith("gs_head."))
        return net.to(self.device).train()


def _source(text: str) -> DepthAnything3:
    return averaged_network(Path(text)) if Path(text).is_dir() else any_view(load(text))
