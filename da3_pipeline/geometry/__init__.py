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
    turned_camera,
)
from .sim3_algebra import (
    inverse_right_jacobian,
    invert_sim3,
    sim3_adjoint,
    sim3_exp,
    sim3_log,
    sim3_matrix,
    sim3_of,
)

__all__ = [
    "Camera",
    "PixelMap",
    "Sim3",
    "align_cameras",
    "centres",
    "compose",
    "identity",
    "inverse_right_jacobian",
    "invert",
    "invert_sim3",
    "nearest_rotation",
    "rotation_angle_deg",
    "sim3_adjoint",
    "sim3_exp",
    "sim3_log",
    "sim3_matrix",
    "sim3_of",
    "transform_points",
    "turned_camera",
    "umeyama",
]
