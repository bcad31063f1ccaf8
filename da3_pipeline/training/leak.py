"""Rectifiers of the camera decoder that let a little through below zero, for the first part of training.

While the trunk cannot match views yet, the best camera is a constant, and training drives plain rectifiers to where
they pass no gradient: the decoder stays constant for good. Leaky ones survive, but most units settle below zero, so
the leak cannot simply be closed: it is folded into the weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..model import DepthAnything3

__all__ = ["apply_fold", "make_leaky", "mostly_negative", "set_leak"]


def make_leaky(net: DepthAnything3) -> None:
    """Put leaky rectifiers in the place of the hidden ones; the parameters keep their names."""
    layers = net.cam_dec.backbone
    for index, layer in enumerate(layers):
        if isinstance(layer, nn.ReLU):
            layers[index] = nn.LeakyReLU(0.0)


def set_leak(net: nn.Module, slope: float) -> None:
    """Slope below zero of every leaky rectifier; 0 makes them plain."""
    for module in net.modules():
        if isinstance(module, nn.LeakyReLU):
            module.negative_slope = slope


@torch.no_grad()
def mostly_negative(net: DepthAnything3, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Which units of the decoder's two hidden layers are below zero for most camera tokens (..., width)."""
    first, activation, second = (net.cam_dec.backbone[index] for index in range(3))
    below = first(tokens)
    above = second(activation(below))
    return _mostly_below_zero(below), _mostly_below_zero(above)


def _mostly_below_zero(hidden: Tensor) -> Tensor:
    return (hidden < 0).flatten(0, -2).float().mean(0) > 0.5


@torch.no_grad()
def apply_fold(net: DepthAnything3, flips: tuple[Tensor, Tensor], slope: float) -> None:
    """Turn units that work below zero around, so that plain rectifiers do there what leaky ones did.

    slope * h = -slope * relu(-h) for h < 0: the unit's weights change sign, what reads it is multiplied by -slope.
    Exact for units that never change sign. The rectifiers become plain.
    """
    decoder = net.cam_dec
    readers = ((decoder.backbone[2],), (decoder.fc_t, decoder.fc_qvec, decoder.fc_fov[0]))
    for index, flip, following in zip((0, 2), flips, readers, strict=True):
        unit = decoder.backbone[index]
        for name in ("weight", "bias"):
            unit.get_parameter(name)[flip] *= -1
        for reader in following:
            reader.get_parameter("weight")[:, flip] *= -slope
    set_leak(net, 0.0)
