"""Where the published checkpoints keep the trunk."""

from __future__ import annotations

from torch import nn

from .config import ModelConfig
from .trunk import Trunk

__all__ = ["Backbone"]


class Backbone(nn.Module):
    """Nothing but the level `pretrained` in the names of the trunk's parameters."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.pretrained = Trunk(config)
