"""A predictions file as a network would have left it, made from truth: poses and depth off by a known amount."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ...arrays import Float, Int
from ...geometry import Sim3, nearest_rotation
from ...infer import InferConfig
from ...infer import run as infer
from ...progress import SilentProgress
from ...types import Prediction
from .known_scene import KnownScene
from .prior_noise import PriorNoise, perturbed_poses

__all__ = ["SimulatedPrior", "any_world", "simulate_prior", "write_predictions", "write_prior"]

_DEPTH_NOISE = 0.03  # sigma of broad patches within a frame, and once more of each whole frame
_DEPTH_PATCHES = (4, 5)


@dataclass(frozen=True)
class SimulatedPrior:
    """prediction: as read back from the file. wrong (K,): indices of the gross outliers. focal_factor: over truth."""

    prediction: Prediction
    wrong: Int
    focal_factor: float


def simulate_prior(scene: KnownScene, noise: PriorNoise, seed: int) -> SimulatedPrior:
    """What `infer` makes of a predictions file with `noise` on the truth; equal seeds, equal priors."""
    with tempfile.TemporaryDirectory(prefix="da3-bench-") as folder:
        path = Path(folder) / "prior.npz"
        wrong, factor = write_prior(path, scene, noise, seed)
        prediction = infer(scene.frames, InferConfig(predictions=path), SilentProgress())
    return SimulatedPrior(prediction, wrong, factor)


def write_prior(path: Path, scene: KnownScene, noise: PriorNoise, seed: int) -> tuple[Int, float]:
    """Write the file (docs/PREDICTIONS.md); indices of the gross outliers, and the focal length's factor.

    The prior's world is its own: turned, moved and scaled at random, depth with it. Depth is off by a few per cent
    whatever the noise of the poses. The principal point is the centre.
    """
    rng = np.random.default_rng([seed, zlib.crc32(str(noise).encode())])
    poses, wrong = perturbed_poses(scene.cam_from_world, noise, rng)
    factor = float((1 + noise.focal) ** rng.choice([-1, 1]))
    world = any_world(rng)
    depth = scene.depth * _depth_error(rng, scene.depth.shape)
    size_px = np.array([(frame.width, frame.height) for frame in scene.frames.frames], float)
    write_predictions(path, scene.frames.names, (poses, depth, factor * scene.intrinsics), size_px, world)
    return wrong, factor


def any_world(rng: np.random.Generator) -> Sim3:
    """From the world of the truth to one that a network might choose: scaled, turned and moved at random."""
    return Sim3(float(np.exp(rng.normal(0, 0.5))), nearest_rotation(rng.normal(size=(3, 3))), rng.normal(0, 5, 3))


def write_predictions(
    path: Path, names: Sequence[str], predicted: tuple[Float, Float, Float], size_px: Float, world: Sim3
) -> None:
    """Write a predictions file: poses (N, 3, 4), depth (N, h, w), NaN where unknown, and intrinsics (N, 3, 3).

    All three are in the world of the truth and in pixels of the pictures, size_px (N, 2); in the file they are in
    `world` and in pixels of the depth maps. Of the intrinsics only the focal lengths count: the centre is the middle.
    """
    poses, depth, intrinsics = predicted
    height, width = depth.shape[1:]
    matrices = np.tile(np.array([[0, 0, width / 2], [0, 0, height / 2], [0, 0, 1.0]]), (len(poses), 1, 1))
    matrices[:, 0, 0] = intrinsics[:, 0, 0] * width / size_px[:, 0]
    matrices[:, 1, 1] = intrinsics[:, 1, 1] * height / size_px[:, 1]
    np.savez(
        path,
        depth=(depth * world.scale).astype(np.float32),
        extrinsics=world.apply_to_cameras(poses),
        intrinsics=matrices,
        names=np.array(names),
    )


def _depth_error(rng: np.random.Generator, shape: tuple[int, ...]) -> Float:
    """Factors (N, h, w) around 1: broad patches, and each frame as a whole."""
    count, height, width = shape
    patches = rng.normal(0, _DEPTH_NOISE, (count, *_DEPTH_PATCHES))
    smooth = np.stack([cv2.resize(patch, (width, height), interpolation=cv2.INTER_CUBIC) for patch in patches])
    return np.asarray(np.exp(smooth + rng.normal(0, _DEPTH_NOISE, (count, 1, 1))))
