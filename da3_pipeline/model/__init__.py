"""The Depth Anything 3 any-view networks."""

from __future__ import annotations

from .attention_probe import HeadAttention, record_attention
from .checkpoint_format import save_checkpoint
from .checkpoint_sources import local_checkpoint
from .config import ModelConfig
from .factory import build, load
from .network import DepthAnything3, NetworkOutput
from .pose_conditioning import normalise_poses
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
    "load",
    "local_checkpoint",
    "normalise_poses",
    "record_attention",
    "save_checkpoint",
]
