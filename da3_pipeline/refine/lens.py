"""Which lens model the observations of a camera can carry: distortion is only estimated where the image is covered.

Observations that bunch in the centre leave distortion free to ruin the focal length, so the ladder is: focal
length, then k1, then the full OPENCV model where observations reach the border all around.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..geometry import Camera
from .problem import Estimate, Problem

__all__ = ["LADDER", "carried_model", "widen_models"]

Bool = NDArray[np.bool_]

LADDER = ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "OPENCV")
_GRID = 8


def widen_models(problem: Problem, estimate: Estimate, kept: Bool, richest: str) -> Estimate:
    """The estimate with cameras raised to the richest model, up to `richest`, that their kept observations carry."""
    cameras = dict(estimate.cameras)
    for camera_id, camera in estimate.cameras.items():
        if camera_id in problem.known_cameras or camera.model not in LADDER:
            continue
        step = min(LADDER.index(carried_model(problem, camera_id, kept)), LADDER.index(richest))
        if step > LADDER.index(camera.model):
            cameras[camera_id] = _as_model(camera, LADDER[step])
    return replace(estimate, cameras=cameras)


def carried_model(problem: Problem, camera_id: str, kept: Bool) -> str:
    """The richest model of the ladder that this camera's kept observations determine."""
    frames = problem.frames_of(camera_id)
    mine = kept & np.isin(problem.observations.frame, frames)
    place = problem.observations.xy[mine] / problem.size_px[frames[0]]
    if len(np.unique(problem.observations.frame[mine])) < 3 or len(place) < 300:
        return LADDER[0]
    radius = np.linalg.norm(2 * place - 1, axis=1) / np.sqrt(2)
    if np.quantile(radius, 0.9) < 0.55:
        return LADDER[0]
    cells = np.clip((place * _GRID).astype(int), 0, _GRID - 1)
    count = np.bincount(cells[:, 0] * _GRID + cells[:, 1], minlength=_GRID * _GRID).reshape(_GRID, _GRID)
    border = np.concatenate([count[0], count[-1], count[1:-1, 0], count[1:-1, -1]])
    rich = len(frames) >= 8 and len(place) >= 2000 and (border >= 5).mean() >= 0.75
    return LADDER[2] if rich else LADDER[1]


def _as_model(camera: Camera, model: str) -> Camera:
    focal, (cx, cy) = camera.params[0], camera.params[1:3]
    k1 = camera.params[3] if camera.model == "SIMPLE_RADIAL" else 0.0
    params = (focal, cx, cy, k1) if model == "SIMPLE_RADIAL" else (focal, focal, cx, cy, k1, 0.0, 0.0, 0.0)
    return replace(camera, model=model, params=params)
