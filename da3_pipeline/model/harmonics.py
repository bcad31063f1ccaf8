"""Real spherical harmonics of degree 0 to 2 under rotation, in the order and sign of 3D Gaussian splatting.

Degree 1 is (-y, z, -x) and degree 2 (xy, -yz, 2zz - xx - yy, -xz, xx - yy), each up to a positive factor that makes
the basis orthogonal and equally long. A rotation acts on degree 1 as on vectors and on degree 2 as on symmetric
traceless matrices, which gives its matrix (the real Wigner D) without angles.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["rotate_harmonics"]

_DIRECTIONS = ((0.0, -1.0, 0.0), (0.0, 0.0, 1.0), (-1.0, 0.0, 0.0))
_HALF, _SIXTH = 0.5**0.5, 6**-0.5
_QUADRICS = (
    ((0.0, _HALF, 0.0), (_HALF, 0.0, 0.0), (0.0, 0.0, 0.0)),
    ((0.0, 0.0, 0.0), (0.0, 0.0, -_HALF), (0.0, -_HALF, 0.0)),
    ((-_SIXTH, 0.0, 0.0), (0.0, -_SIXTH, 0.0), (0.0, 0.0, 2 * _SIXTH)),
    ((0.0, 0.0, -_HALF), (0.0, 0.0, 0.0), (-_HALF, 0.0, 0.0)),
    ((_HALF, 0.0, 0.0), (0.0, -_HALF, 0.0), (0.0, 0.0, 0.0)),
)


def rotate_harmonics(coefficients: Tensor, rotation: Tensor) -> Tensor:
    """Coefficients (N, ..., 9) of functions on the sphere, each turned by its (N, 3, 3) rotation.

    The result at direction R d equals the given function at d.
    """
    first = torch.tensor(_DIRECTIONS, dtype=rotation.dtype, device=rotation.device)
    second = torch.tensor(_QUADRICS, dtype=rotation.dtype, device=rotation.device)
    vectors = first @ rotation @ first.mT
    turned = rotation[:, None] @ second @ rotation[:, None].mT
    matrices = torch.einsum("mij,nkij->nmk", second, turned)
    bands = coefficients[..., 1:4], coefficients[..., 4:]
    moved = [torch.einsum("nmk,n...k->n...m", by, band) for by, band in zip((vectors, matrices), bands, strict=True)]
    return torch.cat([coefficients[..., :1], *moved], dim=-1)
