"""Fresh weights from which training starts well."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .heads import QUATERNION_REAL, GaussianDpt, ResidualConvUnit
from .layers import LayerScale
from .monocular import MonocularNetwork
from .nested import Network
from .network import DepthAnything3
from .sky import SKY_THRESHOLD
from .trunk import Trunk

__all__ = ["initialise"]

_STD = 0.02
_FIELD_OF_VIEW_RAD = 1.0
_RESIDUAL_GAIN = 0.5


@torch.no_grad()
def initialise(net: Network, generator: torch.Generator | None = None) -> None:
    """Draw every parameter anew.

    Linear layers: truncated normal of 0.02, as ViTs are started; convolutions and the camera decoder keep
    the variance of what passes through them. The outputs start at a plain guess: depth 1, confidence 2,
    rays along +z, no rotation, a field of view of 1 rad, no sky, Gaussians as their pixel is turned. The last
    ReLUs, of the field of view and of the sky, pass no gradient below zero: they start above it.
    """
    for module in net.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=_STD, generator=generator)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            _preserve_variance(module, 1.0, generator)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
        elif isinstance(module, LayerScale):
            module.reset_parameters()
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.LayerNorm) and module.bias is not None:
            nn.init.zeros_(module.bias)
    for module in net.modules():
        if isinstance(module, ResidualConvUnit):
            _preserve_variance(module.conv1, math.sqrt(2), generator)
            _preserve_variance(module.conv2, _RESIDUAL_GAIN, generator)
    for part in net.modules():
        if isinstance(part, DepthAnything3 | MonocularNetwork):
            _start_tables(part.trunk, generator)
        if isinstance(part, DepthAnything3):
            _start_outputs(part, generator)
        elif isinstance(part, MonocularNetwork):
            _start_monocular_outputs(part, generator)


def _preserve_variance(module: nn.Module, gain: float, generator: torch.Generator | None) -> None:
    weight = module.weight
    assert isinstance(weight, Tensor)
    kernel = math.prod(weight.shape[2:])
    # A transposed convolution whose kernel equals its stride reads each output from one place.
    fan_in = weight.shape[0] if isinstance(module, nn.ConvTranspose2d) else weight.shape[1] * kernel
    nn.init.normal_(weight, std=gain / math.sqrt(fan_in), generator=generator)


def _start_tables(trunk: Trunk, generator: torch.Generator | None) -> None:
    tokens = [trunk.cls_token, *(() if trunk.config.is_monocular else (trunk.camera_token,))]
    for table in (*tokens, trunk.pos_embed):
        nn.init.trunc_normal_(table, std=_STD, generator=generator)


def _start_outputs(net: DepthAnything3, generator: torch.Generator | None) -> None:
    decoder, scratch = net.cam_dec, net.head.scratch
    for hidden in ("backbone.0.weight", "backbone.2.weight"):
        nn.init.kaiming_normal_(decoder.get_parameter(hidden), nonlinearity="relu", generator=generator)
    decoder.fc_qvec.bias[3] = 1.0
    nn.init.constant_(decoder.get_parameter("fc_fov.0.bias"), _FIELD_OF_VIEW_RAD)
    nn.init.trunc_normal_(scratch.get_parameter("output_conv2.2.weight"), std=_STD, generator=generator)
    for level in range(len(scratch.output_conv2_aux)):
        nn.init.trunc_normal_(
            scratch.get_parameter(f"output_conv2_aux.{level}.5.weight"), std=_STD, generator=generator
        )
        scratch.get_parameter(f"output_conv2_aux.{level}.5.bias")[2] = 1.0
    if net.gs_head is not None:
        _start_gaussians(net.gs_head, generator)


def _start_gaussians(head: GaussianDpt, generator: torch.Generator | None) -> None:
    nn.init.trunc_normal_(head.scratch.get_parameter("output_conv2.2.weight"), std=_STD, generator=generator)
    head.scratch.get_parameter("output_conv2.2.bias")[QUATERNION_REAL] = 1.0


def _start_monocular_outputs(net: MonocularNetwork, generator: torch.Generator | None) -> None:
    for name in ("output_conv2", "sky_output_conv2"):
        nn.init.trunc_normal_(net.head.scratch.get_parameter(f"{name}.2.weight"), std=_STD, generator=generator)
    nn.init.constant_(net.head.scratch.get_parameter("sky_output_conv2.2.bias"), SKY_THRESHOLD / 2)
