"""What a network of the Depth Anything 3 family is made of."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import UsageError

__all__ = ["CAMERA_ENCODER_HEADS", "HEAD_DIM", "PATCH", "ModelConfig"]

PATCH = 14
HEAD_DIM = 64
CAMERA_ENCODER_HEADS = 16


@dataclass(frozen=True)
class ModelConfig:
    """One network of the family (SPEC 1.1); every other size follows from these.

    embed_dim: width C of the trunk, a multiple of 64 (heads of 64).
    depth: number of transformer blocks.
    alt_start: from this block on odd blocks attend across views, queries and keys are normalised and
        rotated, and token 0 of each view is its camera token. Equal to `depth` in a monocular network, whose
        views never see each other.
    out_layers: the four blocks that feed the head, shallow to deep; cross-view blocks where there are any.
    head_features: width F of the head's fusion chains, a multiple of 8.
    head_channels: channels of the four projected taps, multiples of 4.
    ffn: feed-forward layer of the trunk's blocks.
    gaussian_head: whether there is a head that predicts a Gaussian a pixel.
    metric: the monocular network that gives a nested one its metres and its sky; None in all others.
    camera_blocks: blocks of the encoder of known cameras; the published networks have four.
    """

    embed_dim: int
    depth: int
    alt_start: int
    out_layers: tuple[int, int, int, int]
    head_features: int
    head_channels: tuple[int, int, int, int]
    ffn: Literal["mlp", "swiglu"] = "mlp"
    gaussian_head: bool = False
    metric: ModelConfig | None = None
    camera_blocks: int = 4

    def __post_init__(self) -> None:
        for problem, wrong in (
            ("embed_dim must be a positive multiple of 64", self.embed_dim < 64 or self.embed_dim % HEAD_DIM),
            ("alt_start must lie in 2..depth", not 2 <= self.alt_start <= self.depth),
            (f"out_layers must be four rising blocks of {self._tappable}", not self._out_layers_are_valid()),
            ("head_features must be a positive multiple of 8", self.head_features < 8 or self.head_features % 8),
            ("head_channels must be four positive multiples of 4", not self._head_channels_are_valid()),
            ("ffn must be 'mlp' or 'swiglu'", self.ffn not in ("mlp", "swiglu")),
            ("gaussian_head is for networks with cameras", self.gaussian_head and self.is_monocular),
            ("metric must be a monocular network beside one with cameras", not self._metric_is_valid()),
            ("camera_blocks must be 1 or more", self.camera_blocks < 1),
        ):
            if wrong:
                raise UsageError(f"model configuration: {problem}, got {self}")

    def _out_layers_are_valid(self) -> bool:
        layers = self.out_layers
        return len(layers) == 4 and list(layers) == sorted(set(layers)) and set(layers) <= set(self._tappable)

    def _head_channels_are_valid(self) -> bool:
        return len(self.head_channels) == 4 and all(width > 0 and width % 4 == 0 for width in self.head_channels)

    def _metric_is_valid(self) -> bool:
        return self.metric is None or (self.metric.is_monocular and not self.is_monocular)

    @property
    def _tappable(self) -> tuple[int, ...]:
        return tuple(range(self.depth)) if self.is_monocular else self.global_layers

    @property
    def is_monocular(self) -> bool:
        """Whether each view is seen on its own: depth and sky, no cameras."""
        return self.alt_start == self.depth

    @property
    def tap_width(self) -> int:
        """Channels of the taps that feed the heads: within and across views, or only within."""
        return self.embed_dim if self.is_monocular else 2 * self.embed_dim

    @property
    def heads(self) -> int:
        """Attention heads of the trunk."""
        return self.embed_dim // HEAD_DIM

    @property
    def global_layers(self) -> tuple[int, ...]:
        """The blocks that attend across views: the odd ones from `alt_start` on."""
        return tuple(layer for layer in range(self.alt_start, self.depth) if layer % 2 == 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """The inverse of `to_dict`. Raises UsageError on unknown or missing fields."""
        try:
            fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
            if isinstance(fields.get("metric"), dict):
                fields["metric"] = cls.from_dict(fields["metric"])
            return cls(**fields)
        except TypeError as error:
            raise UsageError(f"model configuration: {error}") from error
