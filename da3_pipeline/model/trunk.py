"""The vision transformer trunk, whose later blocks alternate between attention within and across views (SPEC 1.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .config import PATCH, ModelConfig
from .layers import Attention, Block
from .positions import (
    Rotation,
    global_positions,
    local_positions,
    resize_position_table,
    rotation,
)
from .reference_view import ReferenceView, select_reference_view

__all__ = ["PRETRAINED_SIDE", "Reduce", "Trunk", "TrunkOutput"]

PRETRAINED_SIDE = 37

_TOKENS_AT_ONCE = {"cpu": 2048}  # so many activations stay in a processor's cache
_TOKENS_AT_ONCE_ELSEWHERE = 16384

Reduce = Callable[[int, Tensor], tuple[Tensor, ...]]
"""From the number of a tap and the patches (n, rows*columns, width) of some views to what of them shall be kept."""


@dataclass(frozen=True)
class TrunkOutput:
    """patches: for each of `out_layers`, (B, S, rows*columns, 2C), the cross-view half normalised; in a
        monocular network (B, S, rows*columns, C), normalised. Empty where `reduced` was asked for instead:
    reduced: for each of `out_layers`, what `Reduce` made of its patches, each (B, S, ...).
    camera: for each of `out_layers`, token 0 (B, S, 2C), not normalised; nothing in a monocular network.
    features: by layer, normalised patches (B, S, rows, columns, C).
    reference_view: (B,) its index among the input views.
    """

    patches: tuple[Tensor, ...]
    camera: tuple[Tensor, ...]
    features: dict[int, Tensor]
    reference_view: Tensor
    reduced: tuple[tuple[Tensor, ...], ...] = ()


class _Rotations(NamedTuple):
    """Of all tokens of a view, of all tokens of all views, and of a camera token against any patch across views."""

    within: Rotation
    across: Rotation
    camera: Rotation


class PatchEmbedding(nn.Module):
    """Non-overlapping 14x14 patches, row-major."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, PATCH)

    def forward(self, images: Tensor) -> Tensor:
        return self.proj(images).flatten(2).transpose(1, 2)


