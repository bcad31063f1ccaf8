"""Which lens model the observations of a camera can carry: distortion is only estimated where the image is covered.

Observations that bunch in the centre leave distortion free to ruin the focal length, so the ladder is: focal
length, then k1, then k1 and k2 where observations reach the border all around, and the principal point where many
frames do. Over flat ground a shifted principal point and another focal length look the same: there it stays in the
centre.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...arrays import Bool, Float
from ...geometry import Camera
from ..config import LensConfig
from .problem import Estimate, Problem
from .sharing import shared_problem

__all__ = ["LADDER", "as_opencv", "carried_models", "fully_free", "plausible", "widen_models"]


LADDER = ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL")


def widen_models(problem: Problem, estimate: Estimate, kept: Bool, richest: str, config: LensConfig) -> Estimate:
    """The estimate with cameras raised to the richest model, up to `richest`, that their kept observations carry."""
    cameras, lenses = dict(estimate.cameras), problem.lenses
    carried = carried_models(problem if lenses is None else shared_problem(problem), kept, config)
    for camera_id, camera in estimate.cameras.items():
        if camera_id in problem.known_cameras or camera.model not in LADDER:
            continue
        if lenses is not None and lenses.first(camera_id) != camera_id:
            continue
        step = min(LADDER.index(carried.get(camera_id, LADDER[0])), LADDER.index(richest))
        if step > LADDER.index(camera.model):
            # The first three parameters, focal length and centre, are the same for all; distortion starts at zero.
            padded = (*camera.params, 0.0, 0.0)[: 3 + step]
            cameras[camera_id] = replace(camera, model=LADDER[step], params=padded)
    return replace(estimate, cameras=cameras if lenses is None else lenses.with_shared(cameras))


def carried_models(problem: Problem, kept: Bool, config: LensConfig) -> dict[str, str]:
    """Of each camera, by its name, the richest model of the ladder that its kept (M,) observations determine."""
    observations = problem.observations
    used = np.flatnonzero(kept)
    carried = {}
    for name, chosen in problem.by_camera(observations.frame[used]):
        mine = used[chosen]
        place = observations.xy[mine] / problem.size_px[observations.frame[mine]]
        carried[name] = _carried(place, len(np.unique(observations.frame[mine])), config)
    return carried


def _carried(place: Float, frames: int, config: LensConfig) -> str:
    """The model for observations at (K, 2) places in 0..1 of the image."""
    if frames < config.fewest_frames or len(place) < config.fewest_observations:
        return LADDER[0]
    radius = np.linalg.norm(2 * place - 1, axis=1) / np.sqrt(2)
    if np.quantile(radius, 0.9) < config.least_reach:
        return LADDER[0]
    side = config.cells
    cells = np.clip((place * side).astype(int), 0, side - 1)
    count = np.bincount(cells[:, 0] * side + cells[:, 1], minlength=side * side).reshape(side, side)
    border = np.concatenate([count[0], count[-1], count[1:-1, 0], count[1:-1, -1]])
    covered = (border >= config.covered_from).mean() >= config.covered_share
    rich = covered and len(place) >= config.bend_observations
    return LADDER[2] if rich else LADDER[1]


def fully_free(problem: Problem, estimate: Estimate, config: LensConfig) -> bool:
    """Whether the principal points of all cameras that are estimated may move: each stands on the last rung, and many
    frames that see no flat ground determine its own.

    That of a lens that may have been turned this way or that stays in the middle.
    """
    seen = problem if problem.lenses is None else shared_problem(problem)
    open_ones = [name for name in estimate.cameras if name not in problem.known_cameras]
    if not open_ones or any(estimate.cameras[name].model != LADDER[-1] for name in open_ones):
        return False
    pairs = seen.matches.frames
    own = np.flatnonzero(seen.camera_index[pairs[:, 0]] == seen.camera_index[pairs[:, 1]])
    pairs_of = dict(seen.by_camera(pairs[own, 0]))
    frames = np.bincount(seen.camera_index, minlength=len(seen.camera_names))
    observed = np.bincount(seen.camera_index[seen.observations.frame], minlength=len(seen.camera_names))
    for number, name in enumerate(seen.camera_names):
        if name in problem.known_cameras or not frames[number]:
            continue
        flatness = seen.matches.homography_share[own[pairs_of[name]]] if name in pairs_of else np.ones(1)
        enough = frames[number] >= config.centre_frames and observed[number] >= config.centre_observations
        if not enough or name in seen.centred or float(np.median(flatness)) >= config.flat_share:
            return False
    return True


def plausible(camera: Camera, config: LensConfig) -> bool:
    """Whether a lens of the ladder is physical: centre near the middle, distortion that grows outwards unfolded."""
    if camera.model not in LADDER:
        return True
    focal, cx, cy, *distortion = camera.params
    k1, k2 = (*distortion, 0.0, 0.0)[:2]
    longer = max(camera.width, camera.height)
    if not np.isfinite(camera.params).all() or focal <= 0:
        return False
    if max(abs(cx - camera.width / 2), abs(cy - camera.height / 2)) > config.largest_shift * longer:
        return False
    radius = np.linspace(0, 1, 32) * np.hypot(camera.width, camera.height) / 2 / focal
    corner = float(radius[-1])
    if abs(k1 * corner**2 + k2 * corner**4) > config.least_bend + config.bend * corner**2:
        return False
    return bool((1 + 3 * k1 * radius**2 + 5 * k2 * radius**4 > config.least_growth).all())


def as_opencv(camera: Camera) -> Camera:
    """A lens of the ladder as the OPENCV camera that it equals, whose axes may have focal lengths of their own."""
    focal, cx, cy, *distortion = camera.params
    k1, k2 = (*distortion, 0.0, 0.0)[:2]
    return replace(camera, model="OPENCV", params=(focal, focal, cx, cy, k1, k2, 0.0, 0.0))
