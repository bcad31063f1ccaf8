"""The vision transformer trunk, whose later blocks alternate between attention within and across views (SPEC 1.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .config import PATCH, ModelConfig
from .layers import Attention, Block
from .positions import global_positions, local_positions, resize_position_table, rotation
from .reference_view import ReferenceView, select_reference_view

__all__ = ["PRETRAINED_SIDE", "Trunk", "TrunkOutput"]

PRETRAINED_SIDE = 37


@dataclass(frozen=True)
class TrunkOutput:
    """patches: for each of `out_layers`, (B, S, rows*columns, 2C), the cross-view half normalised; in a
        monocular network (B, S, rows*columns, C), normalised.
    camera: for each of `out_layers`, token 0 (B, S, 2C), not normalised; nothing in a monocular network.
    features: by layer, normalised patches (B, S, rows, columns, C).
    reference_view: (B,) its index among the input views.
    """

    patches: tuple[Tensor, ...]
    camera: tuple[Tensor, ...]
    features: dict[int, Tensor]
    reference_view: Tensor


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
    ) -> TrunkOutput:
        """Run (B, S, 3, H, W) images, with (B, S, C) camera tokens when the poses are known.

        Attention across views does not know their order, so the reference view is marked by its camera token
        where it stands; the published code moves it to the front and back again.
        """
        batch, views, _, height, width = images.shape
        grid = (height // PATCH, width // PATCH)
        within = rotation(local_positions(grid, images.device))
        across = rotation(global_positions(grid, views, images.device))
        alternation = self.config.alt_start
        x = local = self._embed(images, grid)
        reference = torch.zeros(batch, dtype=torch.long, device=images.device)
        patches, camera, features = [], [], {}
        for layer, block in enumerate(self.blocks):
            if layer == alternation - 1 and views >= 3 and camera_tokens is None and not self.config.is_monocular:
                reference = select_reference_view(x[:, :, 0], reference_view)
            if layer == alternation:
                start = self._camera_tokens(reference, views) if camera_tokens is None else camera_tokens
                x = torch.cat([start[:, :, None].to(x.dtype), x[:, :, 1:]], dim=2)
            if layer in self.config.global_layers:
                x = block(x.flatten(1, 2), across).view_as(x)
            else:
                x = local = block(x.flatten(0, 1), within if layer >= alternation else None).view_as(x)
            if layer in self.config.out_layers and self.config.is_monocular:
                patches.append(self.norm(x[:, :, 1:]))
            elif layer in self.config.out_layers:
                patches.append(torch.cat([local[:, :, 1:], self.norm(x[:, :, 1:])], dim=-1))
                camera.append(torch.cat([local[:, :, 0], x[:, :, 0]], dim=-1))
            if layer in feature_layers:
                features[layer] = torch.unflatten(self.norm(x[:, :, 1:]), 2, grid)
        return TrunkOutput(tuple(patches), tuple(camera), features, reference)

    def _embed(self, images: Tensor, grid: tuple[int, int]) -> Tensor:
        """(B, S, 1 + rows*columns, C) tokens with their positions."""
        patches = self.patch_embed(images.flatten(0, 1).to(self.pos_embed.dtype))
        x = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        return torch.unflatten(x + resize_position_table(self.pos_embed, grid).to(x.dtype), 0, images.shape[:2])

    def attention(self, layer: int) -> Attention:
        """The attention of one block."""
        block = self.blocks[layer]
        assert isinstance(block, Block)
        return block.attn

    def _camera_tokens(self, reference: Tensor, views: int) -> Tensor:
        """(B, S, C): the learned token of the reference view and, for all others, that of any other view."""
        is_reference = torch.arange(views, device=reference.device) == reference[:, None]
        return torch.where(is_reference[..., None], self.camera_token[:, :1], self.camera_token[:, 1:])
