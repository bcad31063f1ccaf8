"""The pose error of the published benchmark, which is not that of relative poses: for its column, and nothing else.

It multiplies each world-to-camera matrix E by the inverse of its scene's first one and compares inv(E_i) E_j, the
motion from j to i of a point that is given in the world, where the relative pose of two cameras is E_j inv(E_i). The
rotation's angle comes out right; the translation is another one, and a camera's errors do not stay in its pairs.
"""

from __future__ import annotations

import numpy as np

from ...arrays import Float, Int
from ...geometry import compose, invert, rotation_angle_deg

__all__ = ["published_pair_errors"]

_NOTHING = 1e-15  # the published code's guard against division by zero


def published_pair_errors(truth: Float, estimate: Float) -> Float:
    """(P,) degrees of all pairs i < j of (N, 3, 4) cam_from_world: max of rotation and folded translation.

    A pose that is NaN has errors of 180 degrees; the first that is there takes the place of the first of the scene,
    in both. The published code knows no missing poses.
    """
    posed = np.asarray(np.isfinite(estimate).all(axis=(1, 2)))
    first, second = np.triu_indices(len(truth), 1)
    errors = np.full(len(first), 180.0)
    there = posed[first] & posed[second]
    if there.any():
        origin = int(np.flatnonzero(posed)[0])
        errors[there] = _errors(*(_motions(poses, origin, first[there], second[there]) for poses in (truth, estimate)))
    return errors


def _motions(cam_from_world: Float, origin: int, first: Int, second: Int) -> Float:
    aligned = compose(cam_from_world, invert(cam_from_world[origin]))
    return compose(invert(aligned[first]), aligned[second])


def _errors(truth: Float, estimate: Float) -> Float:
    rotation_deg = rotation_angle_deg(truth[:, :, :3], estimate[:, :, :3])
    directions = [moved[:, :, 3] / (np.linalg.norm(moved[:, :, 3:], axis=1) + _NOTHING) for moved in (truth, estimate)]
    cosine = np.abs(np.einsum("ni,ni->n", *directions)).clip(max=1.0)
    return np.maximum(rotation_deg, np.degrees(np.arccos(cosine)))
