"""Rigid and similarity transforms: `b_from_a` algebra on arrays.

A pose is a (..., 3, 4) float64 array `cam_from_world` = [R | t], x_cam = R x_world + t, OpenCV axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Float

__all__ = [
    "Sim3",
    "centres",
    "compose",
    "identity",
    "invert",
    "nearest_rotation",
    "rotation_angle_deg",
    "transform_points",
    "turned_camera",
]


def identity(count: int) -> Float:
    """(count, 3, 4) poses at the origin."""
    return np.tile(np.eye(3, 4), (count, 1, 1))


def compose(c_from_b: Float, b_from_a: Float) -> Float:
    """c_from_a for (..., 3, 4) poses; leading axes broadcast."""
    rotation = c_from_b[..., :3] @ b_from_a[..., :3]
    translation = c_from_b[..., :3] @ b_from_a[..., 3:] + c_from_b[..., 3:]
    return np.concatenate([rotation, translation], axis=-1)


def invert(b_from_a: Float) -> Float:
    """a_from_b for (..., 3, 4) rigid poses."""
    rotation = np.swapaxes(b_from_a[..., :3], -1, -2)
    return np.concatenate([rotation, -rotation @ b_from_a[..., 3:]], axis=-1)


def centres(cam_from_world: Float) -> Float:
    """Camera centres in the world, (..., 3)."""
    return invert(cam_from_world)[..., 3]


def transform_points(b_from_a: Float, points_a: Float) -> Float:
    """(N, 3) points of frame a, or (..., N, 3) for (..., 3, 4) poses, in frame b."""
    return points_a @ np.swapaxes(b_from_a[..., :3], -1, -2) + b_from_a[..., None, :, 3]


def turned_camera(cam_from_world: Float, quarter_turns: int) -> Float:
    """(..., 3, 4) poses of the same photographs turned clockwise by so many quarters: what was right is down then."""
    once = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    return np.asarray(np.linalg.matrix_power(once, quarter_turns % 4) @ cam_from_world)


def rotation_angle_deg(a: Float, b: Float) -> Float:
    """Geodesic angle between rotations (..., 3, 3), in degrees; accurate near 0 and near 180."""
    difference = a @ np.swapaxes(b, -1, -2)
    skew = np.stack(
        [
            difference[..., 2, 1] - difference[..., 1, 2],
            difference[..., 0, 2] - difference[..., 2, 0],
            difference[..., 1, 0] - difference[..., 0, 1],
        ],
        axis=-1,
    )
    sine = np.linalg.norm(skew, axis=-1) / 2
    cosine = (np.trace(difference, axis1=-2, axis2=-1) - 1) / 2
    return np.degrees(np.arctan2(sine, cosine))


def nearest_rotation(matrix: Float) -> Float:
    """The rotation nearest to each (..., 3, 3) matrix in the Frobenius norm, by SVD."""
    u, _, vt = np.linalg.svd(matrix)
    flip = np.ones(matrix.shape[:-1])
    flip[..., 2] = np.linalg.det(u) * np.linalg.det(vt)
    return (u * flip[..., None, :]) @ vt


@dataclass(frozen=True)
class Sim3:
    """x_b = scale * rotation @ x_a + translation."""

    scale: float
    rotation: Float
    translation: Float

    @classmethod
    def identity(cls) -> Sim3:
        return cls(1.0, np.eye(3), np.zeros(3))

    def apply(self, points: Float) -> Float:
        """(..., 3) points of frame a in frame b."""
        return self.scale * points @ self.rotation.T + self.translation

    def apply_to_cameras(self, cam_from_a: Float) -> Float:
        """Poses (..., 3, 4) of frame a expressed in frame b: centres move with `apply`, depths grow by `scale`."""
        rotation = cam_from_a[..., :3] @ self.rotation.T
        translation = self.scale * cam_from_a[..., 3:] - rotation @ self.translation[:, None]
        return np.concatenate([rotation, translation], axis=-1)

    def inverse(self) -> Sim3:
        rotation = self.rotation.T
        return Sim3(1 / self.scale, rotation, -(rotation @ self.translation) / self.scale)
