"""Similarity alignment of point sets and camera trajectories."""

from __future__ import annotations

import numpy as np

from ..arrays import Float
from .poses import Sim3, centres, nearest_rotation

__all__ = ["align_cameras", "umeyama"]


def umeyama(source: Float, target: Float, weights: Float | None = None) -> Sim3:
    """The Sim3 that takes (N, 3) `source` to `target` with the least weighted squared error (Umeyama 1991).

    Degenerate sets (one point, identical or collinear points) get a defined result: scale 1 where the
    source has no extent, and the rotation of least angle among the equally good ones is not guaranteed.
    """
    weight = np.ones(len(source)) if weights is None else np.asarray(weights, float)
    weight = weight / weight.sum()
    source_mean, target_mean = weight @ source, weight @ target
    source_centred, target_centred = source - source_mean, target - target_mean
    covariance = (target_centred * weight[:, None]).T @ source_centred
    u, singular, vt = np.linalg.svd(covariance)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = (u * sign) @ vt
    variance = weight @ (source_centred**2).sum(1)
    scale = float(singular @ sign / variance) if variance > 1e-18 else 1.0
    scale = scale if scale > 1e-12 else 1.0
    return Sim3(scale, rotation, target_mean - scale * rotation @ source_mean)


def align_cameras(source: Float, target: Float) -> Sim3:
    """The Sim3 that takes poses `source` (N, 3, 4 cam_from_world) onto `target`, defined for any N >= 1.

    Rotation from the camera orientations (chordal mean), which stays well posed for collinear and
    coincident centres where Umeyama on centres does not; scale and translation from the centres.
    """
    rotation = nearest_rotation((np.swapaxes(target[:, :, :3], 1, 2) @ source[:, :, :3]).sum(0))
    source_centres, target_centres = centres(source) @ rotation.T, centres(target)
    source_mean, target_mean = source_centres.mean(0), target_centres.mean(0)
    source_centred, target_centred = source_centres - source_mean, target_centres - target_mean
    energy = (source_centred**2).sum()
    scale = float((source_centred * target_centred).sum() / energy) if energy > 1e-18 else 1.0
    scale = scale if scale > 1e-12 else 1.0
    return Sim3(scale, rotation, target_mean - scale * source_mean)
