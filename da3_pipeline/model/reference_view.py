"""Which view becomes the reference, whose camera the others are told from (SPEC 1.2)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import UsageError

__all__ = ["ReferenceView", "select_reference_view"]

ReferenceView = Literal["first", "middle", "saddle_balanced", "saddle_sim_range"]


def select_reference_view(tokens: Tensor, strategy: ReferenceView) -> Tensor:
    """(B,) index of the reference among S views, from their (B, S, C) class tokens."""
    batch, views, _ = tokens.shape
    if strategy == "first":
        return torch.zeros(batch, dtype=torch.long, device=tokens.device)
    if strategy == "middle":
        return torch.full((batch,), views // 2, dtype=torch.long, device=tokens.device)
    if strategy == "saddle_balanced":
        return _balanced(tokens.float())
    if strategy == "saddle_sim_range":
        return _widest_similarity_range(tokens.float())
    raise UsageError(f"no reference view strategy {strategy!r}; known: {', '.join(get_args(ReferenceView))}")


def _similarity(tokens: Tensor) -> tuple[Tensor, Tensor]:
    unit = F.normalize(tokens, dim=-1)
    return unit, unit @ unit.mT


def _balanced(tokens: Tensor) -> Tensor:
    """The view nearest the middle of the range in similarity to the others, norm and channel variance."""
    unit, similarity = _similarity(tokens)
    mean_similarity = (similarity.sum(-1) - 1) / (tokens.shape[1] - 1)
    metrics = torch.stack([mean_similarity, tokens.norm(dim=-1), unit.var(dim=-1)])
    low, high = metrics.amin(-1, keepdim=True), metrics.amax(-1, keepdim=True)
    return ((metrics - low) / (high - low + 1e-8) - 0.5).abs().sum(0).argmin(-1)


def _widest_similarity_range(tokens: Tensor) -> Tensor:
    _, similarity = _similarity(tokens)
    others = similarity - torch.eye(tokens.shape[1], device=tokens.device)
    # The two views that are most alike have the same range: of them the first counts, however either was rounded.
    return (others.amax(-1) - others.amin(-1)).round(decimals=6).argmax(-1)
