"""A network that starts from a DINOv2 trunk: what DINOv2 has not is set so that the first step is no accident.

DINOv2 knows neither normalised queries and keys, nor camera tokens, nor attention across views. Fresh values of these
would blur its attention and drown its features. They start instead from what the trunk itself says of sample images:

    gains of q_norm and k_norm   the spread of queries and keys, times what keeps the logits' spread
    camera tokens                the mean class token before the first block that has them, and a little apart
    head 0 across views          compares contents freed of their place, and copies the place of what it finds
    camera decoder               its input divided by the size of the camera tokens

From these the pose leaves the constant after about 8,000 pairs; from fresh ones it stays there for far longer
(docs/TRAINING.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import WeightsError
from ...model import DepthAnything3
from ...model.config import HEAD_DIM, PATCH
from ...model.layers import Block
from ...model.monocular import MonocularNetwork

__all__ = ["adapt", "freeze", "load_trunk", "tokens_before"]

_FRESH = ("q_norm", "k_norm", "camera_token")
_CYCLES = (0.25, 0.5, 1.0, 1.5)
_WAVES = 4 * len(_CYCLES)
_WHITENING = -0.3
_RIDGE = 1e-3
_PLACE_GAIN = 0.5
_LEAST_SPREAD = 0.02
_LEAST_LAYER_SCALE = 0.05


def load_trunk(net: DepthAnything3 | MonocularNetwork, state: dict[str, Tensor]) -> None:
    """Copy the parameters of a pretrained trunk; a network with fewer blocks takes the first ones.

    Raises WeightsError where they do not fit, or lack more than what DINOv2 has not.
    """
    trunk, wanted = net.trunk, dict(net.trunk.named_parameters())
    usable = {name: value for name, value in state.items() if name in wanted}
    missing = [name for name in wanted if name not in usable and not any(part in name for part in _FRESH)]
    unlike = [name for name, value in usable.items() if value.shape != wanted[name].shape]
    if missing or unlike:
        raise WeightsError(
            f"the pretrained trunk is of another shape than the network ({(missing + unlike)[0]}): "
            f"choose one of width {net.config.embed_dim}"
        )
    trunk.load_state_dict(usable, strict=False)


@torch.no_grad()
def adapt(net: DepthAnything3, images: Tensor, generator: torch.Generator) -> None:
    """Set what DINOv2 has not, from pairs of sample images (B, 2, 3, H, W), normalised as the network's input."""
    trunk, start = net.trunk, net.config.alt_start
    _keep_the_logits(net, images.flatten(0, 1))
    classes = tokens_before(net, images, start)[:, :, 0].flatten(0, 1)
    apart = torch.randn(classes.shape[-1], generator=generator) * classes.std(0).clamp_min(_LEAST_SPREAD)
    trunk.camera_token[0, 0] = classes.mean(0) + apart
    trunk.camera_token[0, 1] = classes.mean(0) - apart
    grid = (images.shape[-2] // PATCH, images.shape[-1] // PATCH)
    for layer in net.config.global_layers:
        _start_matching(trunk.get_submodule(f"blocks.{layer}"), tokens_before(net, images, layer), grid, generator)
    camera = trunk(images, None, "first").camera[-1]
    net.cam_dec.backbone[0].get_parameter("weight").div_(camera.square().mean().sqrt())


def freeze(net: DepthAnything3 | MonocularNetwork, blocks: int) -> None:
    """Keep the embedding and the first blocks as they are; no gradient is computed for them.

    Patches, positions and low-level features are what a short training on synthetic scenes could only spoil.
    """
    kept = ("cls_token", "pos_embed", "patch_embed.", *(f"blocks.{layer}." for layer in range(blocks)))
    for name, parameter in net.trunk.named_parameters():
        if name.startswith(kept):
            parameter.requires_grad_(False)


def tokens_before(net: DepthAnything3, images: Tensor, layer: int) -> Tensor:
    """What enters one block: (B, S, 1 + rows*columns, C) tokens of images (B, S, 3, H, W)."""
    found: list[Tensor] = []
    with _watched(net.trunk.get_submodule(f"blocks.{layer}"), found.append), torch.enable_grad():
        net.trunk(images, None, "first")  # with gradients the trunk calls its blocks whole
    return found[0].detach().reshape(*images.shape[:2], -1, found[0].shape[-1])


@contextmanager
def _watched(block: torch.nn.Module, keep: Callable[[Tensor], object]) -> Iterator[None]:
    def hook(_: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
        keep(inputs[0])

    handle = block.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _keep_the_logits(net: DepthAnything3, images: Tensor) -> None:
    """Gains of q_norm and k_norm from what plain DINOv2 does with the images (N, 3, H, W), block by block."""
    trunk, heads = net.trunk, net.config.heads
    x = tokens_before(net, images[:, None], 0)[:, 0]
    for layer in range(net.config.depth):
        block = trunk.get_submodule(f"blocks.{layer}")
        assert isinstance(block, Block)
        q, k, v = torch.unflatten(block.attn.qkv(block.norm1(x)), -1, (3, heads, HEAD_DIM)).permute(2, 0, 3, 1, 4)
        if block.attn.q_norm is not None and block.attn.k_norm is not None:
            sizes = [_centred_rms(part) for part in (q, k)]
            normed = [F.layer_norm(part, (HEAD_DIM,)) * size for part, size in zip((q, k), sizes, strict=True)]
            gain = (_logit_spread(q, k) / _logit_spread(*normed)).sqrt()
            torch.nn.init.constant_(block.attn.q_norm.weight, float(sizes[0] * gain))
            torch.nn.init.constant_(block.attn.k_norm.weight, float(sizes[1] * gain))
        attended = block.attn.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        x = x + block.ls1(attended)
        x = x + block.ls2(block.mlp(block.norm2(x)))


def _centred_rms(x: Tensor) -> Tensor:
    return (x - x.mean(-1, keepdim=True)).square().mean().sqrt()


def _logit_spread(q: Tensor, k: Tensor) -> Tensor:
    """Root mean square of the attention's logits about the mean of each query."""
    return _centred_rms(q @ k.mT / HEAD_DIM**0.5)


def _start_matching(block: torch.nn.Module, x: Tensor, grid: tuple[int, int], generator: torch.Generator) -> None:
    """Head 0 of a block across views, from the tokens (B, S, t, C) that enter it.

    Queries and keys: partly whitened principal components of the features from which the mean of each place has been
    taken, so that like contents meet wherever they are. Values: the place, told from the features by ridge regression.
    What they write goes along random directions, at half the spread of the stream.
    """
    assert isinstance(block, Block)
    attention, width = block.attn, x.shape[-1]
    features = block.norm1(x)[:, :, 1:].flatten(0, 1).double()
    mean = features.mean((0, 1))
    free = (features - features.mean(0)).flatten(0, 1)
    variance, axes = torch.linalg.eigh(free.T @ free / len(free))
    scaled = axes[:, -HEAD_DIM:] * variance[-HEAD_DIM:].clamp_min(variance[-1] * 1e-6) ** _WHITENING
    turn = torch.linalg.qr(torch.randn(HEAD_DIM, HEAD_DIM, dtype=torch.float64, generator=generator))[0]
    compare = (scaled @ turn).T
    compare = compare / (free @ compare.T).std()
    for start in (0, width):
        attention.qkv.weight[start : start + HEAD_DIM] = compare.float()
        attention.qkv.bias[start : start + HEAD_DIM] = -(compare @ mean).float()
    read, offset = _place_regression((features - mean).flatten(0, 1), _waves(grid).repeat(len(features), 1))
    value = slice(2 * width, 2 * width + HEAD_DIM)
    attention.qkv.weight[value] = F.pad(read.T, (0, 0, 0, HEAD_DIM - _WAVES)).float()
    attention.qkv.bias[value] = F.pad(offset - mean @ read, (0, HEAD_DIM - _WAVES)).float()
    directions = torch.linalg.qr(torch.randn(width, _WAVES, generator=generator))[0] * (width**0.5 / 4)
    spread = x[:, :, 1:].flatten(0, 2).std(0).median()
    gains = block.ls1.gamma.abs().clamp_min(_LEAST_LAYER_SCALE) * block.ls1.gamma.sign()
    attention.proj.weight[:, :HEAD_DIM] = 0
    attention.proj.weight[:, :_WAVES] = _PLACE_GAIN * spread * directions / gains[:, None]


def _place_regression(features: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """(C, waves) and (waves,): places (n, waves) as features (n, C) @ the first + the second, by ridge regression."""
    offset = places.mean(0)
    normal = features.T @ features / len(features)
    ridge = _RIDGE * features.square().mean() * torch.eye(features.shape[1], dtype=features.dtype)
    return torch.linalg.solve(normal + ridge, features.T @ (places - offset) / len(features)), offset


def _waves(grid: tuple[int, int]) -> Tensor:
    """(rows * columns, waves): sines and cosines of the place in the image, a quarter to one and a half cycles."""
    rows, columns = ((torch.arange(n, dtype=torch.float64) + 0.5) / n - 0.5 for n in grid)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    angles = [2 * torch.pi * cycles * axis for cycles in _CYCLES for axis in (x, y)]
    return torch.stack([wave for angle in angles for wave in (angle.sin(), angle.cos())], -1).flatten(0, 1)
