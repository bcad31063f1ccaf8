"""Gaussians under similarities, exactly: means, scales, rotations and spherical harmonics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..arrays import Float
from ..geometry import Sim3
from ..types import GaussianCloud
from .harmonics import rotation_matrices

__all__ = ["moved", "moved_by_view"]

_AT_ONCE = 1 << 18  # Gaussians: bounds the float64 copies


def moved(cloud: GaussianCloud, b_from_a: Sim3) -> GaussianCloud:
    """The cloud of world a in world b. Opacities and views stay; rotations keep their length if they are not unit."""
    return moved_by_view(replace(cloud, view=np.zeros(len(cloud), np.int32)), [b_from_a], cloud.view)


def moved_by_view(
    cloud: GaussianCloud, similarities: Sequence[Sim3], label: NDArray[np.int32] | None = None
) -> GaussianCloud:
    """Each Gaussian moved by the similarity of the view that it came from.

    Refinement moves every camera on its own, and the Gaussians that were predicted in a camera go along with it.
    `label`, if given, becomes the new `view`. IndexError where a view has no similarity.
    """
    scale = np.array([similarity.scale for similarity in similarities])
    rotation = np.array([similarity.rotation for similarity in similarities]).reshape(-1, 3, 3)
    translation = np.array([similarity.translation for similarity in similarities]).reshape(-1, 3)
    quaternion = _left_multiplications(rotation)
    harmonic = rotation_matrices(rotation, cloud.harmonics.shape[2])
    means, scales = np.empty_like(cloud.means), np.empty_like(cloud.scales)
    rotations, harmonics = np.empty_like(cloud.rotations), np.empty_like(cloud.harmonics)
    for start in range(0, len(cloud), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        view = cloud.view[part]
        turned = np.einsum("gij,gj->gi", rotation[view], cloud.means[part].astype(np.float64))
        means[part] = scale[view, None] * turned + translation[view]
        scales[part] = scale[view, None] * cloud.scales[part]
        rotations[part] = np.einsum("gij,gj->gi", quaternion[view], cloud.rotations[part])
        harmonics[part] = np.einsum("gij,gcj->gci", harmonic[view], cloud.harmonics[part])
    return GaussianCloud(means, scales, rotations, harmonics, cloud.opacities, cloud.view if label is None else label)


def _left_multiplications(rotation: Float) -> Float:
    """(V, 4, 4) matrices L with L q the Hamilton product of a rotation's quaternion and q, both (w, x, y, z)."""
    if not len(rotation):
        return np.zeros((0, 4, 4))
    x, y, z, w = Rotation.from_matrix(rotation).as_quat().T
    rows = [[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]]
    return np.moveaxis(np.array(rows), -1, 0)
