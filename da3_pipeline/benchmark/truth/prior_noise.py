"""Priors that are wrong by a known amount: truth, and noise of a given size and kind on top."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import pdist
from scipy.spatial.transform import Rotation

from ...arrays import Float, Int
from ...errors import UsageError
from ...geometry import centres

__all__ = ["PriorNoise", "perturbed_poses", "scene_extent"]


_DRIFT_WAVES = 3  # half waves over the capture: errors of neighbours are alike, those of the ends are not
_GROSS_DEG = (60.0, 180.0)
_GROSS_SHIFT = (0.5, 1.0)  # of the extent


@dataclass(frozen=True)
class PriorNoise:
    """How wrong a prior is.

    rotation_deg: RMS angle. position: RMS displacement of the centres, as a share of the largest distance between
    two of them. focal: the shared focal length is too long or too short by this share. drift: errors are a smooth
    function of the place in the capture instead of independent. outliers: so many cameras, anywhere in the capture,
    are turned by 60 to 180 degrees and moved by half to all of the extent instead.
    """

    rotation_deg: float = 0.0
    position: float = 0.0
    focal: float = 0.0
    drift: bool = False
    outliers: int = 0

    @classmethod
    def parse(cls, text: str, drift: bool = False, outliers: int = 0) -> PriorNoise:
        """From 'degrees:percent:percent' (rotation, position, focal length). Raises UsageError for anything else."""
        try:
            rotation, position, focal = (float(part) for part in text.split(":"))
        except ValueError as error:
            raise UsageError(f"noise {text!r}: give degrees:percent:percent, such as 5:10:5") from error
        if not (0 <= rotation <= 180 and position >= 0 and 0 <= focal < 1000):
            raise UsageError(f"noise {text!r}: degrees up to 180 and percentages from 0 are possible")
        return cls(rotation, position / 100, focal / 100, drift, outliers)

    def __str__(self) -> str:
        size = f"{self.rotation_deg:g}:{100 * self.position:g}:{100 * self.focal:g}"
        return size + (" drift" if self.drift else "") + (f" +{self.outliers} wrong" if self.outliers else "")


def scene_extent(cam_from_world: Float) -> float:
    """The largest distance between two camera centres of (N, 3, 4) poses."""
    return float(pdist(centres(cam_from_world)).max(initial=0.0))


def perturbed_poses(truth: Float, noise: PriorNoise, rng: np.random.Generator) -> tuple[Float, Int]:
    """(N, 3, 4) cam_from_world off by `noise`, in the world of `truth`, and the indices of the gross outliers.

    Cameras turn about their own centres; the error of a rotation is a rotation of the world, so that a drift that
    is alike in two frames leaves their relative rotation alone.
    """
    count, extent = len(truth), scene_extent(truth)
    field = _smooth_field if noise.drift else _independent_field
    turns_rad = np.radians(noise.rotation_deg) * field(rng, count)
    shifts = noise.position * extent * field(rng, count)
    wrong = np.sort(rng.permutation(count)[: noise.outliers])
    turns_rad[wrong] = _directions(rng, len(wrong)) * np.radians(rng.uniform(*_GROSS_DEG, (len(wrong), 1)))
    shifts[wrong] = _directions(rng, len(wrong)) * extent * rng.uniform(*_GROSS_SHIFT, (len(wrong), 1))
    rotations = truth[:, :, :3] @ Rotation.from_rotvec(turns_rad).as_matrix()
    moved = centres(truth) + shifts
    return np.concatenate([rotations, -rotations @ moved[:, :, None]], 2), wrong


def _independent_field(rng: np.random.Generator, count: int) -> Float:
    """(count, 3) vectors that have nothing to do with each other; the RMS of their lengths is 1."""
    return np.asarray(rng.normal(0, 1 / np.sqrt(3), (count, 3)))


def _smooth_field(rng: np.random.Generator, count: int) -> Float:
    """(count, 3) vectors along a smooth curve around 0, long waves stronger; the RMS of their lengths is exactly 1."""
    place = (np.arange(count) + 0.5) / count
    waves = np.arange(1, _DRIFT_WAVES + 1)
    curve = np.cos(np.pi * place[:, None] * waves) @ (rng.normal(size=(_DRIFT_WAVES, 3)) / waves[:, None])
    return np.asarray(curve / np.sqrt((curve**2).sum(1).mean()))


def _directions(rng: np.random.Generator, count: int) -> Float:
    vectors = rng.normal(size=(count, 3))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
