"""Cameras, poses and alignment; no knowledge of stages."""

from .alignment import align_cameras, umeyama
from .cameras import Camera, PixelMap
from .poses import (
    Sim3,
    centres,
    compose,
    identity,
    invert,
    nearest_rotation,
    rotation_angle_deg,
    transform_points,
)

__all__ = [
    "Camera",
    "PixelMap",
    "Sim3",
    "align_cameras",
    "centres",
    "compose",
    "identity",
    "invert",
    "nearest_rotation",
    "rotation_angle_deg",
    "transform_points",
    "umeyama",
]
