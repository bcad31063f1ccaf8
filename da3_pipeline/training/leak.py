"""Rectifiers of the camera decoder that let a little through below zero, for the start of training.

While the trunk cannot match views yet, the best camera is a constant, and training drives plain rectifiers to where
they pass no gradient: the decoder stays constant for good.
"""

from __future__ import annotations

from torch import nn

from ..model import DepthAnything3

__all__ = ["make_leaky", "set_leak"]


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
