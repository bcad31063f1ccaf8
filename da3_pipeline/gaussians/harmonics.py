"""Real spherical harmonics as 3DGS has them: values, and what a rotation of the function does to coefficients.

The order is that of INRIA's code and gsplat: band l holds m = -l..l, so band 1 runs over y, z, x. The signs carry the
Condon-Shortley phase: band 1 is -0.4886 y, +0.4886 z, -0.4886 x. (Sloan, Efficient Spherical Harmonic Evaluation,
JCGT 2013, is where gsplat takes its polynomials from.)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import Float

__all__ = ["BAND_ZERO", "BASES", "basis", "rotation_matrices"]


BAND_ZERO = 0.28209479177387814
"""The constant of band 0; a colour is 0.5 + BAND_ZERO * coefficient 0 + the higher bands."""

BASES = (1, 4, 9, 16)
"""Numbers of coefficients that belong to degree 0, 1, 2 and 3."""

_FIXED_DIRECTIONS = 32


def basis(x: Any, y: Any, z: Any, count: int) -> list[Any]:
    """The first `count` (1, 4, 9 or 16) harmonics at unit directions; arrays and tensors alike, one of each shape.

    The list's entry 0 is 1 * BAND_ZERO in the shape of x.
    """
    values = [BAND_ZERO + 0 * x]
    if count > 1:
        values += [-0.4886025119029199 * y, 0.4886025119029199 * z, -0.4886025119029199 * x]
    if count > 4:
        xx, yy, zz = x * x, y * y, z * z
        values += [
            1.0925484305920792 * x * y,
            -1.0925484305920792 * y * z,
            0.31539156525252005 * (2 * zz - xx - yy),
            -1.0925484305920792 * x * z,
            0.5462742152960396 * (xx - yy),
        ]
    if count > 9:
        values += [
            -0.5900435899266435 * y * (3 * xx - yy),
            2.890611442640554 * x * y * z,
            -0.4570457994644658 * y * (4 * zz - xx - yy),
            0.3731763325901154 * z * (2 * zz - 3 * xx - 3 * yy),
            -0.4570457994644658 * x * (4 * zz - xx - yy),
            1.445305721320277 * z * (xx - yy),
            -0.5900435899266435 * x * (xx - 3 * yy),
        ]
    return values


def rotation_matrices(rotation: Float, count: int) -> Float:
    """(..., K, K) matrices that turn coefficients along with the function, for rotations (..., 3, 3) and K = `count`.

    With f'(d) = f(R^T d): Y(d) c' = Y(R^T d) c for every d. Solving this by least squares on fixed directions is
    exact, because each band is closed under rotation; the matrix is block diagonal, one block a band.
    """
    directions = _spiral(_FIXED_DIRECTIONS)
    here = np.stack(basis(directions[:, 0], directions[:, 1], directions[:, 2], count), axis=-1)
    turned = directions @ rotation
    there = np.stack(basis(turned[..., 0], turned[..., 1], turned[..., 2], count), axis=-1)
    matrices = np.zeros((*rotation.shape[:-2], count, count))
    for degree in range(BASES.index(count) + 1):
        band = slice(degree**2, (degree + 1) ** 2)
        matrices[..., band, band] = np.linalg.pinv(here[:, band]) @ there[..., band]
    return matrices


def _spiral(count: int) -> Float:
    """(count, 3) unit directions spread evenly over the sphere."""
    height = 1 - (2 * np.arange(count) + 1) / count
    angle = np.pi * (3 - np.sqrt(5)) * np.arange(count)
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1)
