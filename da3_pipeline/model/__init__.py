"""The Depth Anything 3 networks: any-view, monocular and nested, as published, so that the published weights load.

To be read in this order, which is also that of the imports:

    config, variants                            what a network is made of, and every network that has a name
    layers, trunk                               images to tokens that have seen all views
    heads, camera, ray_pose, gaussian_adapter   tokens to maps, cameras and Gaussians
    network; sky, monocular; nested             the three kinds of network
    initialisation, checkpoints, factory        fresh weights, trained weights, and networks that have them

`lean` is what makes it small and fast, `attention_probe` a look inside for training. SPEC, where sources cite it, is
the specification that was written down from the published code and the paper (Depth Anything 3, arXiv 2511.10647).
tests/data/model holds outputs of the published code. B sets of S views; C is the trunk's width.
"""

from __future__ import annotations

from .attention_probe import HeadAttention, record_attention
from .camera import normalise_poses
from .checkpoints.format import save_checkpoint
from .checkpoints.sources import local_checkpoint
from .config import ModelConfig
from .factory import any_view, build, load
from .gaussian_adapter import GaussianOptions, Gaussians
from .monocular import MonocularNetwork, MonocularOutput, metres_from_canonical
from .nested import NestedNetwork, Network
from .network import DepthAnything3, NetworkOutput
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
