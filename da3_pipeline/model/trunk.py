"""The vision transformer trunk, whose later blocks alternate between attention within and across views (SPEC 1.2).

Images become patches with positions. The first `alt_start` blocks see each view on its own. From there on token 0 of a
view is its camera token, and every odd block attends across all views; before that, one view has become the reference,
whose camera the others are told from. Four blocks are tapped for the heads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import UsageError
from .config import PATCH, ModelConfig
from .layers import Attention, Block, Rotation, rotation

__all__ = ["Backbone", "Reduce", "ReferenceView", "Trunk", "TrunkOutput"]

_PRETRAINED_SIDE = 37
_GRID_OFFSET = 0.1
_TOKENS_AT_ONCE = {"cpu": 2048}  # so many activations stay in a processor's cache
_TOKENS_AT_ONCE_ELSEWHERE = 16384

ReferenceView = Literal["first", "middle", "saddle_balanced", "saddle_sim_range"]
"""How the reference is chosen: by its place, or by its class token among those of the others."""

Reduce = Callable[[int, Tensor], tuple[Tensor, ...]]
"""From the number of a tap and the patches (n, rows*columns, width) of some views to what of them shall be kept."""


@dataclass(frozen=True)
class TrunkOutput:
    """What the heads and the camera decoder get to see.

    patches: for each of `out_layers`, (B, S, rows*columns, 2C): within the view, then across views, normalised; in a
        monocular network (B, S, rows*columns, C), normalised. Empty where `reduced` was asked for instead.
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


class Trunk(nn.Module):
    """DINOv2-shaped transformer whose later blocks also look across views; in a monocular network none does."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width = config.embed_dim
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        if not config.is_monocular:
            self.camera_token = nn.Parameter(torch.zeros(1, 2, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + _PRETRAINED_SIDE**2, width))
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
        with_cameras, alternation = not self.config.is_monocular, self.config.alt_start
        x = self._embed(images, grid)
        reference = torch.zeros(batch, dtype=torch.long, device=images.device)
        taps: list[tuple[Tensor, ...]] = []
        camera, features = [], {}
        for layer in range(self.config.depth):
            if with_cameras and layer == alternation - 1 and views >= 3 and camera_tokens is None:
                reference = _choose_reference(x[:, :, 0], reference_view)
            if with_cameras and layer == alternation:
                start = self._camera_tokens(reference, views) if camera_tokens is None else camera_tokens
                x = torch.cat([start[:, :, None].to(x.dtype), x[:, :, 1:]], dim=2)
            is_tap, within_views = layer in self.config.out_layers, None
            if is_tap and with_cameras:  # a tapped block attends across views, the one before it does not
                within_views = x if torch.is_grad_enabled() else x.clone()
            x = self._step(layer, x, turn)
            if is_tap:
                taps.append(self._tap(len(taps), within_views, x, reduce))
            if within_views is not None:
                camera.append(torch.cat([within_views[:, :, 0], x[:, :, 0]], dim=-1))
            if layer in feature_layers:
                features[layer] = torch.unflatten(self.norm(x[:, :, 1:]), 2, grid)
        patches = tuple(tap for (tap,) in taps) if reduce is None else ()
        return TrunkOutput(patches, tuple(camera), features, reference, () if reduce is None else tuple(taps))

    def attention(self, layer: int) -> Attention:
        """The attention of one block."""
        return self._block(layer).attn

    def _embed(self, images: Tensor, grid: tuple[int, int]) -> Tensor:
        """(B, S, 1 + rows*columns, C) tokens with their positions."""
        patches = self.patch_embed(images.flatten(0, 1).to(self.pos_embed.dtype))
        x = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        return torch.unflatten(x + _resized_table(self.pos_embed, grid).to(x.dtype), 0, images.shape[:2])

    def _camera_tokens(self, reference: Tensor, views: int) -> Tensor:
        """(B, S, C): the learned token of the reference view and, for all others, that of any other view."""
        is_reference = torch.arange(views, device=reference.device) == reference[:, None]
        return torch.where(is_reference[..., None], self.camera_token[:, :1], self.camera_token[:, 1:])

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

    def _tap(self, number: int, within_views: Tensor | None, x: Tensor, reduce: Reduce | None) -> tuple[Tensor, ...]:
        """A tap's patches, or what `reduce` makes of them, (B, S, ...).

        within_views: the tokens (B, S, t, C) before the block attended across views, x those after it.
        """
        kept = []
        views = x.shape[0] * x.shape[1]
        at_once = views if reduce is None else _views_at_once(x)
        for first in range(0, views, at_once):
            piece = slice(first, first + at_once)
            patches = self.norm(x.flatten(0, 1)[piece, 1:])
            if within_views is not None:
                patches = torch.cat([within_views.flatten(0, 1)[piece, 1:], patches], dim=-1)
            kept.append((patches,) if reduce is None else reduce(number, patches))
        return tuple(torch.unflatten(torch.cat(same), 0, x.shape[:2]) for same in zip(*kept, strict=True))

    def _block(self, layer: int) -> Block:
        block = self.blocks[layer]
        assert isinstance(block, Block)
        return block


class Backbone(nn.Module):
    """Nothing but the level `pretrained` in the published names of the trunk's parameters."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.pretrained = Trunk(config)


