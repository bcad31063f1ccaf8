"""The Depth Anything 3 networks: any-view, monocular and nested."""

from __future__ import annotations

from .attention_probe import HeadAttention, record_attention
from .checkpoints.format import save_checkpoint
from .checkpoints.sources import local_checkpoint
from .config import ModelConfig
from .factory import build, load
from .family import Network, any_view
from .gaussian_adapter import GaussianOptions, Gaussians
from .monocular import MonocularNetwork, MonocularOutput, metres_from_canonical
from .nested import NestedNetwork
from .network import DepthAnything3, NetworkOutput
from .pose_conditioning import normalise_poses
from .ray_pose import RayPoseOptions
from .sky import is_sky
from .variants import VARIANTS, Variant, licence_notice

__all__ = [
    "VARIANTS",
    "DepthAnything3",
    "GaussianOptions",
    "Gaussians",
    "HeadAttention",
    "ModelConfig",
    "MonocularNetwork",
    "MonocularOutput",
    "NestedNetwork",
    "Network",
    "NetworkOutput",
    "RayPoseOptions",
    "Variant",
    "any_view",
    "build",
    "is_sky",
    "licence_notice",
    "load",
    "local_checkpoint",
    "metres_from_canonical",
    "normalise_poses",
    "record_attention",
    "save_checkpoint",
]
