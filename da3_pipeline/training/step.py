"""One forward pass of the student and its loss."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..model import DepthAnything3, normalise_poses, record_attention
from ..model.config import PATCH
from .config import LossConfig
from .correspondence import attention_hit_rate, correspondence_loss, correspondences
from .losses import Targets, camera_loss, confident_l1, gradient_loss, make_targets, point_loss, ray_loss
from .probe import Probes
from .samples import Batch, normalise_images

__all__ = ["StepOptions", "student_loss"]


@dataclass(frozen=True)
class StepOptions:
    """What changes from step to step."""

    correspondence: float
    probed: bool
    dense_share: float
    conditioned: bool
    bf16: bool


def student_loss(
    net: DepthAnything3, probes: Probes, batch: Batch, weights: LossConfig, options: StepOptions
) -> tuple[Tensor, dict[str, float]]:
    """The weighted sum of the losses on a batch, and their values by name.

    View 0 is the reference. The dense head sees the first `dense_share` of the samples.
    """
    size = batch.size
    grid = (size[0] // PATCH, size[1] // PATCH)
    images = normalise_images(batch.images)
    tokens = None
    if options.conditioned:
        tokens = net.cam_enc(normalise_poses(batch.cam_from_world), batch.K, size)
    layers = net.config.global_layers[:-1] if options.correspondence > 0 else ()
    # on a CPU the fused kernel's backward pass in bfloat16 is slower than plain matrix products
    kernel = sdpa_kernel(SDPBackend.MATH) if options.bf16 and images.device.type == "cpu" else nullcontext()
    autocast = torch.autocast(images.device.type, torch.bfloat16, options.bf16)
    with kernel, record_attention(net, layers) as attention, autocast:
        seen = net.trunk(images, tokens, "first")
    encoding = net.cam_dec(seen.camera[-1].float())
    dense = max(1, round(options.dense_share * len(images)))
    with torch.autocast(images.device.type, torch.bfloat16, options.bf16):
        maps = net.head([tap[:dense].flatten(0, 1).float() for tap in seen.patches], grid, size)
    depth, confidence, ray, _ = (output.unflatten(0, (dense, -1)) for output in maps)
    targets = make_targets(
        batch.depth, batch.cam_from_world, batch.K, seen.reference_view, (ray.shape[2], ray.shape[3])
    )
    losses = _dense_losses(depth, confidence, ray, _first(targets, dense), weights)
    losses["camera"] = weights.camera * camera_loss(
        encoding, targets.encoding, seen.reference_view, weights.reference_camera, weights.huber
    )
    figures = {}
    truth = correspondences(batch.depth, batch.cam_from_world, batch.K)
    if options.probed:
        coarse = make_targets(batch.depth, batch.cam_from_world, batch.K, seen.reference_view, grid)
        losses["probe"] = weights.probe * probes(seen, coarse, truth, weights.huber)
    if layers:
        found = [correspondence_loss(*attention[layer], truth, grid) for layer in layers]
        losses["correspondence"] = options.correspondence * torch.stack(found).mean()
        with torch.no_grad():
            figures["hits"] = float(attention_hit_rate(*attention[layers[-1]], truth, grid))
    total = torch.stack(list(losses.values())).sum()
    figures |= {name: float(value.detach()) for name, value in losses.items()}
    return total, {"loss": float(total.detach()), **figures}


def _dense_losses(
    depth: Tensor, confidence: Tensor, ray: Tensor, targets: Targets, weights: LossConfig
) -> dict[str, Tensor]:
    valid = targets.depth > 0
    return {
        "depth": weights.depth * confident_l1(depth, targets.depth, confidence, valid, weights.log_confidence),
        "gradient": weights.depth_gradient * gradient_loss(depth, targets.depth, valid),
        "ray": weights.ray * ray_loss(ray, targets.ray),
        "point": weights.point * point_loss(depth, ray, targets),
    }


def _first(targets: Targets, count: int) -> Targets:
    return Targets(**{name: value[:count] for name, value in vars(targets).items()})
