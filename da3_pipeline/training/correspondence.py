"""Which patch of another view shows what a patch shows, and a loss that teaches attention to find it.

The loss is an addition to the paper's recipe: without it a small network trained from scratch stays at the
constant pose for very long (docs/TRAINING.md). The paper's preset leaves it out.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..model.config import PATCH

__all__ = ["Correspondences", "attention_hit_rate", "correspondence_loss", "correspondences"]

_DEPTH_TOLERANCE = 0.04


class Correspondences(NamedTuple):
    """For view i, view j and each patch p of i (row-major): place (B, S, S, P, 2), x and y in pixels of view j, of
    what lies at the patch's centre; visible (B, S, S, P), whether view j sees it. A view does not match itself."""

    place: Tensor
    visible: Tensor


def correspondences(depth: Tensor, cam_from_world: Tensor, K: Tensor) -> Correspondences:
    """From true depth (B, S, H, W), poses (B, S, 3, 4) and intrinsics (B, S, 3, 3)."""
    _, views, height, width = depth.shape
    rows = torch.arange(PATCH // 2, height, PATCH, device=depth.device)
    columns = torch.arange(PATCH // 2, width, PATCH, device=depth.device)
    z = depth[:, :, rows][..., columns].flatten(2)
    y, x = (grid.flatten() + 0.5 for grid in torch.meshgrid(rows, columns, indexing="ij"))
    rays = torch.stack([x, y, torch.ones_like(x)], -1).to(K.dtype) @ torch.linalg.inv(K).mT
    rotation, translation = cam_from_world[..., :3], cam_from_world[..., 3]
    world = (rays * z[..., None] - translation[:, :, None]) @ rotation
    # every point of view i in the frame of every view j
    there = torch.einsum("bjxy,bipy->bijpx", rotation, world) + translation[:, None, :, None]
    projected = torch.einsum("bjxy,bijpy->bijpx", K, there)
    place = projected[..., :2] / projected[..., 2:].clamp_min(1e-6)
    inside = (place >= 0).all(-1) & (place[..., 0] < width) & (place[..., 1] < height)
    pixel = place.nan_to_num(0).floor().long()
    index = pixel[..., 1].clamp(0, height - 1) * width + pixel[..., 0].clamp(0, width - 1)
    surface = depth.flatten(2)[:, None].expand(-1, views, -1, -1).gather(-1, index)
    in_front = (there[..., 2] > 1e-6) & ((surface - there[..., 2]).abs() <= _DEPTH_TOLERANCE * there[..., 2])
    other = ~torch.eye(views, dtype=torch.bool, device=depth.device)[None, :, :, None]
    return Correspondences(place, inside & in_front & (z > 0)[:, :, None] & other)


def correspondence_loss(query: Tensor, key: Tensor, truth: Correspondences, grid: tuple[int, int]) -> Tensor:
    """Cross-entropy of attention on the true place, over visible patches; the place's weight is spread bilinearly
    over its four nearest patches, so that the expected position is exact to a fraction of a patch.

    query, key (B, S * (1 + P), D) of one head, as `record_attention` gives them; camera tokens take no part, the
    patches of the query's own view do.
    """
    score = _log_attention(query, key, truth, grid)
    total = truth.visible.sum().clamp_min(1)
    index, weight = _bilinear(truth.place, grid)
    loss = -(score.gather(-1, index) * weight).sum(-1)
    return torch.where(truth.visible, loss, 0.0).sum() / total


def attention_hit_rate(query: Tensor, key: Tensor, truth: Correspondences, grid: tuple[int, int]) -> Tensor:
    """Share of visible patches whose strongest attention within the other view is on the true patch."""
    score = _log_attention(query, key, truth, grid)
    column = (truth.place[..., 0] / PATCH).floor().clamp(0, grid[1] - 1)
    row = (truth.place[..., 1] / PATCH).floor().clamp(0, grid[0] - 1)
    hit = score.argmax(-1) == (row * grid[1] + column).nan_to_num(0).long()
    return (hit & truth.visible).sum() / truth.visible.sum().clamp_min(1)


def _log_attention(query: Tensor, key: Tensor, truth: Correspondences, grid: tuple[int, int]) -> Tensor:
    """(B, S, S, P, P): log attention of patch p of view i on patch p' of view j."""
    batch, views = truth.visible.shape[:2]
    patches = grid[0] * grid[1]
    q, k = (torch.unflatten(x, 1, (views, 1 + patches))[:, :, 1:].flatten(1, 2) for x in (query, key))
    logits = (q @ k.mT).float() / query.shape[-1] ** 0.5
    return logits.log_softmax(-1).view(batch, views, patches, views, patches).transpose(2, 3)


def _bilinear(place: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Indices and weights (..., 4) of the patches around a place; places beyond the outer centres are moved in."""
    rows, columns = grid
    x = (place[..., 0].nan_to_num(0) / PATCH - 0.5).clamp(0, columns - 1)
    y = (place[..., 1].nan_to_num(0) / PATCH - 0.5).clamp(0, rows - 1)
    left, top = x.floor().clamp(max=max(columns - 2, 0)), y.floor().clamp(max=max(rows - 2, 0))
    u, v = x - left, y - top
    base = (top * columns + left).long()
    right, below = (1 if columns > 1 else 0), (columns if rows > 1 else 0)
    index = torch.stack([base, base + right, base + below, base + below + right], -1)
    weight = torch.stack([(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v], -1)
    return index, weight