class PatchEmbedding(nn.Module):
    """Non-overlapping 14x14 patches, row-major."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, PATCH)

    def forward(self, images: Tensor) -> Tensor:
        return self.proj(images).flatten(2).transpose(1, 2)


def _rotations(grid: tuple[int, int], views: int, device: torch.device) -> _Rotations:
    across = _global_positions(grid, views, device)
    return _Rotations(rotation(_local_positions(grid, device)), rotation(across), rotation(across[:1] - across[1:2]))


def _views_at_once(x: Tensor) -> int:
    """How many views' activations may be alive at once, of tokens (B, S, t, C)."""
    return max(1, _TOKENS_AT_ONCE.get(x.device.type, _TOKENS_AT_ONCE_ELSEWHERE) // x.shape[2])


def _local_positions(grid: tuple[int, int], device: torch.device) -> Tensor:
    """(1 + rows*columns, 2) positions within a view: (0, 0) for token 0, (r+1, c+1) for patch (r, c)."""
    rows, columns = (torch.arange(1, size + 1, device=device) for size in grid)
    patches = torch.cartesian_prod(rows, columns)
    return torch.cat([patches.new_zeros(1, 2), patches])


def _global_positions(grid: tuple[int, int], views: int, device: torch.device) -> Tensor:
    """(views * (1 + rows*columns), 2) positions across views: (0, 0) for each token 0, (1, 1) for every patch."""
    one_view = torch.ones(1 + grid[0] * grid[1], 2, dtype=torch.long, device=device)
    one_view[0] = 0
    return one_view.repeat(views, 1)


def _resized_table(table: Tensor, grid: tuple[int, int]) -> Tensor:
    """The (1, 1 + n*n, C) table for a (rows, columns) patch grid: entry 0 kept, the rest bicubic in float32.

    Sampling steps follow (size + 0.1) / n as the published weights expect (DINOv2's offset), not size / n.
    """
    side = round((table.shape[1] - 1) ** 0.5)
    if grid == (side, side):
        return table
    patches = torch.unflatten(table[:, 1:].float(), 1, (side, side)).permute(0, 3, 1, 2)
    scale = tuple((size + _GRID_OFFSET) / side for size in grid)
    resized = F.interpolate(patches, scale_factor=scale, mode="bicubic", align_corners=False)
    return torch.cat([table[:, :1].float(), resized.flatten(2).transpose(1, 2)], dim=1).to(table.dtype)


def _choose_reference(tokens: Tensor, strategy: ReferenceView) -> Tensor:
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
    """Unit tokens (B, S, C) and their cosines (B, S, S)."""
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
    """The view whose similarities to the others, and to itself counted as 0, spread most."""
    _, similarity = _similarity(tokens)
    others = similarity - torch.eye(tokens.shape[1], device=tokens.device)
    # The two views that are most alike have the same range: of them the first counts, however either was rounded.
    return (others.amax(-1) - others.amin(-1)).round(decimals=6).argmax(-1)
