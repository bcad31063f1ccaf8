"""Poses that say nothing of the pictures: what a figure is worth that any method should be above."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from ...geometry import nearest_rotation
from ..datasets.contract import GeometryScene
from .contract import Estimate

__all__ = ["FLOORS", "constant_poses", "random_poses"]


def constant_poses(scene: GeometryScene, scratch: Path) -> Estimate:
    """All cameras alike."""
    return Estimate(np.tile(np.eye(3, 4), (len(scene), 1, 1)))


def random_poses(scene: GeometryScene, scratch: Path) -> Estimate:
    """Turned any way, anywhere; the same for a scene of this name each time."""
    generator = np.random.default_rng(zlib.crc32(f"{scene.dataset}/{scene.name}".encode()))
    turns = nearest_rotation(generator.normal(size=(len(scene), 3, 3)))
    return Estimate(np.concatenate([turns, generator.normal(size=(len(scene), 3, 1))], axis=2))


FLOORS = {"constant": constant_poses, "random": random_poses}
"""By name."""
