"""The Depth Anything 3 any-view networks."""

from __future__ import annotations

from .attention_probe import HeadAttention, record_attention
from .config import ModelConfig
from .factory import build
from .network import DepthAnything3, NetworkOutput
from .ray_pose import RayPoseOptions
from .variants import VARIANTS, Variant, licence_notice

__all__ = [
    "VARIANTS",
    "DepthAnything3",
    "HeadAttention",
    "ModelConfig",
    "NetworkOutput",
    "RayPoseOptions",
    "Variant",
    "build",
    "licence_notice",
    "record_attention",
]
