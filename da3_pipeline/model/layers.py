"""Transformer layers shared by the trunk and the camera encoder (SPEC 1.2, 1.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .positions import Rotation, rotate

__all__ = ["Attention", "Block", "LayerScale", "Mlp", "SwiGlu"]


class LayerScale(nn.Module):
    """A learned gain per channel."""

    def __init__(self, width: int, value: float) -> None:
        super().__init__()
        self.value = value
        self.gamma = nn.Parameter(torch.empty(width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set every gain to its starting value."""
        nn.init.constant_(self.gamma, self.value)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Mlp(nn.Module):
    """Linear, exact GELU, linear."""

    def __init__(self, width: int, hidden: int, out: int | None = None) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width if out is None else out)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class SwiGlu(nn.Module):
    """Gated feed-forward layer: w3(silu(a) * b) with (a, b) = w12(x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = -(-int(4 * width * 2 / 3) // 8) * 8
        self.w12 = nn.Linear(width, 2 * hidden)
        self.w3 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.w12(x).chunk(2, dim=-1)
        return self.w3(F.silu(gate) * value)


class Attention(nn.Module):
    """Multi-head self-attention; optionally LayerNorm on each head's queries and keys, then rotary positions.

    `probe`, when set, is called with the queries and keys (b, heads, t, d) just before they meet; see
    `attention_probe.record_attention`.
    """

    probe: Callable[[Tensor, Tensor], None] | None = None

    def __init__(self, width: int, heads: int, *, normalise_qk: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.q_norm = nn.LayerNorm(width // heads) if normalise_qk else None
        self.k_norm = nn.LayerNorm(width // heads) if normalise_qk else None

    def forward(self, x: Tensor, rotation: Rotation | None = None) -> Tensor:
        q, k, v = torch.unflatten(self.qkv(x), -1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        if rotation is not None:
            q, k = rotate(q, rotation), rotate(k, rotation)
        q, k = q.to(v.dtype), k.to(v.dtype)
        if self.probe is not None:
            self.probe(q, k)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Pre-norm transformer block with LayerScale on both branches."""

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        ffn: Literal["mlp", "swiglu"] = "mlp",
        norm_eps: float,
        layer_scale: float,
        normalise_qk: bool = False,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, norm_eps)
        self.attn = Attention(width, heads, normalise_qk=normalise_qk)
        self.ls1 = LayerScale(width, layer_scale)
        self.norm2 = nn.LayerNorm(width, norm_eps)
        self.mlp = Mlp(width, 4 * width) if ffn == "mlp" else SwiGlu(width)
        self.ls2 = LayerScale(width, layer_scale)

    def forward(self, x: Tensor, rotation: Rotation | None = None) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x), rotation))
        return x + self.ls2(self.mlp(self.norm2(x)))
