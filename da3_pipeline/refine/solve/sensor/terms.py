"""Measured depth as terms of the adjustment: it fixes what hardly moved cameras leave open, and the scale."""

from __future__ import annotations

import numpy as np
import pycolmap

from ....arrays import Float, Int

__all__ = ["add_depth_terms"]

_FAR = 1e3  # times the depth: from so far beside it the view of a point is parallel
_WIDE = 1e12  # variance of what a term says nothing about
_SIDEWAYS = np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
"""Of a camera that looks along the other's x axis, and has its z axis for x."""


def add_depth_terms(
    adjuster: pycolmap.CeresBundleAdjuster,
    model: pycolmap.Reconstruction,
    frame: Int,
    point_id: Int,
    depth: Float,
    sigma: float,
) -> list[object]:
    """Adds a term for each of (K,) z-depths of points in the cameras of frames, world units, one relative `sigma`.

    A point at (X, Y, Z) in its camera is seen by another one that stands far beside it at depth d, looks across, and
    has focal length one, at x = (Z - d) / (X + L): the reprojection error that COLMAP has stands for a depth's.
    Cauchy's weight holds off what is not of the point. Returns what must live as long as the adjuster.
    """
    import pyceres  # before the cost functions, which are made of its types
    from pycolmap import cost_functions

    problem = adjuster.problem
    loss = pyceres.CauchyLoss(1.0)
    lens = np.array([1.0, 0.0, 0.0])
    covariance = np.diag([(sigma / _FAR) ** 2, _WIDE])
    kind = pycolmap.CameraModelId.SIMPLE_PINHOLE
    alive: list[object] = [loss, lens]
    for index, number, metres in zip(frame.tolist(), point_id.tolist(), depth.tolist(), strict=True):
        image = model.images[index + 1]
        body, place = image.frame.rig_from_world.params, model.points3D[number].xyz
        if not (problem.has_parameter_block(body) and problem.has_parameter_block(place)):
            continue
        beside = pycolmap.Rigid3d(np.column_stack([_SIDEWAYS, [-metres, 0.0, _FAR * metres]]))
        if not image.is_ref_in_frame():
            beside = beside * image.frame.rig.sensor_from_rig(image.camera.sensor_id)
        cost = cost_functions.RigReprojErrorCost(kind, covariance, np.zeros(2), beside)
        problem.add_residual_block(cost, loss, [place, body, lens])
        alive.append(cost)
    if problem.has_parameter_block(lens):
        problem.set_parameter_block_constant(lens)
    return alive
