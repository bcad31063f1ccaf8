"""Exponential, logarithm and their derivatives for similarities, on stacks of matrices.

A similarity x -> s R x + t is the (4, 4) matrix [sR t; 0 1]; its logarithm is the 7-vector (u, w, lambda) with
rotation vector w in radians, s = e^lambda and t = V u, where V is the integral of exp(k (lambda I + [w])) over k in
0..1. With a = w/|w|, theta = |w| and phi(z) = (e^z - 1)/z, evaluated at the eigenvalues lambda and lambda + i theta of
lambda I + [w]:

    V = phi(lambda) a aT + Re phi(lambda + i theta) (I - a aT) + Im phi(lambda + i theta) [a]

which needs no case distinction for small angles or scales (closed forms by cases: Eade, Lie groups for 2D and 3D
transformations, 2013).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..arrays import Float
from .poses import Sim3

__all__ = ["inverse_right_jacobian", "invert_sim3", "sim3_adjoint", "sim3_exp", "sim3_log", "sim3_matrix", "sim3_of"]


_BERNOULLI = (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 5 / 239500800)  # B(2k) / (2k)!
_TINY = 1e-100  # phi is 1 to every digit long before


def sim3_matrix(transform: Sim3) -> Float:
    """(4, 4) matrix of a similarity."""
    matrix = np.eye(4)
    matrix[:3, :3] = transform.scale * transform.rotation
    matrix[:3, 3] = transform.translation
    return matrix


def sim3_of(matrix: Float) -> Sim3:
    """The similarity of a (4, 4) matrix."""
    scale = float(np.cbrt(np.linalg.det(matrix[:3, :3])))
    return Sim3(scale, matrix[:3, :3] / scale, matrix[:3, 3].copy())


def invert_sim3(matrices: Float) -> Float:
    """Inverses of (..., 4, 4) similarities."""
    scale_squared = np.cbrt(np.linalg.det(matrices[..., :3, :3])) ** 2
    inverse = np.zeros_like(matrices)
    inverse[..., :3, :3] = np.swapaxes(matrices[..., :3, :3], -1, -2) / scale_squared[..., None, None]
    inverse[..., :3, 3] = -(inverse[..., :3, :3] @ matrices[..., :3, 3:])[..., 0]
    inverse[..., 3, 3] = 1
    return inverse


def sim3_exp(tangents: Float) -> Float:
    """(..., 7) tangent vectors (u, w, lambda) to (..., 4, 4) similarities."""
    u, w, log_scale = tangents[..., :3], tangents[..., 3:6], tangents[..., 6]
    rotation = Rotation.from_rotvec(w.reshape(-1, 3)).as_matrix().reshape(*w.shape[:-1], 3, 3)
    matrices = np.zeros((*tangents.shape[:-1], 4, 4))
    matrices[..., :3, :3] = np.exp(log_scale)[..., None, None] * rotation
    matrices[..., :3, 3] = (_velocity_to_translation(w, log_scale) @ u[..., None])[..., 0]
    matrices[..., 3, 3] = 1
    return matrices


def sim3_log(matrices: Float) -> Float:
    """(..., 4, 4) similarities to (..., 7) tangent vectors with a rotation of at most pi."""
    scale = np.cbrt(np.linalg.det(matrices[..., :3, :3]))
    rotation = matrices[..., :3, :3] / scale[..., None, None]
    w = Rotation.from_matrix(rotation.reshape(-1, 3, 3)).as_rotvec().reshape(*rotation.shape[:-2], 3)
    log_scale = np.log(scale)
    u = np.linalg.solve(_velocity_to_translation(w, log_scale), matrices[..., :3, 3:])[..., 0]
    return np.concatenate([u, w, log_scale[..., None]], axis=-1)


def sim3_adjoint(matrices: Float) -> Float:
    """(..., 7, 7) such that M exp(d) = exp(adjoint(M) d) M, of (..., 4, 4) similarities M."""
    scale = np.cbrt(np.linalg.det(matrices[..., :3, :3]))
    rotation, translation = matrices[..., :3, :3] / scale[..., None, None], matrices[..., :3, 3]
    adjoint = np.zeros((*matrices.shape[:-2], 7, 7))
    adjoint[..., :3, :3] = matrices[..., :3, :3]
    adjoint[..., :3, 3:6] = _cross(translation) @ rotation
    adjoint[..., :3, 6] = -translation
    adjoint[..., 3:6, 3:6] = rotation
    adjoint[..., 6, 6] = 1
    return adjoint


def inverse_right_jacobian(tangents: Float) -> Float:
    """(..., 7, 7) J such that log(exp(r) exp(d)) = r + J d to first order in d, at (..., 7) tangents r.

    The series in the bracket of r with Bernoulli's numbers, which converges for |w + i lambda| under 2 pi; here up to
    the tenth power, an error under 1e-5 at |r| = 2 and under 1e-11 at |r| = 0.5.
    """
    u, w = tangents[..., :3], tangents[..., 3:6]
    bracket = np.zeros((*tangents.shape[:-1], 7, 7))
    bracket[..., :3, :3] = _cross(w) + tangents[..., 6, None, None] * np.eye(3)
    bracket[..., :3, 3:6] = _cross(u)
    bracket[..., :3, 6] = -u
    bracket[..., 3:6, 3:6] = _cross(w)
    square = bracket @ bracket
    power, total = np.broadcast_to(np.eye(7), bracket.shape), np.eye(7) + bracket / 2
    for coefficient in _BERNOULLI:
        power = power @ square
        total = total + coefficient * power
    return np.asarray(total)


def _cross(vectors: Float) -> Float:
    """(..., 3, 3) matrices of the cross product with (..., 3) vectors."""
    matrix = np.zeros((*vectors.shape, 3))
    matrix[..., 0, 1], matrix[..., 0, 2], matrix[..., 1, 2] = -vectors[..., 2], vectors[..., 1], -vectors[..., 0]
    return matrix - np.swapaxes(matrix, -1, -2)


def _velocity_to_translation(w: Float, log_scale: Float) -> Float:
    """V of the module's head, (..., 3, 3)."""
    angle = np.linalg.norm(w, axis=-1)
    axis = w / np.where(angle > 0, angle, 1.0)[..., None]
    along, across = _phi(log_scale.astype(np.complex128)).real, _phi(log_scale + 1j * angle)
    outer = axis[..., :, None] * axis[..., None, :]
    along, real, imaginary = (part[..., None, None] for part in (along, across.real, across.imag))
    return np.asarray(along * outer + real * (np.eye(3) - outer) + imaginary * _cross(axis))


def _phi(z: NDArray[np.complex128]) -> NDArray[np.complex128]:
    zero = np.abs(z) < _TINY
    return np.asarray(np.where(zero, 1.0, np.expm1(z) / np.where(zero, 1.0, z)))
