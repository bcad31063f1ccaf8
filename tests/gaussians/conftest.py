"""Random clouds, and hypothesis without a clock: this machine may be busy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import settings

from da3_pipeline.types import GaussianCloud

settings.register_profile("untimed", deadline=None, max_examples=30)
settings.load_profile("untimed")

CloudFactory = Callable[..., GaussianCloud]


def random_cloud(
    count: int, seed: int = 0, bands: int = 9, depth: float = 4.0, scale: float = 0.1, views: int = 1
) -> GaussianCloud:
    """Gaussians about (0, 0, depth), with unit rotations and moderately coloured harmonics."""
    rng = np.random.default_rng(seed)
    rotations = rng.normal(size=(count, 4))
    return GaussianCloud(
        means=(rng.normal(size=(count, 3)) * [1, 1, 0.5] + [0, 0, depth]).astype(np.float32),
        scales=(scale * np.exp(0.5 * rng.normal(size=(count, 3)))).astype(np.float32),
        rotations=(rotations / np.linalg.norm(rotations, axis=1, keepdims=True)).astype(np.float32),
        harmonics=(0.4 * rng.normal(size=(count, 3, bands))).astype(np.float32),
        opacities=rng.uniform(0.02, 1, count).astype(np.float32),
        view=rng.integers(0, views, count).astype(np.int32),
    )


@pytest.fixture(scope="session")
def cloud_of() -> CloudFactory:
    return random_cloud
