"""Gaussians as viser draws them: centres, covariances and plain colours in the viewer's world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from ..arrays import Float, Float32
from ..geometry import Sim3
from ..types import GaussianCloud

__all__ = ["DrawnSplats", "drawn_splats"]

_BAND_0 = 0.28209479177387814  # the constant spherical harmonic
_MOST = 400_000


@dataclass(frozen=True)
class DrawnSplats:
    """centres (G, 3); covariances (G, 3, 3); colours (G, 3) and opacities (G, 1) in 0..1; float32."""

    centres: Float32
    covariances: Float32
    colours: Float32
    opacities: Float32


def drawn_splats(cloud: GaussianCloud, offset: Float, view_from_world: Sim3) -> DrawnSplats:
    """The cloud, moved by `offset` (3,), in the viewer's world: its most opaque and largest Gaussians, where it has too
    many for a browser.

    Colours are those of the constant harmonic: the browser draws no other.
    """
    chosen = np.arange(len(cloud))
    if len(cloud) > _MOST:
        weight = cloud.opacities * np.sort(cloud.scales, axis=1)[:, 1:].prod(axis=1)
        chosen = np.sort(np.argpartition(-weight, _MOST)[:_MOST])
    rotations = Rotation.from_quat(cloud.rotations[chosen][:, [1, 2, 3, 0]].astype(np.float64)).as_matrix()
    axes = view_from_world.scale * view_from_world.rotation @ rotations * cloud.scales[chosen][:, None, :]
    colours = np.clip(0.5 + _BAND_0 * cloud.harmonics[chosen, :, 0], 0, 1)
    return DrawnSplats(
        view_from_world.apply(cloud.means[chosen].astype(np.float64) + offset).astype(np.float32),
        (axes @ np.swapaxes(axes, 1, 2)).astype(np.float32),
        colours.astype(np.float32),
        np.clip(cloud.opacities[chosen, None], 0, 1).astype(np.float32),
    )
