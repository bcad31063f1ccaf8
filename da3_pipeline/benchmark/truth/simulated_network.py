"""A network that is as good as the best published ones, for judging what is made of its chunks.

It knows the truth and answers like a network: every chunk in a world and scale of its own, with a drift that grows
smoothly along the chunk, depth that is off by a few per cent in broad patches, and, asked about two places that have
nothing in common, the cameras of one and the same place. It describes a picture by its colours in a coarse grid.
"""

from __future__ import annotations

import cv2
import numpy as np

from ...arrays import Bytes, Float, Float32, Int
from ...geometry import Sim3, centres, compose, invert, nearest_rotation, sim3_exp
from ...infer.views import RawViews
from .tour_capture import TourCapture

__all__ = ["SimulatedNetwork"]


_TURN_RAD = np.radians(0.6)  # sigma of the drift over a chunk of 48 views: orientation,
_STRETCH = 0.02  # length of the path,
_SCALE = 0.02  # and depth
_CHUNK_VIEWS = 48
_DEPTH_PATCHES = 0.03
_PATCHES = (4, 5)
_SAME_PLACE_M, _SAME_PLACE_DEG = 6.0, 50.0
_FAR_M = 60.0  # what it says of the sky


class SimulatedNetwork:
    """Call it as a pass: frame indices (V,) and their pixels (V, h, w, 3). Equal seeds and frames, equal answers."""

    def __init__(self, capture: TourCapture, seed: int) -> None:
        self._capture = capture
        self._seed = seed

    def __call__(self, indices: Int, pixels: Bytes) -> RawViews:
        rng = np.random.default_rng([self._seed, *indices])
        height, width = pixels.shape[1:3]
        poses = _drifted(self._confused(indices), rng)
        patches = rng.normal(0, _DEPTH_PATCHES, (len(indices), *_PATCHES)).astype(np.float32)
        growth = _SCALE * _wander(rng, len(indices))
        depth = np.empty((len(indices), height, width), np.float32)
        for row, index in enumerate(indices):
            true = cv2.resize(self._capture.depth(int(index)), (width, height), interpolation=cv2.INTER_NEAREST)
            smooth = cv2.resize(patches[row], (width, height), interpolation=cv2.INTER_CUBIC)
            depth[row] = np.where(true > 0, true, _FAR_M) * np.exp(smooth + growth[row])
        matrix = np.diag([width / self._capture.camera.width, height / self._capture.camera.height, 1.0])
        views = RawViews(
            depth,
            np.where(depth < _FAR_M / 2, 2.0, 1.0).astype(np.float32),
            poses,
            np.tile(matrix @ self._capture.camera.K, (len(indices), 1, 1)),
            np.stack([_colours(view) for view in pixels]),
        )
        return views.moved(_any_world(rng))

    def _confused(self, indices: Int) -> Float:
        """The true poses; where the frames are two stretches that see nothing in common, the second in the first."""
        poses = self._capture.cam_from_world[indices]
        jumps = np.flatnonzero(np.diff(indices) > 1)
        if len(jumps) != 1 or self._meet(poses[jumps[0]], poses[jumps[0] + 1]):
            return poses
        cut = int(jumps[0]) + 1
        here, there = poses[cut // 2], poses[(cut + len(poses)) // 2]
        moved = compose(poses[cut:], compose(invert(there), here)[None])
        return np.concatenate([poses[:cut], moved])

    @staticmethod
    def _meet(first: Float, second: Float) -> bool:
        apart_m = np.linalg.norm(centres(first) - centres(second))
        angle_deg = np.degrees(np.arccos(np.clip(first[2, :3] @ second[2, :3], -1, 1)))
        return bool(apart_m < _SAME_PLACE_M and angle_deg < _SAME_PLACE_DEG)


def _drifted(poses: Float, rng: np.random.Generator) -> Float:
    """Every step from view to view a little off, in a direction that changes slowly."""
    steps = compose(poses[1:], invert(poses[:-1]))
    turn = np.stack([_wander(rng, len(poses)) for _ in range(3)], axis=1)
    wrong = np.zeros((len(steps), 7))
    wrong[:, 3:6] = _TURN_RAD * np.diff(turn, axis=0)
    stretch = np.exp(_STRETCH * _wander(rng, len(poses)))[1:]
    drifted = [poses[0]]
    for step, error, growth in zip(steps, sim3_exp(wrong), stretch, strict=True):
        noisy = np.column_stack([step[:, :3], growth * step[:, 3]])
        drifted.append(compose(error[:3], compose(noisy, drifted[-1])))
    return np.stack(drifted)


def _wander(rng: np.random.Generator, count: int) -> Float:
    """A smooth random curve that begins at 0 and is about 1 after as many steps as a usual chunk has views."""
    slope, bend = rng.normal(size=2)
    time = np.arange(count) / _CHUNK_VIEWS
    return np.asarray(0.8 * slope * time + 0.6 * bend * time**2)


def _any_world(rng: np.random.Generator) -> Sim3:
    scale = float(np.exp(rng.normal(scale=0.3)))
    return Sim3(scale, nearest_rotation(rng.normal(size=(3, 3))), rng.normal(scale=5.0, size=3))


def _colours(view: Bytes) -> Float32:
    """Means and deviations of the colours in a coarse grid, of unit length."""
    grid = cv2.resize(view, (4, 3), interpolation=cv2.INTER_AREA).astype(np.float32).ravel() / 255
    spread = view.reshape(-1, 3).std(0).astype(np.float32) / 255
    vector = np.concatenate([grid, spread])
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), np.float32)
