"""Synthetic captures of the common recipe, and priors that say nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scenes import Make, Recipe, Synthetic, build_capture

from da3_pipeline.arrays import Float
from da3_pipeline.geometry import identity


@pytest.fixture
def make_capture(tmp_path: Path) -> Make:
    """`make_capture(frames=8, layout='arc', ...)`: see scenes.Recipe."""

    def make(**changes: object) -> Synthetic:
        return build_capture(replace(Recipe(), **changes), tmp_path)  # type: ignore[arg-type]

    return make


@pytest.fixture
def identical_poses() -> Callable[[int], Float]:
    return identity


@pytest.fixture
def random_poses() -> Callable[[int], Float]:
    def make(count: int) -> Float:
        rng = np.random.default_rng(7)
        rotations = np.stack([cv2.Rodrigues(3 * rng.standard_normal(3))[0] for _ in range(count)])
        return np.concatenate([rotations, rng.standard_normal((count, 3, 1))], 2)

    return make