class Trunk(nn.Module):
    """DINOv2-shaped transformer whose later blocks also look across views; in a monocular network none does."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width = config.embed_dim
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        if not config.is_monocular:
            self.camera_token = nn.Parameter(torch.zeros(1, 2, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + PRETRAINED_SIDE**2, width))
        self.patch_embed = PatchEmbedding(width)
        self.blocks = nn.ModuleList(
            Block(
                width,
                config.heads,
                ffn=config.ffn,
                norm_eps=1e-6,
                layer_scale=1.0,
                normalise_qk=layer >= config.alt_start,
            )
            for layer in range(config.depth)
        )
        self.norm = nn.LayerNorm(width)

    def forward(
        self,
        images: Tensor,
        camera_tokens: Tensor | None = None,
        reference_view: ReferenceView = "saddle_balanced",
        feature_layers: Sequence[int] = (),
        reduce: Reduce | None = None,
    ) -> TrunkOutput:
        """Run (B, S, 3, H, W) images, with (B, S, C) camera tokens when the poses are known.

        reduce: applied to the patches of a tap, a few views at a time, as soon as they are there; they are then not
        kept themselves. Where no gradient is wanted, the tokens are updated in place, a few views at a time.

        Attention across views does not know their order, so the reference view is marked by its camera token
        where it stands; the published code moves it to the front and back again.
        """
        batch, views, _, height, width = images.shape
        grid = (height // PATCH, width // PATCH)
        turn = _rotations(grid, views, images.device)
        alternation, in_order = self.config.alt_start, not self.config.is_monocular
        x = local = self._embed(images, grid)
        reference = torch.zeros(batch, dtype=torch.long, device=images.device)
        taps: list[tuple[Tensor, ...]] = []
        camera, features = [], {}
        for layer in range(self.config.depth):
            if layer == alternation - 1 and views >= 3 and camera_tokens is None and in_order:
                reference = select_reference_view(x[:, :, 0], reference_view)
            if layer == alternation:
                start = self._camera_tokens(reference, views) if camera_tokens is None else camera_tokens
                x = torch.cat([start[:, :, None].to(x.dtype), x[:, :, 1:]], dim=2)
            is_tap = layer in self.config.out_layers
            if is_tap and in_order:  # which follows one within the views
                local = x if torch.is_grad_enabled() else x.clone()
            x = self._step(layer, x, turn)
            if is_tap:
                taps.append(self._tap(len(taps), local if in_order else None, x, reduce))
                camera.append(torch.cat([local[:, :, 0], x[:, :, 0]], dim=-1))
            if layer in feature_layers:
                features[layer] = torch.unflatten(self.norm(x[:, :, 1:]), 2, grid)
        seen = TrunkOutput((), tuple(camera) if in_order else (), features, reference)
        return (
            replace(seen, patches=tuple(tap for (tap,) in taps))
            if reduce is None
            else replace(seen, reduced=tuple(taps))
        )

    def _step(self, layer: int, x: Tensor, turn: _Rotations) -> Tensor:
        """The tokens (B, S, t, C) after one block; `x` itself is changed where no gradient is wanted."""
        block = self._block(layer)
        across = layer in self.config.global_layers
        within = turn.within if layer >= self.config.alt_start else None
        if torch.is_grad_enabled() or block.attn.probe is not None:
            y = block(x.flatten(1, 2), turn.across) if across else block(x.flatten(0, 1), within)
            return y.view_as(x)
        if across:
            for views in x:
                block.update_across_(views, _views_at_once(x), turn.camera)
        else:
            block.update_within_(x.flatten(0, 1), _views_at_once(x), within)
        return x

    def _tap(self, number: int, local: Tensor | None, x: Tensor, reduce: Reduce | None) -> tuple[Tensor, ...]:
        """A tap's patches, or what `reduce` makes of them, (B, S, ...)."""
        kept = []
        views = x.shape[0] * x.shape[1]
        at_once = views if reduce is None else _views_at_once(x)
        for first in range(0, views, at_once):
            piece = slice(first, first + at_once)
            patches = self.norm(x.flatten(0, 1)[piece, 1:])
            if local is not None:
                patches = torch.cat([local.flatten(0, 1)[piece, 1:], patches], dim=-1)
            kept.append((patches,) if reduce is None else reduce(number, patches))
        return tuple(torch.unflatten(torch.cat(same), 0, x.shape[:2]) for same in zip(*kept, strict=True))

    def _embed(self, images: Tensor, grid: tuple[int, int]) -> Tensor:
        """(B, S, 1 + rows*columns, C) tokens with their positions."""
        patches = self.patch_embed(images.flatten(0, 1).to(self.pos_embed.dtype))
        x = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        return torch.unflatten(x + resize_position_table(self.pos_embed, grid).to(x.dtype), 0, images.shape[:2])

    def attention(self, layer: int) -> Attention:
        """The attention of one block."""
        return self._block(layer).attn

    def _block(self, layer: int) -> Block:
        block = self.blocks[layer]
        assert isinstance(block, Block)
        return block

    def _camera_tokens(self, reference: Tensor, views: int) -> Tensor:
        """(B, S, C): the learned token of the reference view and, for all others, that of any other view."""
        is_reference = torch.arange(views, device=reference.device) == reference[:, None]
        return torch.where(is_reference[..., None], self.camera_token[:, :1], self.camera_token[:, 1:])


def _rotations(grid: tuple[int, int], views: int, device: torch.device) -> _Rotations:
    across = global_positions(grid, views, device)
    return _Rotations(rotation(local_positions(grid, device)), rotation(across), rotation(across[:1] - across[1:2]))


def _views_at_once(x: Tensor) -> int:
    """Of the tokens (B, S, t, C)."""
    return max(1, _TOKENS_AT_ONCE.get(x.device.type, _TOKENS_AT_ONCE_ELSEWHERE) // x.shape[2])
