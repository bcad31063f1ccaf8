"""Transformer layers of the trunk and of the camera encoder, and the rotary positions inside attention (SPEC 1.2, 1.3).

A block runs in two ways that give the same: `forward`, through which gradients flow, and `update_within_` or
`update_across_`, which change the tokens in place and hold the activations of a few views at a time only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import HEAD_DIM
from .lean.linear import Linear

__all__ = ["Attention", "Block", "LayerScale", "Mlp", "Rotation", "SwiGlu", "rotate", "rotation"]

_ROTARY_BASE = 100.0
_AXIS_FREQUENCIES = HEAD_DIM // 4


class Rotation(NamedTuple):
    """Cosines and sines (t, 2, 16): token, axis (row, column), frequency."""

    cos: Tensor
    sin: Tensor


def rotation(positions: Tensor) -> Rotation:
    """Rotary tables in float32 for (t, 2) positions: frequencies 100^(-k/16), 16 an axis (SPEC 1.2)."""
    exponent = torch.arange(_AXIS_FREQUENCIES, device=positions.device) / _AXIS_FREQUENCIES
    angles = positions[..., None].float() * _ROTARY_BASE**-exponent
    return Rotation(angles.cos(), angles.sin())


def rotate(x: Tensor, by: Rotation) -> Tensor:
    """Rotate (..., t, 64) queries or keys: the first half by the row angle, the second by the column angle."""
    first, second = torch.unflatten(x, -1, (2, 2, _AXIS_FREQUENCIES)).unbind(-2)
    return torch.stack([first * by.cos - second * by.sin, second * by.cos + first * by.sin], dim=-2).flatten(-3)


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
        self.fc1 = Linear(width, hidden)
        self.fc2 = Linear(hidden, width if out is None else out)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.fc1(x)
        return self.fc2(F.gelu(hidden) if torch.is_grad_enabled() else torch.ops.aten.gelu_(hidden))


class SwiGlu(nn.Module):
    """Gated feed-forward layer: w3(silu(a) * b) with (a, b) = w12(x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = -(-int(4 * width * 2 / 3) // 8) * 8
        self.w12 = Linear(width, 2 * hidden)
        self.w3 = Linear(hidden, width)

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
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)
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

    def keys_and_values(self, pieces: Iterable[Tensor], tokens: int, rotation: Rotation) -> tuple[Tensor, Tensor]:
        """Keys and values (1, heads, tokens, d) of all views, from pieces (n, t, C) of some views each.

        rotation: of the first token of each view, relative to the view's other tokens.
        """
        width, done = self.proj.in_features, 0
        keys = values = torch.empty(0)
        for piece in pieces:
            part = torch.unflatten(self.qkv.part(piece, width, 3 * width), -1, (2, self.heads, -1))
            if done == 0:
                keys, values = part.new_empty((2, self.heads, tokens, part.shape[-1]))
            until = done + piece.shape[0] * piece.shape[1]
            keys[:, done:until] = _by_head(_turn_first(_normalised(part[:, :, 0], self.k_norm), rotation))
            values[:, done:until] = _by_head(part[:, :, 1])
            done = until
        return keys[None], values[None]

    def across(self, x: Tensor, keys: Tensor, values: Tensor, rotation: Rotation) -> Tensor:
        """What the tokens (n, t, C) of some views take from all views, given `keys_and_values`."""
        q = torch.unflatten(self.qkv.part(x, 0, self.proj.in_features), -1, (self.heads, -1))
        q = _turn_first(_normalised(q, self.q_norm), rotation).to(values.dtype)
        # On a CPU the kernel is a fifth slower where the tokens of a head are not neighbours in memory.
        mixed = F.scaled_dot_product_attention(_by_head(q).contiguous()[None], keys, values)
        return self.proj(mixed[0].transpose(0, 1).flatten(1).view(x.shape))


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

    def update_within_(self, x: Tensor, views_at_once: int, rotation: Rotation | None) -> None:
        """`forward` of the views (S, t, C) one by one, in place and with the activations of a few views only."""
        for piece in torch.split(x, views_at_once):
            self._add_(piece, self.attn(self.norm1(piece), rotation))

    def update_across_(self, x: Tensor, views_at_once: int, first_rotation: Rotation) -> None:
        """`forward` of all tokens of the views (S, t, C) as one sequence, likewise; keys and values are kept whole.

        first_rotation: as `Attention.keys_and_values` takes it.
        """
        pieces = torch.split(x, views_at_once)
        tokens = x.shape[0] * x.shape[1]
        keys, values = self.attn.keys_and_values((self.norm1(piece) for piece in pieces), tokens, first_rotation)
        for piece in pieces:
            self._add_(piece, self.attn.across(self.norm1(piece), keys, values, first_rotation))

    def _add_(self, x: Tensor, attended: Tensor) -> None:
        x.addcmul_(attended, self.ls1.gamma)
        x.addcmul_(self.mlp(self.norm2(x)), self.ls2.gamma)


def _normalised(x: Tensor, norm: nn.LayerNorm | None) -> Tensor:
    return x if norm is None else norm(x)


def _by_head(x: Tensor) -> Tensor:
    """(heads, n * t, d) of (n, t, heads, d)."""
    return x.flatten(0, 1).transpose(0, 1)


def _turn_first(x: Tensor, rotation: Rotation) -> Tensor:
    """Rotate, in place, the first token of each view (n, t, heads, d)."""
    x[:, 0] = rotate(x[:, 0].unsqueeze(-2), rotation).squeeze(-2)
    return x
