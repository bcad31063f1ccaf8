"""A small trainer of Gaussian splats in plain torch: the yardstick for seeds and poses, on a CPU or a GPU.

The recipe of 3DGS (Kerbl et al. 2023) cut to hundreds of steps: a fixed number of Gaussians, started from seed points;
Adam with a rate for each kind of parameter, all decaying; L1 and SSIM; one image a step. In place of densification,
invisible Gaussians move to visible ones, as in 3DGS-MCMC. Pictures come from `gaussians.rasterise`, the torch
reference on a CPU and gsplat on a GPU. It is far from the best that splats can do and equally far for every input.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from ...arrays import Bytes, Float
from ...gaussians import PinholeView, Splats, rasterise
from .image_quality import ssim
from .splat_relocation import copies_of, shared_opacity

__all__ = ["TargetView", "TrainedSplats", "TrainerOptions", "train_splats"]


_BAND_ZERO = 0.28209479177387814
_RATES = {"means": 5e-3, "log_scales": 4e-2, "rotations": 2e-2, "colours": 4e-2, "bands": 4e-3, "logits": 8e-2}
_LAST_RATE = {"means": 0.01}  # of the first, at the end; of the others:
_LAST_RATE_OF_OTHERS = 0.1
_FIRST_OPACITY = 0.5
_FIRST_SIZE = 0.6  # of the way to the neighbours: whole ways overlap so much that steps take longer and learn less
_LEAST_OPACITY = 0.02
_RELOCATE_EVERY, _RELOCATE_UNTIL = 50, 0.7  # steps; share of the training
_OPACITY_WEIGHT = 1e-2


@dataclass(frozen=True)
class TargetView:
    """A photograph (H, W, 3) float32 in 0..1 and the pinhole camera that took it."""

    photograph: Tensor
    view: PinholeView


@dataclass(frozen=True)
class TrainerOptions:
    """What is equal for all that is compared. bands: 1, 4, 9 or 16 harmonics a colour."""

    iterations: int = 300
    gaussians: int = 4000
    bands: int = 4
    ssim_share: float = 0.2
    device: str = "cpu"


@dataclass(frozen=True)
class TrainedSplats:
    """splats in the world of the views; losses (iterations,); seconds of training alone, without what `watch` took."""

    splats: Splats
    losses: Float
    seconds: float


@dataclass
class _Parameters:
    """What is optimised, one row a Gaussian."""

    means: Tensor
    log_scales: Tensor
    rotations: Tensor
    colours: Tensor
    bands: Tensor
    logits: Tensor
    names: tuple[str, ...] = field(default=tuple(_RATES), init=False)

    def splats(self) -> Splats:
        harmonics = torch.cat([self.colours[:, :, None], self.bands], dim=2)
        return Splats(self.means, self.log_scales.exp(), self.rotations, harmonics, self.logits.sigmoid())


def train_splats(
    views: Sequence[TargetView],
    points: Float,
    colours: Bytes,
    options: TrainerOptions,
    seed: int,
    watch: Callable[[int, float, Splats], None] | None = None,
) -> TrainedSplats:
    """Train on the views from seed points (P, 3) and their colours (P, 3).

    `seed` draws the points to start from and the order of images. `watch(iterations, seconds, splats)` is called after
    every step. The scene is scaled so that its cameras lie within one unit, as 3DGS scales its rates. Raises ValueError
    without views or with fewer than two points.
    """
    if not views or len(points) < 2:
        raise ValueError("training needs views and two seed points")
    generator = torch.Generator().manual_seed(seed)
    centre, scale = _extent(views)
    targets = [_normalised(view, centre, scale, options.device) for view in views]
    parameters = _start((points - centre) / scale, colours, options, np.random.default_rng(seed))
    optimiser = torch.optim.Adam(
        [{"params": [getattr(parameters, name)], "lr": rate, "name": name} for name, rate in _RATES.items()], eps=1e-15
    )
    losses, order, seconds = [], list[int](), 0.0
    for step in range(options.iterations):
        started_s = time.perf_counter()
        order = order or torch.randperm(len(targets), generator=generator).tolist()
        losses.append(_step(parameters, optimiser, targets[order.pop()], options, step))
        if (step + 1) % _RELOCATE_EVERY == 0 and step < _RELOCATE_UNTIL * options.iterations:
            _relocate(parameters, optimiser, generator)
        seconds += time.perf_counter() - started_s
        if watch is not None:
            watch(step + 1, seconds, _in_world(parameters, centre, scale))
    return TrainedSplats(_in_world(parameters, centre, scale), np.array(losses), seconds)


def _step(
    parameters: _Parameters, optimiser: torch.optim.Adam, target: TargetView, options: TrainerOptions, step: int
) -> float:
    done = step / options.iterations
    for group in optimiser.param_groups:
        group["lr"] = _RATES[group["name"]] * _LAST_RATE.get(group["name"], _LAST_RATE_OF_OTHERS) ** done
    splats = parameters.splats()
    picture = rasterise(splats, target.view).image
    difference = (picture - target.photograph).abs().mean()
    unlike = 1 - ssim(picture, target.photograph)
    loss = (1 - options.ssim_share) * difference + options.ssim_share * unlike
    regular = _OPACITY_WEIGHT * splats.opacities.mean()
    optimiser.zero_grad(set_to_none=True)
    (loss + regular).backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return float(loss.detach())


@torch.no_grad()
def _relocate(parameters: _Parameters, optimiser: torch.optim.Adam, generator: torch.Generator) -> None:
    """Invisible Gaussians become copies of visible ones, which together look as before; Adam forgets all of them."""
    opacities = parameters.logits.sigmoid()
    moved, places, count = copies_of(opacities, _LEAST_OPACITY, generator)
    if not len(moved):
        return
    each, shrink = shared_opacity(opacities[places], count)
    parameters.logits[places] = torch.logit(each.clamp(_LEAST_OPACITY, 1 - 1e-4))
    parameters.log_scales[places] += torch.log(shrink)[:, None]
    for name in parameters.names:
        value = getattr(parameters, name)
        value[moved] = value[places]
        for moment in ("exp_avg", "exp_avg_sq"):
            optimiser.state[value][moment][torch.cat([moved, places])] = 0


def _start(points: Float, colours: Bytes, options: TrainerOptions, rng: np.random.Generator) -> _Parameters:
    """Gaussians at points drawn from the seeds, over half as large as the way to their neighbours.

    Where seeds are too few, all are taken and then drawn again, beside their places by half of their size.
    """
    fresh = rng.permutation(len(points))[: options.gaussians]
    again = rng.integers(len(points), size=options.gaussians - len(fresh))
    chosen = np.concatenate([fresh, again])
    sizes = np.zeros(len(points))
    sizes[fresh] = _FIRST_SIZE * _spacing(points[fresh])
    sizes = sizes[chosen]
    beside = rng.normal(size=(len(again), 3)) * 0.5 * sizes[len(fresh) :, None]
    places = points[chosen] + np.concatenate([np.zeros((len(fresh), 3)), beside])
    shades = (colours[chosen] / 255 - 0.5) / _BAND_ZERO
    rotations = np.tile([1.0, 0, 0, 0], (len(chosen), 1))
    logits = np.full(len(chosen), np.log(_FIRST_OPACITY / (1 - _FIRST_OPACITY)))
    arrays = (
        *(places, np.log(sizes)[:, None].repeat(3, axis=1), rotations, shades),
        *(np.zeros((len(chosen), 3, options.bands - 1)), logits),
    )
    tensors = (torch.as_tensor(array, dtype=torch.float32, device=options.device) for array in arrays)
    return _Parameters(*(tensor.requires_grad_() for tensor in tensors))


def _spacing(points: Float) -> Float:
    """(n,) mean distance to the three nearest others; not beyond ten times the median, where a point stands alone."""
    count = min(4, len(points))
    distances = cKDTree(points).query(points, k=count)[0][:, 1:].mean(axis=1)
    median = max(float(np.median(distances)), 1e-9)
    return np.clip(distances, 0.01 * median, 10 * median)


def _extent(views: Sequence[TargetView]) -> tuple[Float, float]:
    """Mean of the camera centres, and 1.1 times the distance of the farthest: the extent of 3DGS."""
    poses = np.array([view.view.cam_from_world.cpu().numpy() for view in views], np.float64)
    centres = -np.einsum("nji,nj->ni", poses[:, :, :3], poses[:, :, 3])
    middle = centres.mean(axis=0)
    farthest = float(np.linalg.norm(centres - middle, axis=1).max())
    return middle, 1.1 * farthest if farthest > 0 else 1.0


def _normalised(target: TargetView, centre: Float, scale: float, device: str) -> TargetView:
    """The same view of the world moved by -centre and divided by scale."""
    view = target.view
    pose = view.cam_from_world.double().cpu()
    moved = (pose[:, :3] @ torch.as_tensor(centre) + pose[:, 3]) / scale
    pose = torch.cat([pose[:, :3], moved[:, None]], dim=1).float().to(device)
    return TargetView(
        target.photograph.to(device),
        PinholeView(pose, view.focal_px, view.centre_px, view.width, view.height),
    )


def _in_world(parameters: _Parameters, centre: Float, scale: float) -> Splats:
    with torch.no_grad():
        splats = parameters.splats()
        means = splats.means * scale + torch.as_tensor(centre, dtype=torch.float32, device=splats.means.device)
        return Splats(means, splats.scales * scale, splats.rotations, splats.harmonics, splats.opacities)
