"""Gaussians as glTF by KHR_gaussian_splatting (Khronos): points whose attributes say how far they spread."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..gaussians import moved
from ..gaussians.harmonics import BASES
from ..geometry import Sim3
from ..types import GaussianCloud
from .glb import GlbFile, upright

__all__ = ["write_splats_glb"]

_EXTENSION = "KHR_gaussian_splatting"


def write_splats_glb(path: Path, cloud: GaussianCloud) -> None:
    """Write the Gaussians of a world with z up, turned so that y is.

    Scales and opacities are stored as they are, not as logarithms and logits as in PLY files; quaternions as x y z w;
    harmonics are 3DGS's coefficients, band after band. A reader without the extension shows coloured points.
    """
    cloud = moved(cloud, Sim3(1.0, upright(), np.zeros(3)))
    file = GlbFile()
    unit = cloud.rotations / np.maximum(np.linalg.norm(cloud.rotations, axis=1, keepdims=True), 1e-30)
    attributes = {
        "POSITION": file.array(cloud.means.astype("<f4"), bounds=True),
        f"{_EXTENSION}:ROTATION": file.array(np.roll(unit, -1, axis=1).astype("<f4")),
        f"{_EXTENSION}:SCALE": file.array(cloud.scales.astype("<f4")),
        f"{_EXTENSION}:OPACITY": file.array(cloud.opacities.astype("<f4")),
    }
    for degree in range(BASES.index(cloud.harmonics.shape[2]) + 1):
        for order in range(2 * degree + 1):
            coefficients = cloud.harmonics[:, :, degree**2 + order].astype("<f4")
            attributes[f"{_EXTENSION}:SH_DEGREE_{degree}_COEF_{order}"] = file.array(coefficients)
    shown = np.clip(0.5 + 0.28209479177387814 * cloud.harmonics[:, :, 0], 0, 1)  # the constant band: 1 / sqrt(4 pi)
    colours = np.concatenate([shown, cloud.opacities[:, None]], axis=1)
    attributes["COLOR_0"] = file.array(np.round(255 * colours).astype(np.uint8), normalised=True)
    kernel = {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}
    file.mesh("gaussians", attributes, mode=0, extensions={_EXTENSION: kernel})
    file.extension(_EXTENSION)
    file.write(path)
